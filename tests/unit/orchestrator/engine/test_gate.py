"""Who may go on in an environment, and that deploys complete under a steady stream of pushes."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, StageName
from orchestrator.engine.gate import STILL_THERE, Go, Holder, Occupancy, Stay, commit_cuts_off, gate, left_alone
from tests.support.factories import make_run

RUN = make_run(id=7)
BEHIND = Reason.BEHIND_RUN
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stage", "occupancy", "answer"),
    [
        (StageName.CHECK, Occupancy(making=Holder(run=3), hold="freeze"), Go()),
        (StageName.BUILD, Occupancy(), Go()),
        (StageName.BUILD, Occupancy(making=Holder(run=7)), Go()),
        (StageName.BUILD, Occupancy(making=Holder(run=3)), Go(cut_off=3)),
        (StageName.BUILD, Occupancy(making=Holder(run=3, left_alone=math.inf)), 3),
        (StageName.BUILD, Occupancy(making=Holder(run=3, committing=True)), 3),
        (StageName.BUILD, Occupancy(making=Holder(run=9)), 9),
        (StageName.BUILD, Occupancy(proving=Holder(run=3, left_alone=math.inf)), Go()),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=3)), Go()),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), maker=3), Go()),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=3, left_alone=math.inf)), 3),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=3, left_alone=0.0)), Go()),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=9)), 9),
        (StageName.SYNC, Occupancy(making=Holder(run=9), proving=Holder(run=7), hold="freeze"), Go()),
        (StageName.HEALTH, Occupancy(making=Holder(run=9), proving=Holder(run=7), hold="freeze"), Go()),
    ],
)
def test_who_goes_first(stage: StageName, occupancy: Occupancy, answer: Go | int) -> None:
    expected = Stay(reason=BEHIND, detail=f"behind run {answer}", by=answer) if isinstance(answer, int) else answer
    assert gate(RUN, stage, occupancy) == expected


def test_who_waits_for_one_that_is_left_alone_for_a_while_asks_again_after_it() -> None:
    answer = gate(RUN, StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=3, left_alone=42.5)))
    assert answer == Stay(reason=BEHIND, detail="behind run 3", by=3, after=42.5)


def landed(run_id: int, seconds: float, *, cut_off: int | None = None, over: bool = False) -> Run:
    """Make a run whose change came to Git some seconds ago, and that has just become healthy if it is `over`."""
    run = make_run(id=run_id, cut_off=cut_off, finished_at=NOW if over else None)
    at = NOW - timedelta(seconds=seconds)
    return replace(
        run, stages=tuple(replace(one, finished_at=at) if one.name is StageName.COMMIT else one for one in run.stages)
    )


FIRST, USUAL = landed(1, 900), landed(2, 100, over=True)
QUICK = landed(2, 1, over=True)


@pytest.mark.parametrize(
    ("run", "cut_off", "proven", "seconds"),
    [
        (landed(4, 30), None, [USUAL], 0),
        (landed(4, 30, cut_off=1), FIRST, [USUAL], 170),
        (landed(4, 30, cut_off=1), FIRST, [QUICK, USUAL], 170),
        (landed(4, 199, cut_off=1), FIRST, [USUAL], 1),
        (landed(4, 200, cut_off=1), FIRST, [USUAL], 0),
        (landed(4, 900, cut_off=1), FIRST, [USUAL], 0),
        (landed(4, 30, cut_off=1), FIRST, [QUICK], 30),
        (landed(4, 900, cut_off=1), FIRST, [], math.inf),
        (
            landed(4, 900, cut_off=1),
            FIRST,
            [make_run(id=2, finished_at=NOW)],
            math.inf,
        ),
        (landed(4, 900, cut_off=3), landed(3, 950, cut_off=1), [USUAL], math.inf),
        (landed(4, 900, cut_off=1), None, [USUAL], math.inf),
        (make_run(id=4, cut_off=1), FIRST, [USUAL], math.inf),
    ],
)
def test_one_that_has_cut_off_another_is_left_alone_for_twice_the_usual_time(
    run: Run, cut_off: Run | None, proven: list[Run], seconds: float
) -> None:
    assert left_alone(run, cut_off, proven, NOW) == seconds


def test_a_run_that_needs_approval_is_checked_but_not_built() -> None:
    run = make_run(id=7, approved=False)
    assert gate(run, StageName.CHECK, Occupancy()) == Go()
    stay = gate(run, StageName.BUILD, Occupancy())
    assert isinstance(stay, Stay)
    assert stay.reason is Reason.AWAITING_APPROVAL
    assert stay.after == STILL_THERE, "by then its environment may have left the configuration"


def test_a_hold_stops_what_is_not_committed_yet() -> None:
    for stage in (StageName.BUILD, StageName.COMMIT):
        assert gate(RUN, stage, Occupancy(hold="freeze")) == Stay(
            reason=Reason.ON_HOLD, detail="on hold: freeze", after=3600
        )


@pytest.mark.parametrize(
    ("making", "answer"),
    [
        (None, Go()),
        (Holder(run=3), Go()),
        (Holder(run=3, left_alone=math.inf), Go()),
        (Holder(run=9), Go()),
        (Holder(run=3, committing=True), Stay(reason=BEHIND, detail="behind run 3", by=3)),
    ],
)
def test_who_goes_back_through_a_hold_waits_for_nobody_whom_the_hold_stops(
    making: Holder | None, answer: Go | Stay
) -> None:
    for stage in (StageName.BUILD, StageName.COMMIT):
        assert gate(RUN, stage, Occupancy(making=making, through=True)) == answer


@pytest.mark.parametrize("making", [None, Holder(run=3), Holder(run=4)])
def test_an_image_has_one_maker_who_is_never_cut_off_for_the_same_image(making: Holder | None) -> None:
    stay = gate(RUN, StageName.BUILD, Occupancy(making=making, maker=3))
    assert stay == Stay(reason=BEHIND, detail="run 3 makes the same image", by=3, after=15)


def test_a_commit_ends_the_proof_of_the_commit_before() -> None:
    assert commit_cuts_off(RUN, Occupancy(proving=Holder(run=3))) == 3
    assert commit_cuts_off(RUN, Occupancy(proving=Holder(run=7))) is None
    assert commit_cuts_off(RUN, Occupancy()) is None


def test_under_a_push_at_every_tick_at_least_every_second_run_that_builds_completes() -> None:
    """A build takes ten ticks, a push comes at each: without the rule nothing would ever complete."""
    making: Holder | None = None
    begun = finished = ticks_left = 0
    for newest in range(1, 201):
        if making is None:
            making, ticks_left = Holder(run=newest), 10
            begun += 1
        else:
            answer = gate(make_run(id=newest), StageName.BUILD, Occupancy(making=making))
            if isinstance(answer, Go):
                making, ticks_left = Holder(run=newest, left_alone=math.inf), 10
                begun += 1
        ticks_left -= 1
        if ticks_left == 0:
            finished, making = finished + 1, None
    assert finished >= (begun - 1) // 2 >= 5  # the last one is still being built


@pytest.mark.parametrize("ticks", [3, 10, 50])
def test_under_a_push_at_every_tick_runs_are_proven_however_long_it_takes(ticks: int) -> None:
    """It took 4 ticks of a minute until now, and takes fewer, or more, from now on."""
    proven, ended, begun, proving = [landed(0, 240, over=True)], 0, 0, landed(1, 0)
    known = {0: FIRST, 1: proving}
    for newest in range(2, 602):
        now = NOW + timedelta(minutes=newest)
        since = proving.stage(StageName.COMMIT).finished_at
        assert since is not None
        if now - since >= timedelta(minutes=ticks):
            ended, cut = ended + 1, None
        else:
            cut = proving.id
            held = Holder(run=cut, left_alone=left_alone(proving, known.get(proving.cut_off or 0), proven, now))
            if isinstance(gate(make_run(id=newest), StageName.COMMIT, Occupancy(proving=held)), Stay):
                continue
        begun += 1
        known[newest] = proving = landed(newest, -60 * newest, cut_off=cut)
    assert ended >= (begun - 1) // 3 >= 1
