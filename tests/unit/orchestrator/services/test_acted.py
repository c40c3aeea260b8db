"""Who was the last to act on a run, as messages tell it."""

from dataclasses import replace

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, StageName, StageState, Trigger
from orchestrator.services.ledger import acted
from tests.support.factories import make_run


def over(state: RunState, reason: Reason, trigger: Trigger = Trigger.MANUAL, **noted: str) -> Run:
    """A run that is over; `noted` is what people did to it."""
    run = make_run(StageName.HEALTH, StageState.SUCCEEDED, state=state, reason=reason, trigger=trigger, actor="ida")
    first, *others = run.stages
    return replace(run, stages=(replace(first, outputs=noted), *others))


CASES: list[tuple[str, Run, tuple[str, str]]] = [
    ("pushed", over(RunState.SUCCEEDED, Reason.HEALTHY, Trigger.PUSH), ("", "")),
    ("approved", over(RunState.SUCCEEDED, Reason.HEALTHY, approved_by="jun"), ("jun", "approved")),
    (
        "cancelled after an approval",
        over(RunState.CANCELLED, Reason.CANCELLED, approved_by="jun", cancelled_by="mina"),
        ("mina", "cancelled"),
    ),
    (
        "healthy before the cancel came",
        over(RunState.SUCCEEDED, Reason.HEALTHY, approved_by="jun", cancelled_by="mina"),
        ("jun", "approved"),
    ),
]


@pytest.mark.parametrize(("run", "told"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_last_who_acted_is_told(run: Run, told: tuple[str, str]) -> None:
    assert acted(run) == told
