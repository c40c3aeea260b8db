"""What a run becomes when something happens to it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import (
    FINAL,
    STAGE_ORDER,
    Done,
    Fail,
    RunState,
    StageName,
    StageState,
    Wait,
)
from orchestrator.engine.facts import (
    Approved,
    Blocked,
    CancelRequested,
    Claimed,
    Fact,
    LeaseExpired,
    Reported,
    Stopped,
    Superseded,
    Troubled,
)
from orchestrator.engine.policy import POLICIES, RetryPolicy
from orchestrator.engine.transitions import advance
from tests.support.factories import NOW, later, make_run, working

CHECK, BUILD, COMMIT, HEALTH = StageName.CHECK, StageName.BUILD, StageName.COMMIT, StageName.HEALTH
RUNNING, WAITING = StageState.RUNNING, StageState.WAITING


def test_the_first_claim_starts_the_run_and_sets_the_stage_s_deadline() -> None:
    decision = advance(make_run(), Claimed(stage=CHECK, timeout=300), NOW)
    stage = decision.run.stage(CHECK)
    assert (decision.run.state, stage.state, stage.attempt) == (RunState.RUNNING, RUNNING, 1)
    assert decision.run.started_at == stage.started_at == NOW
    assert stage.deadline_at == later(300)
    assert decision.tell == ("run.started",)


def test_what_a_stage_waited_for_before_it_began_is_said_no_more() -> None:
    blocked = Blocked(reason=Reason.BEHIND_RUN, detail="behind run 34", by=34)
    waiting = advance(make_run(BUILD, state=RunState.RUNNING, started_at=NOW), blocked, NOW).run
    assert waiting.stage(BUILD).detail == "behind run 34"
    begun = advance(waiting, Claimed(stage=BUILD, timeout=5), later(1)).run
    assert begun.stage(BUILD).detail == ""
    looking = Reported(stage=BUILD, outcome=Wait(reason=Reason.PROGRESSING, detail="2 of 3 pods"))
    again = advance(advance(begun, looking, later(2)).run, Claimed(stage=BUILD, timeout=5), later(3)).run
    assert again.stage(BUILD).detail == "2 of 3 pods", "of a stage that looks again and again this is the newest"


def test_a_later_claim_keeps_start_and_deadline() -> None:
    waiting = make_run(HEALTH, WAITING, state=RunState.WAITING, started_at=NOW)
    decision = advance(waiting, Claimed(stage=HEALTH, timeout=5), later(50))
    assert decision.run.stage(HEALTH).started_at == NOW
    assert decision.run.stage(HEALTH).deadline_at == later(600)
    assert decision.tell == ()


def test_the_next_stage_of_a_started_run_is_told_as_progress() -> None:
    ready = make_run(BUILD, state=RunState.RUNNING, started_at=NOW)
    assert advance(ready, Claimed(stage=BUILD, timeout=5), NOW).tell == ("run.progressed",)


def test_done_moves_to_the_next_stage_at_once_and_lifts_what_concerns_the_run() -> None:
    outcome = Done(outputs={"commit": "b" * 40, "image": "h/p:t", "note": 1})
    decision = advance(working(CHECK), Reported(stage=CHECK, outcome=outcome), later(1))
    assert decision.run.current is not None
    assert decision.run.current.name is BUILD
    assert decision.wake_at == later(1)
    assert (decision.run.commit, decision.run.image) == ("b" * 40, "h/p:t")
    assert decision.run.stage(CHECK).outputs["note"] == 1


def test_the_last_stage_done_is_a_success_and_frees_the_place() -> None:
    decision = advance(working(HEALTH), Reported(stage=HEALTH, outcome=Done(reason=Reason.HEALTHY)), later(9))
    assert (decision.run.state, decision.run.reason, decision.freed) == (RunState.SUCCEEDED, Reason.HEALTHY, True)
    assert decision.run.finished_at == later(9)
    assert decision.tell == ("run.succeeded",)


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Done(), StageState.SUCCEEDED, Reason.DONE),
        (Done(reused=True), StageState.SUCCEEDED, Reason.REUSED),
        (Done(reason=Reason.ALREADY_COMMITTED, reused=True), StageState.SUCCEEDED, Reason.ALREADY_COMMITTED),
        (Done(reason=Reason.NOT_CONFIGURED), StageState.SKIPPED, Reason.NOT_CONFIGURED),
    ],
)
def test_how_a_stage_that_is_done_is_shown(outcome: Done, state: StageState, reason: Reason) -> None:
    stage = advance(working(), Reported(stage=BUILD, outcome=outcome), NOW).run.stage(BUILD)
    assert (stage.state, stage.reason, stage.reused) == (state, reason, outcome.reused)


def test_a_wait_is_looked_at_again_but_never_after_the_deadline() -> None:
    soon = advance(working(), Reported(stage=BUILD, outcome=Wait(reason=Reason.SCAN_PENDING, after=5)), NOW)
    late = advance(working(), Reported(stage=BUILD, outcome=Wait(reason=Reason.SCAN_PENDING, after=9999)), NOW)
    event = advance(working(), Reported(stage=BUILD, outcome=Wait(reason=Reason.SCAN_PENDING)), NOW)
    assert (soon.wake_at, late.wake_at, event.wake_at) == (later(5), later(600), later(600))
    assert soon.run.state is RunState.WAITING


def test_a_wait_without_a_deadline_waits_for_an_event() -> None:
    run = working()
    endless = replace(run, stages=tuple(replace(stage, deadline_at=None) for stage in run.stages))
    assert advance(endless, Reported(stage=BUILD, outcome=Wait(reason=Reason.PROGRESSING)), NOW).wake_at is None


def test_a_wait_is_told_by_the_run_and_by_its_stage() -> None:
    outcome = Wait(reason=Reason.PROGRESSING, detail="1 of 2 pods ready")
    run = advance(working(HEALTH), Reported(stage=HEALTH, outcome=outcome), NOW).run
    stage = run.stage(HEALTH)
    assert (stage.reason, stage.detail) == (run.reason, run.detail) == (Reason.PROGRESSING, "1 of 2 pods ready")


def test_a_wait_past_the_deadline_fails_and_says_what_was_seen_last() -> None:
    outcome = Wait(reason=Reason.PROGRESSING, detail="1 of 2 pods ready")
    decision = advance(working(HEALTH), Reported(stage=HEALTH, outcome=outcome), later(600))
    assert (decision.run.state, decision.run.reason) == (RunState.FAILED, Reason.TIMED_OUT)
    assert decision.run.detail == "health not done after 600 s; last seen: 1 of 2 pods ready"


def test_a_look_that_is_to_confirm_a_success_may_come_after_the_deadline_once() -> None:
    well = Reported(stage=HEALTH, outcome=Wait(reason=Reason.HEALTHY, after=2, confirm=True))
    claim = Claimed(stage=HEALTH, timeout=600)
    assert advance(working(HEALTH), well, later(599)).wake_at == later(601), "not sooner, or it would confirm nothing"

    first = advance(working(HEALTH), well, later(605))
    assert (first.run.state, first.wake_at) == (RunState.WAITING, later(607))
    again = advance(first.run, claim, later(607)).run
    proven = advance(again, Reported(stage=HEALTH, outcome=Done(reason=Reason.HEALTHY)), later(607)).run
    assert proven.state is RunState.SUCCEEDED
    for outcome in (well.outcome, Wait(reason=Reason.PROGRESSING)):
        late = advance(again, Reported(stage=HEALTH, outcome=outcome), later(607)).run
        assert (late.state, late.reason) == (RunState.FAILED, Reason.TIMED_OUT)


def test_looks_before_the_one_that_confirms_are_allowed_after_the_deadline_too() -> None:
    """An event may wake the run early; the look of that decides nothing, and must not end the run as late."""
    claim = Claimed(stage=HEALTH, timeout=600)
    run = working(HEALTH)
    for at, rest in ((605.0, 2.0), (605.5, 1.5), (606.5, 0.5)):
        well = Reported(stage=HEALTH, outcome=Wait(reason=Reason.HEALTHY, after=rest, confirm=True))
        decision = advance(run, well, later(at))
        assert (decision.run.state, decision.wake_at) == (RunState.WAITING, later(607))
        run = advance(decision.run, claim, later(at)).run
    last = Reported(stage=HEALTH, outcome=Wait(reason=Reason.HEALTHY, after=2, confirm=True))
    assert advance(run, last, later(607)).run.reason is Reason.TIMED_OUT


def test_a_fail_is_final() -> None:
    decision = advance(working(), Reported(stage=BUILD, outcome=Fail(reason=Reason.BUILD_FAILED, detail="x")), NOW)
    assert (decision.run.state, decision.run.detail, decision.tell) == (RunState.FAILED, "x", ("run.failed",))
    assert decision.freed


ENDS: dict[str, Fact] = {
    "a failure": Reported(stage=BUILD, outcome=Fail(reason=Reason.BUILD_FAILED)),
    "an older commit": Reported(stage=BUILD, outcome=Fail(reason=Reason.OLDER_COMMIT)),
    "a cancel": CancelRequested(by="mina", at_work=False),
    "a newer run": Superseded(by=9, at_work=False),
    "a stop": Stopped(stage=BUILD),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_stages_behind_the_end_are_skipped_as_not_reached(name: str) -> None:
    run = advance(working(), ENDS[name], later(1)).run
    assert run.state in FINAL
    assert (run.stage(CHECK).state, run.stage(BUILD).state.final) == (StageState.SUCCEEDED, True)
    behind = run.stages[2:]
    assert {(stage.state, stage.reason) for stage in behind} == {(StageState.SKIPPED, Reason.NOT_REACHED)}
    assert {(stage.started_at, stage.finished_at) for stage in behind} == {(None, None)}
    assert run.current is None


@pytest.mark.parametrize("reason", [Reason.OLDER_COMMIT, Reason.SUPERSEDED])
def test_ending_for_a_newer_commit_is_not_a_failure(reason: Reason) -> None:
    decision = advance(working(CHECK), Reported(stage=CHECK, outcome=Fail(reason=reason)), NOW)
    assert (decision.run.state, decision.run.stage(CHECK).state) == (RunState.CANCELLED, StageState.CANCELLED)


def test_trouble_is_retried_after_growing_pauses_or_as_the_service_asks() -> None:
    first = advance(working(), Troubled(stage=BUILD, reason=Reason.ENGINE_UNAVAILABLE, detail="no"), NOW)
    assert (first.run.stage(BUILD).reason, first.wake_at) == (Reason.RETRYING, later(1))
    again = advance(first.run, Claimed(stage=BUILD, timeout=1), later(1)).run
    second = advance(again, Troubled(stage=BUILD, reason=Reason.ENGINE_UNAVAILABLE, detail="no"), later(1))
    assert second.wake_at == later(3)
    asked = advance(
        working(), Troubled(stage=BUILD, reason=Reason.ENGINE_UNAVAILABLE, detail="", retry_after=20), NOW
    )
    assert asked.wake_at == later(20)


def test_trouble_that_lasts_ends_the_run_with_its_own_reason() -> None:
    most = POLICIES[BUILD].attempts
    run = working()
    run = replace(run, stages=tuple(replace(s, attempt=most) if s.name is BUILD else s for s in run.stages))
    decision = advance(run, Troubled(stage=BUILD, reason=Reason.ENGINE_UNAVAILABLE, detail="refused"), NOW)
    assert (decision.run.state, decision.run.reason) == (RunState.FAILED, Reason.ENGINE_UNAVAILABLE)
    assert decision.run.detail == f"refused ({most} attempts)"


@pytest.mark.parametrize("stage", POLICIES)
def test_a_service_that_is_away_for_a_minute_ends_no_run(stage: StageName) -> None:
    policy = POLICIES[stage]
    assert policy.attempts == 0 or sum(map(policy.pause, range(1, policy.attempts))) > 60


def test_unlimited_patience_ends_at_the_deadline() -> None:
    trouble = Troubled(stage=HEALTH, reason=Reason.ARGOCD_UNAVAILABLE, detail="429")
    run = working(HEALTH)
    patient = replace(run, stages=tuple(replace(s, attempt=99) if s.name is HEALTH else s for s in run.stages))
    assert advance(patient, trouble, NOW).run.state is RunState.WAITING
    assert advance(patient, trouble, later(600)).run.state is RunState.FAILED


def test_a_service_that_is_away_just_when_the_time_is_over_is_asked_again() -> None:
    """What it has to say is why the run was not done in time, or that it was; but it is not waited for any longer."""
    trouble = Troubled(stage=HEALTH, reason=Reason.ARGOCD_UNAVAILABLE, detail="503", retry_after=3600)
    run, at, tries = working(HEALTH), 600.0, 0
    while not run.state.final:
        decision = advance(run, trouble, later(at))
        tries += 1
        if decision.wake_at is not None:
            at = (decision.wake_at - NOW).total_seconds()
        run = advance(decision.run, Claimed(stage=HEALTH, timeout=600), later(at)).run
    assert (run.reason, tries) == (Reason.ARGOCD_UNAVAILABLE, 9)
    assert 610 < at < 720
    asked = advance(working(HEALTH), trouble, later(600)).run
    seen = advance(asked, Claimed(stage=HEALTH, timeout=600), later(601)).run
    known = Reported(stage=HEALTH, outcome=Fail(reason=Reason.DEGRADED, detail="ImagePullBackOff"))
    assert advance(seen, known, later(602)).run.reason is Reason.DEGRADED


def test_a_service_may_be_away_for_as_long_as_the_stage_has_however_often_it_is_asked() -> None:
    """A run may have a day for its sync, and is woken every second or two while Argo CD is not reached."""
    trouble = Troubled(stage=HEALTH, reason=Reason.ARGOCD_UNAVAILABLE, detail="refused")
    run = working(HEALTH)
    asked = replace(run, stages=tuple(replace(s, attempt=57_600) if s.name is HEALTH else s for s in run.stages))
    decision = advance(asked, trouble, NOW)
    assert (decision.run.state, decision.wake_at) == (RunState.WAITING, later(POLICIES[HEALTH].cap))


def test_pauses_double_up_to_their_cap() -> None:
    policy = RetryPolicy(first=1, cap=5)
    assert [policy.pause(attempt) for attempt in (1, 2, 3, 4)] == [1, 2, 4, 5]


names = st.sampled_from(STAGE_ORDER)
reasons = st.sampled_from(list(Reason))
outcomes = st.one_of(
    st.builds(Done, reason=reasons, reused=st.booleans()),
    st.builds(Wait, reason=reasons, after=st.none() | st.floats(0, 1e4), confirm=st.booleans()),
    st.builds(Fail, reason=reasons),
)
facts = st.one_of(
    st.builds(Claimed, stage=names, timeout=st.floats(0, 1e4)),
    st.builds(Reported, stage=names, outcome=outcomes),
    st.builds(Troubled, stage=names, reason=reasons, detail=st.text(max_size=5)),
    st.builds(Stopped, stage=names),
    st.just(LeaseExpired()),
    st.builds(Blocked, reason=reasons, detail=st.just("")),
    st.builds(CancelRequested, by=st.text(max_size=3), at_work=st.booleans()),
    st.builds(Superseded, by=st.integers(8, 99), at_work=st.booleans()),
    st.builds(Approved, by=st.text(max_size=3)),
)


@given(st.lists(st.tuples(facts, st.floats(0, 900)), max_size=40))
def test_whatever_happens_a_run_stays_in_a_legal_state(walk: list[tuple[Fact, float]]) -> None:
    run, elapsed = make_run(), 0.0
    for fact, seconds in walk:
        elapsed += seconds
        before = run
        decision = advance(run, fact, later(elapsed))
        run = decision.run
        states = [stage.state for stage in run.stages]
        if before.state in FINAL:
            assert run == before, "a finished run never moves"
        if run.state is RunState.SUCCEEDED:
            assert all(state in (StageState.SUCCEEDED, StageState.SKIPPED) for state in states)
        if run.state in FINAL:
            assert run.finished_at is not None
            assert run.current is None
            assert decision.freed or before.state in FINAL
        elif run.state is RunState.WAITING:
            assert run.current is not None
        done = [state.final for state in states]
        assert done == sorted(done, reverse=True), "stages end in their order"
        assert sum(state is RUNNING for state in states) <= 1
