"""Which buttons a run has, in each of its states."""

from dataclasses import replace

import pytest

from orchestrator.domain.clicks import Button, Click, possible
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, StageName, StageState, Trigger
from tests.support.factories import make_run, working

CHECK, BUILD, HEALTH = StageName.CHECK, StageName.BUILD, StageName.HEALTH


def over(state: RunState, at: StageName, **fields: object) -> Run:
    return make_run(at, StageState.FAILED, state=state, **fields)


def asking(**fields: object) -> Run:
    state, reason = RunState.WAITING, Reason.AWAITING_APPROVAL
    return make_run(BUILD, StageState.WAITING, state=state, reason=reason, approved=False, **fields)


def noted(run: Run, **outputs: object) -> Run:
    """The run, with something written down at its first stage."""
    first, *others = run.stages
    return replace(run, stages=(replace(first, outputs=outputs), *others))


CASES: list[tuple[str, Run, str]] = [
    ("new", make_run(), "cancel"),
    ("at work", working(), "cancel"),
    ("told to stop", working(cancel_requested=True), ""),
    ("about to give way", working(superseded_by=8), ""),
    ("waits for approval", asking(), "approve cancel"),
    ("is approved, and has not gone on", noted(asking(), approved_by="mina"), "cancel"),
    ("waits, and is to stop", asking(cancel_requested=True), ""),
    ("failed before its commit", over(RunState.FAILED, BUILD), "rerun"),
    ("failed after its commit", over(RunState.FAILED, HEALTH), "rerun rollback"),
    ("cancelled", over(RunState.CANCELLED, BUILD), "rerun"),
    ("gave way", over(RunState.CANCELLED, BUILD, superseded_by=8), ""),
    ("gave way after its commit", over(RunState.CANCELLED, HEALTH, superseded_by=8), ""),
    ("failed, and is taken back", noted(over(RunState.FAILED, HEALTH), taken_back_by=8), "rerun"),
    ("healthy", over(RunState.SUCCEEDED, HEALTH), "rollback"),
    ("a rollback that is healthy", over(RunState.SUCCEEDED, HEALTH, trigger=Trigger.ROLLBACK), ""),
    ("a rollback that failed", over(RunState.FAILED, HEALTH, trigger=Trigger.ROLLBACK), "rerun"),
]


@pytest.mark.parametrize(("run", "wanted"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_a_run_has_the_buttons_that_make_sense(run: Run, wanted: str) -> None:
    assert " ".join(possible(run)) == wanted


def test_the_address_for_answers_is_not_shown() -> None:
    click = Click(
        id="1", button=Button.CANCEL, run=7, channel="team", place={}, person="U1", actor="mina", team="T1",
        reply_to="https://hooks.slack.com/actions/secret",
    )  # fmt: skip
    assert "hooks.slack" not in repr(click)
