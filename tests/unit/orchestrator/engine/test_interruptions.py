"""What comes from outside the stage at work: a lost worker, a person's word, a newer run, an answer that is late."""

from dataclasses import replace

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, Run, RunState, StageName, StageState, Wait
from orchestrator.engine.decision import Decision
from orchestrator.engine.facts import (
    Approved,
    CancelRequested,
    Claimed,
    Fact,
    LeaseExpired,
    Reported,
    Stopped,
    Superseded,
    Troubled,
)
from orchestrator.engine.policy import POLICIES
from orchestrator.engine.transitions import advance
from tests.support.factories import NOW, later, make_run, working

CHECK, BUILD, COMMIT, HEALTH = StageName.CHECK, StageName.BUILD, StageName.COMMIT, StageName.HEALTH


def test_a_vanished_worker_is_replaced_but_not_for_ever() -> None:
    run = working()
    for crash in range(1, POLICIES[BUILD].crashes):
        decision = advance(run, LeaseExpired(), NOW)
        assert (decision.run.state, decision.wake_at) == (RunState.WAITING, NOW), crash
        run = advance(decision.run, Claimed(stage=BUILD, timeout=9), NOW).run
    ended = advance(run, LeaseExpired(), NOW).run
    assert (ended.state, ended.reason) == (RunState.FAILED, Reason.ATTEMPTS_EXHAUSTED)


def test_a_run_that_was_cancelled_ends_so_though_its_worker_vanishes_for_the_last_time() -> None:
    """What kills its workers is what people cancel."""
    run = working()
    last = {"crashes": POLICIES[BUILD].crashes - 1}
    run = replace(run, stages=tuple(replace(s, outputs=last) if s.name is BUILD else s for s in run.stages))
    asked = advance(run, CancelRequested(by="mina", at_work=True), NOW).run
    ended = advance(asked, LeaseExpired(), NOW).run
    assert (ended.state, ended.reason, ended.detail) == (RunState.CANCELLED, Reason.CANCELLED, "cancelled by mina")


def waiting_until(seconds: float) -> Run:
    run = make_run(HEALTH, StageState.WAITING, state=RunState.WAITING)
    return replace(
        run, stages=tuple(replace(s, wake_at=later(seconds)) if s.name is HEALTH else s for s in run.stages)
    )


def test_time_that_ran_out_while_nobody_could_look_begins_anew() -> None:
    """After a power cut the services come back later than we do, or have just come up."""
    away = Troubled(stage=HEALTH, reason=Reason.ARGOCD_UNAVAILABLE, detail="refused")
    back = advance(waiting_until(600), Claimed(stage=HEALTH, timeout=600), later(7200)).run
    assert back.stage(HEALTH).deadline_at == later(7800)
    assert advance(back, away, later(7201)).run.state is RunState.WAITING
    waits = Reported(stage=HEALTH, outcome=Wait(reason=Reason.PROGRESSING))
    assert advance(back, waits, later(7799)).run.state is RunState.WAITING
    assert advance(back, waits, later(7800)).run.reason is Reason.TIMED_OUT


def test_time_that_ran_out_is_over_however_busy_workers_are() -> None:
    claimed = Claimed(stage=HEALTH, timeout=600)
    assert advance(waiting_until(600), claimed, later(630)).run.stage(HEALTH).deadline_at == later(600)
    assert advance(waiting_until(300), claimed, later(590)).run.stage(HEALTH).deadline_at == later(600)


def test_a_worker_that_vanished_with_all_others_costs_its_stage_no_time() -> None:
    back = later(7200)
    waits = advance(working(), LeaseExpired(ago=7000), back)
    assert waits.wake_at == back
    assert advance(waits.run, Claimed(stage=BUILD, timeout=60), back).run.stage(BUILD).deadline_at == later(7260)
    soon = advance(working(), LeaseExpired(ago=5), back).run
    assert advance(soon, Claimed(stage=BUILD, timeout=60), back).run.stage(BUILD).deadline_at == later(600)


def test_a_lease_that_ran_out_between_stages_only_wakes_the_run() -> None:
    ready = make_run(BUILD, state=RunState.RUNNING)
    assert advance(ready, LeaseExpired(), NOW) == Decision(run=ready, wake_at=NOW)


