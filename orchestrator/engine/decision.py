"""What follows from a fact, and what differs while it is unknown whether the run's change is in Git."""

from dataclasses import dataclass, replace
from datetime import datetime

from orchestrator.domain.runs import Run, StageName, Wait
from orchestrator.engine.facts import Fact, LeaseExpired, Reported, Troubled

_DOUBT = "whether its change was committed could not be found out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from a fact.

    :param run: the run as it is now. :param wake_at: when to look again; None: only when something happens.
    :param tell: message types that people may want to hear. :param freed: the run no longer needs its place.
    """

    run: Run
    wake_at: datetime | None = None
    tell: tuple[str, ...] = ()
    freed: bool = False


def put_off(run: Run, decision: Decision) -> Decision:
    """Let `decision` go on, but keep what asks `run` to end."""
    moved = decision.run
    detail = run.detail if run.cancel_requested else moved.detail
    asked = replace(moved, cancel_requested=run.cancel_requested, superseded_by=run.superseded_by, detail=detail)
    return replace(decision, run=asked)


def in_doubt(decision: Decision) -> Decision:
    """Say of a run that ends here that its change may be in Git."""
    run = decision.run
    if not run.state.final or run.committed:
        return decision
    detail = f"{run.detail}; {_DOUBT}" if run.detail else _DOUBT
    stages = tuple(replace(one, detail=detail) if one.name is StageName.COMMIT else one for one in run.stages)
    return replace(decision, run=replace(run, stages=stages, detail=detail))


def leaves_open(fact: Fact) -> bool:
    """Tell whether a stage did not come to an end."""
    match fact:
        case Reported(outcome=Wait()) | Troubled() | LeaseExpired():
            return True
        case _:
            return False
