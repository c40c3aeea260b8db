"""What the API takes: queries and bodies; requests are checked against these models."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from orchestrator.domain.events import DeliveryOutcome
from orchestrator.domain.runs import RunState, StageName
from orchestrator.web.models import MAX_ID, MAX_LIMIT, ApiModel, Id, Image, Name, ObjectId, Prefix, Text


class Paging(ApiModel):
    """Where in a list to begin and how much of it to read."""

    limit: int = Field(default=50, ge=1, le=MAX_LIMIT, description="Items in one page.")
    cursor: Id | None = Field(default=None, description="`next` of the page before.")


class RunsQuery(Paging):
    """Which runs."""

    app: Name | None = Field(default=None, description="Only this app.")
    environment: Name | None = Field(default=None, description="Only this environment.")
    state: RunState | None = Field(default=None, description="Only this state.")
    commit: Prefix | None = Field(default=None, description="Only this source commit: the beginning of its id.")


class DeliveriesQuery(Paging):
    """Which deliveries."""

    hook: Name | None = Field(default=None, description="Name of the forge.")
    outcome: DeliveryOutcome | None = Field(default=None, description="What became of it.")


class LogQuery(ApiModel):
    """Which lines of a log, and how."""

    stage: StageName | None = Field(default=None, description="Only this stage.")
    after: int = Field(default=0, ge=0, le=MAX_ID, description="Only lines with a larger number.")
    follow: Literal["0", "1"] = Field(default="0", description="Go on until the run is over.")
    ansi: Literal["0", "1"] = Field(default="0", description="Keep terminal escape sequences.")
    format: Literal["text", "ndjson"] | None = Field(
        default=None, description="As text or as JSON lines, whatever `Accept` says."
    )


class StartRun(ApiModel):
    """A manual run of exactly one of `ref` (branch or tag), `commit` (full id) or `image` (tag or digest)."""

    app: Name = Field(description="Name in the configuration.")
    environment: Name = Field(description="Name in the configuration.")
    ref: Annotated[str, StringConstraints(min_length=1, max_length=250)] | None = Field(
        default=None, description="Branch or tag; its commit is looked up when the run begins."
    )
    commit: ObjectId | None = Field(default=None, description="Full object id.")
    image: Image | None = Field(
        default=None,
        description="Tag of an image of the app that is in the registry; nothing is built. A digest will do where"
        " `value` of the environment is `digest` or `image`.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "StartRun":
        if sum(one is not None for one in (self.ref, self.commit, self.image)) != 1:
            raise ValueError("name exactly one of ref, commit or image")
        return self


class Rerun(ApiModel):
    """Where the new run really does its work again; what comes before is proven and reused."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: Literal["failed", "start"] | StageName = Field(
        default="failed", alias="from", description="The first stage that really runs. Default: `failed`."
    )


class Nothing(ApiModel):
    """The call takes no input; an empty body or `{}`."""


class Hold(ApiModel):
    """Why deploys stop."""

    reason: Text = Field(default="", description="Why; shown to everyone who waits.")


class Rollback(ApiModel):
    """What to go back to."""

    to: int | None = Field(
        default=None, strict=True, ge=1, le=MAX_ID, description="The run; null: what was deployed before."
    )