def test_cancel_ends_a_waiting_run_at_once() -> None:
    waiting = make_run(HEALTH, StageState.WAITING, blocked_by=5)
    decision = advance(waiting, CancelRequested(by="mina", at_work=False), NOW)
    assert (decision.run.state, decision.run.reason) == (RunState.CANCELLED, Reason.CANCELLED)
    assert decision.run.detail == "cancelled by mina after its change was committed"
    assert decision.run.stage(HEALTH).detail == decision.run.detail
    assert decision.freed
    assert decision.run.blocked_by is None, "it waits for nobody any more"


def test_cancel_of_a_run_at_work_is_left_to_its_worker() -> None:
    asked = advance(working(), CancelRequested(by="", at_work=True), NOW).run
    assert (asked.state, asked.cancel_requested) == (RunState.RUNNING, True)
    stopped = advance(asked, Stopped(stage=BUILD), later(1)).run
    assert (stopped.state, stopped.reason, stopped.detail) == (RunState.CANCELLED, Reason.CANCELLED, "cancelled")


@pytest.mark.parametrize(
    "fact",
    [
        Reported(stage=BUILD, outcome=Done()),
        Reported(stage=BUILD, outcome=Wait(reason=Reason.PROGRESSING)),
        Troubled(stage=BUILD, reason=Reason.ENGINE_UNAVAILABLE, detail=""),
        LeaseExpired(),
    ],
)
@pytest.mark.parametrize(
    ("wish", "detail"),
    [({"cancel_requested": True}, "cancelled"), ({"superseded_by": 9}, "superseded by run 9")],
)
def test_a_run_that_is_no_longer_wanted_ends_at_whatever_comes_next(
    fact: Fact, wish: dict[str, object], detail: str
) -> None:
    run = advance(working(**wish), fact, NOW).run
    assert (run.state, run.detail) == (RunState.CANCELLED, detail)


def test_what_was_done_before_a_cancel_is_kept() -> None:
    run = advance(working(COMMIT, cancel_requested=True), Reported(stage=COMMIT, outcome=Done()), NOW).run
    assert (run.committed, run.state) == (True, RunState.CANCELLED)


def test_a_superseded_run_names_its_successor() -> None:
    run = advance(make_run(BUILD), Superseded(by=9, at_work=False), NOW).run
    assert (run.state, run.reason, run.superseded_by) == (RunState.CANCELLED, Reason.SUPERSEDED, 9)
    assert run.detail == "superseded by run 9"


def test_approval_wakes_the_run() -> None:
    decision = advance(make_run(BUILD, approved=False), Approved(by="mina"), NOW)
    assert (decision.run.approved, decision.wake_at, decision.run.detail) == (True, NOW, "approved by mina")
    ended = advance(decision.run, CancelRequested(by="jun", at_work=False), later(1)).run
    assert (ended.approved_by, ended.approved_at, ended.cancelled_by) == ("mina", NOW, "jun")
    assert advance(make_run(BUILD, approved=False), Approved(by=""), NOW).run.detail == "approved"


@pytest.mark.parametrize("outcome", [Done(), Wait(reason=Reason.PROGRESSING), Fail(reason=Reason.BUILD_FAILED)])
def test_who_approved_a_run_is_known_whatever_becomes_of_it(outcome: Outcome) -> None:
    run = advance(make_run(BUILD, approved=False), Approved(by="mina"), NOW).run
    run = advance(run, Claimed(stage=BUILD, timeout=9), NOW).run
    assert advance(run, Reported(stage=BUILD, outcome=outcome), NOW).run.approved_by == "mina"


@pytest.mark.parametrize(
    "fact",
    [
        Claimed(stage=HEALTH, timeout=1),
        Reported(stage=CHECK, outcome=Done()),
        Troubled(stage=HEALTH, reason=Reason.INTERNAL, detail=""),
        Stopped(stage=HEALTH),
    ],
)
def test_a_worker_that_speaks_of_another_stage_changes_nothing(fact: Fact) -> None:
    run = working()
    assert advance(run, fact, NOW) == Decision(run=run)


def test_an_answer_without_a_claim_changes_nothing() -> None:
    run = make_run(BUILD)
    assert advance(run, Reported(stage=BUILD, outcome=Done()), NOW) == Decision(run=run)
