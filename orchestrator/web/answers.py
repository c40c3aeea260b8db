"""What the API answers; its documents are made of these models."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from orchestrator.domain.reasons import Actor, Reason
from orchestrator.domain.runs import RunState, StageName, StageState, Trigger
from orchestrator.web.models import ApiModel, Time


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
    worked_seconds: float = Field(description="In its stages that are over.")
    waited_seconds: float = Field(
        description="Between its stages, where that is over: for a worker, an approval, a hold or another run."
    )
    waiting_since: Time | None = Field(description="Since when no stage is at work; null: one is, or it is over.")
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
    by: str = Field(description="The author of the source commit; else who asked for the run.")
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
    by: str = Field(description="The author of the source commit; else who asked for the run.")
    image: str
    tag: str
    digest: str
    since: Time | None


class GitNow(ApiModel):
    """What the head of the GitOps branch has for an environment, whoever put it there."""

    value: str = Field(description="The value of `key`.")
    commit: str = Field(description="The commit that gave it its present form; empty: further back than is searched.")
    commit_url: str
    author: str
    since: Time | None = Field(description="When that commit was made, as it says itself.")
    run: int | None = Field(description="The run that made the commit.")
    by_pilotage: bool | None = Field(description="Whether a run made it; null where the commit is not known.")
    seen_at: Time | None
    current: bool = Field(description="False where it may be otherwise by now; `trouble` says why.")
    trouble: str


class ArgoNow(ApiModel):
    """What Argo CD says of an environment's application, in its own words. No run depends on it."""

    sync: str
    health: str
    syncing: bool = Field(description="A sync is under way.")
    live: list[str] = Field(description="Tags (or digests) of the app's image that pods run.")
    seen_at: Time | None
    current: bool = Field(description="False where it may be otherwise by now; `trouble` says why.")
    trouble: str


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
    git_now: GitNow
    argocd_now: ArgoNow
    last_run: RunSummary | None
    in_git: InGit | None
    deployed: Deployed | None
    hold: HoldView | None


class PollView(ApiModel):
    """The last time that somebody asked to have the branches of an app compared, as for hooks that were lost.

    `done_at` is null as long as it is waited for. `branches` were compared, `missing` ones are not there; `runs` came
    of it. `problem`: why nothing, or which branch, could not be compared; else "".
    """

    asked_at: Time
    asked_by: str
    done_at: Time | None
    branches: list[str]
    missing: list[str]
    runs: list[int]
    problem: str


class UnreadView(ApiModel):
    """That not all branches of an app could be compared when the poll looked last: a lost hook goes unnoticed.

    `since`: the first of these looks; `problem`: why, in sentences.
    """

    since: Time
    problem: str


class AppView(ApiModel):
    """One deployable service."""

    name: str
    repo: str
    image: str
    environments: list[EnvironmentView]
    poll: PollView | None
    unread: UnreadView | None


class StrayHold(HoldView):
    """A hold of an environment that is no longer configured; it counts again if that comes back."""

    app: str
    environment: str


class AppList(ApiModel):
    """Every configured app, in the order of the configuration."""

    items: list[AppView]
    stray_holds: list[StrayHold]
    next: None = Field(description="Always null: the list is complete.")


class HoldState(ApiModel):
    """The hold of an environment as it is now; `hold` is null when it is released."""

    app: str
    environment: str
    hold: str | None


class PollAsked(ApiModel):
    """The app whose branches are compared now; what comes of it is its `poll`."""

    app: str


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
