"""``GET /api/v1/dora``: how often, how fast and how safely changes are deployed."""

from flask import Response
from pydantic import Field

from orchestrator.web.calls import Asked, to_json
from orchestrator.web.models import ApiModel, Name


class DoraQuery(ApiModel):
    """Which deployments."""

    days: int = Field(default=30, ge=1, le=366, description="Look back so many days.")
    app: Name | None = Field(default=None, description="Only this app.")
    environment: Name | None = Field(default=None, description="Only this environment.")


class DoraEnvironment(ApiModel):
    """The figures of one environment. A deployment is a commit whose change reached Git; a rollback is none."""

    app: str
    environment: str
    deployments: int = Field(description="Commits that became healthy or did not; each once for each result.")
    succeeded: int = Field(description="Those that became healthy.")
    deployments_per_day: float
    change_failures: int = Field(description="Those that did not, or that were rolled back later.")
    change_failure_rate: float = Field(description="From 0 to 1.")
    lead_time_seconds: float | None = Field(description="Median from commit to healthy; null without any.")
    restore_seconds: float | None = Field(description="Median from a failure to the next success; null without one.")


class Dora(ApiModel):
    """The environments that had a deployment in this time."""

    days: int
    items: list[DoraEnvironment]


def get_dora(asked: Asked) -> Response:
    """Answer with the figures of DORA."""
    query: DoraQuery = asked.query
    view = asked.site.queries.dora(query.days, app=query.app or "", environment=query.environment or "")
    return to_json(view)
