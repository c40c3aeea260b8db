"""Whether we are alive, and whether we can work."""

from typing import Literal

from flask import Response
from pydantic import Field

from orchestrator.web.calls import Asked, to_json
from orchestrator.web.models import ApiModel
from orchestrator.web.problems import Problem


class ReadyQuery(ApiModel):
    """What is looked at."""

    only: Literal["database"] | None = Field(
        default=None, description="Only whether the database answers, without which no other call can be answered."
    )


def get_health(asked: Asked) -> Response:
    """Answer that the process is alive; nothing else is checked, so that nothing else can cause a restart."""
    return to_json({"status": "ok"})


def get_readiness(asked: Asked) -> Response:
    """Answer whether database, schema, broker and workers are there. :raises Problem: 503, with each part missing."""
    readiness = asked.site.readiness
    missing = readiness.unanswering() if asked.query.only == "database" else readiness.missing()
    if missing:
        errors = [{"in": "service", "field": part, "message": text} for part, text in missing.items()]
        raise Problem(503, "not-ready", f"Not ready: {', '.join(missing)}.", errors=errors)
    return to_json({"status": "ready"})
