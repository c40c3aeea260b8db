"""What a run is: its states, its stages, what a stage answers, and why a run exists."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestrator.domain.reasons import Reason


class RunState(StrEnum):
    """The few states that drive logic; reasons explain."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Tell whether nothing follows."""
        return self in FINAL


FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class StageState(StrEnum):
    """The states of a stage: those of a run, and ``skipped``."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def final(self) -> bool:
        """Tell whether nothing follows."""
        return self not in (StageState.QUEUED, StageState.RUNNING, StageState.WAITING)


class StageName(StrEnum):
    """The steps of a run, in their order."""

    CHECK = "check"
    BUILD = "build"
    PUSH = "push"
    SCAN = "scan"
    COMMIT = "commit"
    SYNC = "sync"
    HEALTH = "health"


STAGE_ORDER: tuple[StageName, ...] = tuple(StageName)
QUEUES = ("build", "deploy")
"""The worker pools: image work, and everything that is short."""


class Trigger(StrEnum):
    """Why a run exists."""

    PUSH = "push"
    MANUAL = "manual"
    RERUN = "rerun"
    PROMOTION = "promotion"
    POLL = "poll"
    ROLLBACK = "rollback"

    @property
    def insists(self) -> bool:
        """Tell whether it stands for a person's word: such a run may deploy an older commit."""
        return self in (Trigger.MANUAL, Trigger.PROMOTION, Trigger.ROLLBACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The stage reached its aim. ``outputs`` are JSON values that later stages and the receipt read.

    ``reused`` says that the aim was found already reached and was proven so now. With the reason ``done``, ``detail``
    is the sentence that tells what was done.
    """

    reason: Reason = Reason.DONE
    detail: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The stage can go no further now; no worker is held.

    :param after: seconds until it looks again even if nothing happens; None: only the deadline or an event.
    :param confirm: all is well and a look `after` seconds later has to agree, which may be after the deadline, once.
    :param outputs: what to remember for the next look (merged into the stage's outputs).
    """

    reason: Reason
    detail: str = ""
    after: float | None = None
    confirm: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The world said no: final, with the one sentence that tells why."""

    reason: Reason
    detail: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)


Outcome = Done | Wait | Fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a run as it is written down."""

    name: StageName
    state: StageState = StageState.QUEUED
    reason: Reason = Reason.QUEUED
    detail: str = ""
    attempt: int = 0
    reused: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    wake_at: datetime | None = None
    deadline_at: datetime | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """How long it took; None when it has not begun or is not over."""
        return None if self.started_at is None else _seconds(self.started_at, self.finished_at)


def _seconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else round((end - start).total_seconds(), 3)


def closed(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Return the stages of a run that is over: those that it did not reach are skipped."""
    return tuple(
        stage if stage.state.final else replace(stage, state=StageState.SKIPPED, reason=Reason.NOT_REACHED)
        for stage in stages
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt to bring one app in one environment to one commit (or image), as it is written down.

    ``id`` orders runs by arrival; ``blocked_by`` is the run that this one waits for; ``cut_off`` is the run
    that this one stopped while it was at work (a run that cut off another is itself left alone for a time).
    ``from_stage`` is the stage from which a person wanted a re-run to do its work again.
    """

    id: int
    app: str
    environment: str
    trigger: Trigger
    ref: str = ""
    commit: str = ""
    image: str = ""
    digest: str = ""
    title: str = ""
    author: str = ""
    actor: str = ""
    state: RunState = RunState.QUEUED
    reason: Reason = Reason.QUEUED
    detail: str = ""
    attempt: int = 1
    rerun_of: int | None = None
    from_stage: str = ""
    delivery_id: int | None = None
    superseded_by: int | None = None
    blocked_by: int | None = None
    cut_off: int | None = None
    cancel_requested: bool = False
    approved: bool = True
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stages: tuple[Stage, ...] = ()

    def stage(self, name: StageName) -> Stage:
        """Return the stage called `name`; every run has all of them."""
        return next(stage for stage in self.stages if stage.name is name)

    @property
    def current(self) -> Stage | None:
        """The first stage that is not final, or None when all are."""
        return next((stage for stage in self.stages if not stage.state.final), None)

    @property
    def seconds(self) -> float | None:
        """How long it took since it was accepted; None when it is not over."""
        return _seconds(self.created_at, self.finished_at)

    @property
    def worked_seconds(self) -> float:
        """How long its stages took that are over."""
        return round(sum(stage.seconds or 0.0 for stage in self.stages), 3)

    @property
    def waits_since(self) -> datetime | None:
        """Since when none of its stages is at work: it waits for a worker, an approval, a hold, or another run."""
        if self.finished_at or self.current is None or self.current.started_at:
            return None
        return max((stage.finished_at for stage in self.stages if stage.finished_at), default=self.created_at)

    @property
    def waited_seconds(self) -> float:
        """How long none of its stages was at work, without the wait that goes on; never less than nothing.

        What a stage waits for, such as Argo CD, is part of the stage: its work is to see that come.
        """
        begun = self.current.started_at if self.current else None
        until = self.finished_at or self.waits_since or begun or self.created_at
        return round(max(0.0, (until - self.created_at).total_seconds() - self.worked_seconds), 3)

    @property
    def is_unwanted(self) -> bool:
        """Whether a person or a newer run wants it to stop."""
        return self.cancel_requested or self.superseded_by is not None

    @property
    def outputs(self) -> dict[str, Any]:
        """What all stages wrote down so far, later stages last."""
        merged: dict[str, Any] = {}
        for stage in self.stages:
            merged.update(stage.outputs)
        return merged

    @property
    def makes_image(self) -> bool:
        """Whether its image is to be made from its commit, and is not known to be in the registry."""
        return bool(self.image and self.commit) and not self.digest

    @property
    def is_making(self) -> bool:
        """Whether it makes its image, from `build` until the registry has it: no other run may push it meanwhile."""
        begun = self.stage(StageName.BUILD).started_at is not None and not self.stage(StageName.PUSH).state.final
        return begun and self.makes_image

    @property
    def follows_a_run(self) -> bool:
        """Whether another run led to it and no person did: a promotion or a rollback by itself. That is its actor."""
        return run_named(self.actor) is not None

    @property
    def approved_by(self) -> str:
        """Who approved it; "" when nobody did, or nobody had to."""
        return str(self.outputs.get("approved_by", ""))

    @property
    def approved_at(self) -> datetime | None:
        """When a person approved it."""
        at = self.outputs.get("approved_at")
        return datetime.fromisoformat(at) if at else None

    @property
    def waits_for_a_word(self) -> bool:
        """Whether it is of a kind that needs approval where its environment does: no person brought its image."""
        made = self.trigger in (Trigger.PUSH, Trigger.POLL, Trigger.MANUAL)
        return made or (self.trigger is Trigger.PROMOTION and self.follows_a_run)

    @property
    def cancelled_by(self) -> str:
        """Who asked for it to stop; "" when nobody did."""
        return str(self.outputs.get("cancelled_by", ""))

    @property
    def taken_back_by(self) -> int | None:
        """The run that goes back to what was proven before this one failed; None: nobody does so by itself."""
        return self.outputs.get("taken_back_by")

    @property
    def committed(self) -> bool:
        """Tell whether this run's change is in the GitOps repo."""
        return self.stage(StageName.COMMIT).state is StageState.SUCCEEDED


def run_named(actor: str) -> int | None:
    """Return the number of the run that an actor is; None where it is a person's name."""
    found = re.fullmatch(r"run (\d+)", actor)
    return int(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another run of the same environment, as far as the order of commits is concerned.

    ``ref``: from where its commit came. ``landed``: its change is the newest in Git, or came there though the run is
    a later one. ``begun``: it is past ``check``. ``approved``: nobody has to let it go on, or somebody has.
    ``rolls_back``: a person goes back with it.
    """

    run: int
    commit: str
    ref: str = ""
    landed: bool = False
    begun: bool = False
    approved: bool = True
    rolls_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The proof of a deploy: every link from the source commit to the live container, as read back."""

    run: int
    app: str
    environment: str
    source_commit: str
    image: str
    digest: str
    gitops_commit: str
    argocd_application: str
    argocd_revision: str
    live_images: tuple[str, ...]
    healthy_at: str
