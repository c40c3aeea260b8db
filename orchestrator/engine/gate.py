"""Who may go on: in an environment one run makes and one proves, an image has one maker, and progress is certain.

A run *makes* from ``build`` until its change is committed, and *proves* from then until it is healthy. A newer run
may cut off the one in its way, but one that has cut off another is left alone: while it makes, and then for twice
as long as a proof usually takes, so that a fix does not wait until a broken deploy has failed. Whoever has cut off
one of those is left alone until it ends. So under a steady stream of pushes at least every third run completes, and
every second one where it takes no more than twice the usual time.

A run that waits for another to make the same image holds no place meanwhile, and one that makes it waits for nobody
until it is pushed: so no two wait for each other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, StageName

_LOOK_AGAIN = 15.0
"""Seconds after which a run looks for its image even if nothing wakes it: the maker may have ended just when the run
began to wait, or on a worker of an older version, which wakes no other environment."""
_TIMES = 2.0
"""Times the usual time of a proof for which one is left alone that has cut off another."""
_LEAST = 60.0
"""Seconds for which it is at least: a deploy that changed next to nothing took no time."""
STILL_THERE = 3600.0
"""Seconds after which a run that waits for a person checks whether its environment is still configured: one that is
not cannot be released, and no page shows that a run waits there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A run that holds one of the two places of an environment.

    :param run: its id. :param left_alone: seconds for which no newer run cuts it off, `math.inf` = until it ends.
    :param committing: its change is queued.
    """

    run: int
    left_alone: float = 0.0
    committing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Who holds the two places of an environment, its hold, and which run makes the same image now.

    ``through``: the environment is on hold, which does not stop the run that asks: it goes back.
    """

    making: Holder | None = None
    proving: Holder | None = None
    hold: str = ""
    maker: int | None = None
    through: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """The stage may begin; ``cut_off`` is the run that ends for it."""

    cut_off: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """The stage may not begin yet. ``after``: seconds until it asks again even if nobody wakes it."""

    reason: Reason
    detail: str
    by: int | None = None
    after: float | None = None


def left_alone(run: Run, cut_off: Run | None, proven: Sequence[Run], now: datetime) -> float:
    """Return for how many seconds no newer run cuts off `run`, `math.inf` = until it ends.

    :param cut_off: the run that it has cut off itself, if any.
    :param proven: the last runs that have become healthy there, whose time is the usual one.
    """
    if run.cut_off is None:
        return 0.0
    landed, usual = run.stage(StageName.COMMIT).finished_at, max(map(_proof, proven), default=math.inf)
    if landed is None or cut_off is None or cut_off.cut_off is not None:
        return math.inf
    return max(0.0, max(_LEAST, _TIMES * usual) - (now - landed).total_seconds())


def _proof(run: Run) -> float:
    """Return the seconds from its commit to its end; nobody knows those of a run without."""
    landed = run.stage(StageName.COMMIT).finished_at
    return (run.finished_at - landed).total_seconds() if landed and run.finished_at else math.inf


def gate(run: Run, stage: StageName, occupancy: Occupancy) -> Go | Stay:
    """Say whether `run` may begin `stage` now. ``check`` and what follows the commit are always free to begin."""
    if stage is StageName.CHECK:
        return Go()
    if not run.approved:
        return Stay(reason=Reason.AWAITING_APPROVAL, detail="waits for approval", after=STILL_THERE)
    if stage in (StageName.SYNC, StageName.HEALTH):
        return Go()
    if occupancy.hold:
        return held(occupancy.hold)
    if stage is StageName.BUILD and occupancy.maker is not None:
        return _same_image(occupancy.maker)
    proving, making = _other(run, occupancy.proving), _other(run, occupancy.making)
    if occupancy.through and making and not making.committing:
        making = None  # the hold stops that one before its commit, and neither may wait for the other
    if stage is StageName.COMMIT and proving and not _may_cut(run, proving):
        return _behind(proving)
    if making is None:
        return Go()
    return Go(cut_off=making.run) if _may_cut(run, making) else _behind(making)


def held(hold: str) -> Stay:
    """Say why a run may not go on in an environment on hold. :param hold: what the person said."""
    return Stay(reason=Reason.ON_HOLD, detail=f"on hold: {hold}", after=STILL_THERE)


def commit_cuts_off(run: Run, occupancy: Occupancy) -> int | None:
    """Return the run whose proof ends because `run`'s change has landed on top of it, or None."""
    other = _other(run, occupancy.proving)
    return other.run if other else None


def _other(run: Run, holder: Holder | None) -> Holder | None:
    """Return the holder if it is another run; nobody is in their own way."""
    return holder if holder and holder.run != run.id else None


def _may_cut(run: Run, other: Holder) -> bool:
    return other.run < run.id and not other.left_alone and not other.committing


def _behind(other: Holder) -> Stay:
    after = other.left_alone if 0 < other.left_alone < math.inf else None
    return Stay(reason=Reason.BEHIND_RUN, detail=f"behind run {other.run}", by=other.run, after=after)


def _same_image(maker: int) -> Stay:
    detail = f"run {maker} makes the same image"
    return Stay(reason=Reason.BEHIND_RUN, detail=detail, by=maker, after=_LOOK_AGAIN)
