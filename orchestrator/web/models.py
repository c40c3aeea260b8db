"""The models of the API's input and output: requests are checked against them, answers are documented by them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from orchestrator.domain.events import DeliveryOutcome
from orchestrator.domain.reasons import Actor, Reason
from orchestrator.domain.runs import RunState, StageName, StageState, Trigger
from orchestrator.web import patterns

MAX_ID = 2**31 - 1
"""The largest id that both databases can hold in an integer column."""
MAX_LIMIT = 100

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=patterns.NAME)]
Text = Annotated[str, StringConstraints(max_length=500, pattern=patterns.TEXT)]
Image = Annotated[str, StringConstraints(pattern=patterns.IMAGE)]
Prefix = Annotated[str, StringConstraints(pattern=patterns.PREFIX)]
ObjectId = Annotated[str, StringConstraints(pattern=patterns.OBJECT_ID)]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Time = Annotated[str, Field(description="RFC 3339, UTC", examples=["2024-05-06T07:08:09.123Z"])]


class ApiModel(BaseModel):
    """What the API takes or answers; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


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

    to: int | None = Field(default=None, ge=1, le=MAX_ID, description="The run; null: what was deployed before.")


class StageView(ApiModel):
    """One stage of a run."""

    name: StageName
    state: StageState
    reason: Reason
    detail: str
    sentence: str
    attempt: int
    reused: bool
    started_at: Time | None
    finished_at: Time | None
    seconds: float | None


class NotificationView(ApiModel):
    """One message about a run."""

    channel: str
    type: str
    state: str
    detail: str
    sent_at: Time | None


class RunView(ApiModel):
    """One run as a list shows it."""

    id: int
    app: str
    environment: str
    state: RunState
    reason: Reason = Field(description="Stable code; `sentence` says it in words.")
    detail: str
    sentence: str
    next_step: str
    who_acts: Actor
    trigger: Trigger
    ref: str
    commit: str
    title: str
    author: str
    actor: str = Field(
        description="Who started it: a token's name, the forge's name of who pushed, or the run before."
    )
    approved_by: str = Field(description="Who approved it; empty while nobody did, or where nobody had to.")
    approved_at: Time | None
    image: str
    digest: str
    attempt: int
    rerun_of: int | None
    superseded_by: int | None
    blocked_by: int | None
    taken_back_by: int | None = Field(
        description="The run that goes back to what was proven before this one failed (`rollback: auto`)."
    )
    delivery: int | None
    gitops_commit: str
    argocd_url: str
    url: str
    api_url: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    seconds: float | None = Field(description="From acceptance to the end.")
    stages: list[StageView]
    receipt: dict[str, Any] | None = Field(description="The proof of the deploy, once it is healthy.")


class RunDetail(RunView):
    """One run with all that belongs to it."""

    attempts: list[int] = Field(description="Ids of the run and of all that repeat it, oldest first.")
    notifications: list[NotificationView]


class RunPage(ApiModel):
    """Part of the list of runs, newest first."""

    items: list[RunView]
    next: int | None = Field(description="`cursor` of the next page; null at the end.")


class Accepted(ApiModel):
    """What a request led to."""

    id: int
    url: str
    api_url: str
    state: RunState
    attempt: int


class RunSummary(ApiModel):
    """A run of an environment and how it turned out."""

    id: int
    state: RunState
    reason: Reason
    sentence: str


class InGit(ApiModel):
    """What Pilotage last committed to the GitOps repository; others may have changed the file since."""

    run: int
    commit: str
    image: str
    tag: str
    digest: str
    gitops_commit: str
    since: Time | None
    proven: bool = Field(description="Whether the newest run of this image that came to an end found it healthy.")
    verdict: RunSummary | None = Field(description="That run; null while there is none.")


class Deployed(ApiModel):
    """What the last successful run brought: it was healthy then."""

    run: int
    commit: str
    image: str
    tag: str
    digest: str
    since: Time | None


class HoldView(ApiModel):
    """A stop on an environment."""

    reason: str
    by: str
    since: Time | None


class EnvironmentView(ApiModel):
    """Where an app runs, and what runs there."""

    name: str
    branch: str
    tag: str
    values: str
    key: str
    argocd: str
    argocd_url: str
    promote_from: str
    approval: bool
    last_run: RunSummary | None
    in_git: InGit | None
    deployed: Deployed | None
    hold: HoldView | None


class AppView(ApiModel):
    """One deployable service."""

    name: str
    repo: str
    image: str
    environments: list[EnvironmentView]


class AppList(ApiModel):
    """Every configured app, in the order of the configuration."""

    items: list[AppView]
    next: None = Field(description="Always null: the list is complete.")


class HoldState(ApiModel):
    """The hold of an environment as it is now; `hold` is null when it is released."""

    app: str
    environment: str
    hold: str | None


class ChangeView(ApiModel):
    """One ref that moved."""

    ref: str
    commit: str | None


class DeliveryView(ApiModel):
    """One webhook request as it arrived, and what became of it."""

    id: int
    hook: str
    key: str
    event: str
    outcome: str
    reason: str
    detail: str
    repo: str
    actor: str
    remote: str
    size: int
    sha256: str
    changes: list[ChangeView]
    runs: list[int]
    received_at: Time


class DeliveryPage(ApiModel):
    """Part of the list of deliveries, newest first."""

    items: list[DeliveryView]
    next: int | None = Field(description="`cursor` of the next page; null at the end.")


class Part(ApiModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    in_: str = Field(alias="in")
    field: str
    message: str


class ProblemView(ApiModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Part]
    request_id: str


class Health(ApiModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(ApiModel):
    """Nothing that we need is missing."""

    status: Literal["ready"]
