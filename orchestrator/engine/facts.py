"""What can happen to a run: the only facts that `advance` takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Outcome, StageName


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A worker begins to look at the run's current stage. ``timeout``: seconds of the whole stage."""

    stage: StageName
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The worker reports the outcome of the stage that it claimed."""

    stage: StageName
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled:
    """The worker could not find out: a service did not answer. ``retry_after``: seconds it asked for."""

    stage: StageName
    reason: Reason
    detail: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The worker stopped in mid-stage because cancellation was asked for; nothing of it goes on."""

    stage: StageName


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseExpired:
    """The worker vanished; its lease has run out. ``ago``: seconds since then, many where nobody was there to see."""

    ago: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Before the current stage can begin, something else must happen: another run, a person, another worker.

    :param after: seconds until the run looks again even if nothing happens; None: only when something does.
    :param anew: the stage, if it has begun, starts over afterwards with all its time and attempts.
    :param outputs: what to remember until then (merged into the stage's outputs).
    """

    reason: Reason
    detail: str
    by: int | None = None
    after: float | None = None
    anew: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """A person asks for the run to stop. ``at_work``: a worker holds the run now."""

    by: str
    at_work: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """A newer run takes this one's place (or, with `reason` OLDER_COMMIT, a newer commit is already there)."""

    by: int
    at_work: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A person approves the run."""

    by: str


Fact = Claimed | Reported | Troubled | Stopped | LeaseExpired | Blocked | CancelRequested | Superseded | Approved
