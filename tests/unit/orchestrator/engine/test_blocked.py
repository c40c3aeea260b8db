"""A run whose stage may not begin, or not go on, yet."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, StageName, StageState
from orchestrator.engine.facts import Blocked, Claimed
from orchestrator.engine.transitions import advance
from tests.support.factories import NOW, later, make_run

CHECK, BUILD, COMMIT, HEALTH = StageName.CHECK, StageName.BUILD, StageName.COMMIT, StageName.HEALTH
WAITING = StageState.WAITING


def test_a_blocked_run_says_behind_whom() -> None:
    fact = Blocked(reason=Reason.BEHIND_RUN, detail="behind run 3", by=3)
    run = advance(make_run(BUILD, state=RunState.RUNNING), fact, NOW).run
    assert (run.state, run.reason, run.blocked_by) == (RunState.WAITING, Reason.BEHIND_RUN, 3)
    assert advance(run, Claimed(stage=BUILD, timeout=9), NOW).run.blocked_by is None
    fact = Blocked(reason=Reason.AWAITING_APPROVAL, detail="")
    first = advance(run, fact, NOW)
    assert (first.tell, advance(first.run, fact, NOW).tell) == (("run.waiting",), ())


def test_a_blocked_run_may_be_looked_at_again_and_what_it_remembers_stays() -> None:
    fact = Blocked(reason=Reason.APP_REMOVED, detail="", after=10, outputs={"since": 1.0})
    decision = advance(make_run(), fact, NOW)
    assert (decision.wake_at, decision.run.stage(CHECK).wake_at) == (later(10), later(10))
    begun = make_run(HEALTH, StageState.RUNNING, state=RunState.RUNNING, started_at=NOW)
    missing = advance(begun, fact, later(5)).run.stage(HEALTH)
    assert (missing.started_at, missing.deadline_at) == (
        begun.stage(HEALTH).started_at,
        begun.stage(HEALTH).deadline_at,
    )
    again = advance(decision.run, Blocked(reason=Reason.ON_HOLD, detail=""), NOW)
    assert (again.wake_at, again.run.stage(CHECK).outputs) == (None, {"since": 1.0})


def test_a_stage_that_was_stopped_on_its_way_begins_anew() -> None:
    hold = Blocked(reason=Reason.ON_HOLD, detail="on hold: freeze", anew=True)
    held = advance(make_run(COMMIT, WAITING), hold, NOW).run
    assert (held.state, held.reason) == (RunState.WAITING, Reason.ON_HOLD)
    stage = advance(held, Claimed(stage=COMMIT, timeout=900), later(5000)).run.stage(COMMIT)
    assert (stage.started_at, stage.deadline_at, stage.attempt) == (later(5000), later(5900), 1)


@pytest.mark.parametrize("reason", [Reason.AWAITING_APPROVAL, Reason.ON_HOLD, Reason.BEHIND_RUN])
@pytest.mark.parametrize("run", [make_run(BUILD), make_run(COMMIT), make_run(COMMIT, WAITING)])
def test_the_time_at_the_gate_is_waiting_and_no_stages_work(run: Run, reason: Reason) -> None:
    at_gate = advance(run, Blocked(reason=reason, detail="", anew=True), later(1)).run
    assert (at_gate.waits_since, at_gate.waited_seconds) == (NOW, 0)
    current = at_gate.current
    assert current is not None
    through = advance(at_gate, Claimed(stage=current.name, timeout=900), later(5000)).run
    assert (through.waits_since, through.waited_seconds) == (None, 5000)
