"""What people do to runs: hold, repeat, approve."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, RunState, StageName
from orchestrator.engine.facts import Fact, Reported
from orchestrator.services.control import ManualRun
from orchestrator.store import logs
from tests.support.executing import Workshop, two_environments


def test_a_hold_keeps_runs_waiting_until_it_is_released(workshop: Workshop) -> None:
    workshop.control.hold("plate-web", "stg", "freeze", "mina")
    workshop.push(1)
    assert workshop.done(workshop.begin(1)) is None
    assert workshop.run(1).reason is Reason.ON_HOLD
    workshop.due()
    workshop.control.release("plate-web", "stg")
    assert workshop.due() == {1}
    workshop.finish(workshop.begin(1))
    assert workshop.run(1).state is RunState.SUCCEEDED


def test_a_rerun_is_a_new_run_that_names_the_first(workshop: Workshop) -> None:
    workshop.push(1)
    failed: Fact = Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.ARGOCD_FORBIDDEN))
    workshop.one.report(workshop.begin(1), failed, "build")
    again = workshop.control.rerun(1, "mina", "build")
    third = workshop.control.rerun(1, "mina") if workshop.run(again).state.final else None
    assert third is None
    run = workshop.run(again)
    assert (run.rerun_of, run.attempt, run.commit) == (1, 2, workshop.run(1).commit)
    assert run.from_stage == "build"


@pytest.mark.parametrize("early", [False, True], ids=["while it waits", "before it waits"])
def test_who_approved_a_run_and_when_is_known_for_ever(workshop: Workshop, early: bool) -> None:
    two_environments(workshop, approval=True)
    run_id = workshop.control.start(ManualRun(app="plate-web", environment="prod", commit="1" * 40, actor="jun"))
    check = workshop.begin(run_id)
    if not early:
        workshop.done(check)
    workshop.control.approve(run_id, "mina")
    workshop.finish(workshop.done(check) if early else workshop.begin(run_id))
    run = workshop.run(run_id)
    assert (run.state, run.actor, run.approved_by) == (RunState.SUCCEEDED, "jun", "mina")
    assert run.approved_at is not None
    with workshop.database.read() as connection:
        lines = logs.read(connection, run_id)
    told = [f"approved by mina at {run.approved_at:%Y-%m-%dT%H:%M:%SZ}"]
    assert ([line.text for line in lines], lines[0].stage) == (told, "build")
