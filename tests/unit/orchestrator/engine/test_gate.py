"""Who may go on in an environment, and that deploys complete under a steady stream of pushes."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import StageName
from orchestrator.engine.gate import Go, Holder, Occupancy, Stay, commit_cuts_off, gate
from tests.support.factories import make_run

RUN = make_run(id=7)
BEHIND = Reason.BEHIND_RUN


@pytest.mark.parametrize(
    ("stage", "occupancy", "answer"),
    [
        (StageName.CHECK, Occupancy(making=Holder(run=3), hold="freeze"), Go()),
        (StageName.BUILD, Occupancy(), Go()),
        (StageName.BUILD, Occupancy(making=Holder(run=7)), Go()),
        (StageName.BUILD, Occupancy(making=Holder(run=3)), Go(cut_off=3)),
        (StageName.BUILD, Occupancy(making=Holder(run=3, has_cut_off=True)), 3),
        (StageName.BUILD, Occupancy(making=Holder(run=3, committing=True)), 3),
        (StageName.BUILD, Occupancy(making=Holder(run=9)), 9),
        (StageName.BUILD, Occupancy(proving=Holder(run=3, has_cut_off=True)), Go()),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=3)), Go()),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), maker=3), Go()),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=3, has_cut_off=True)), 3),
        (StageName.COMMIT, Occupancy(making=Holder(run=7), proving=Holder(run=9)), 9),
        (StageName.SYNC, Occupancy(making=Holder(run=9), proving=Holder(run=7), hold="freeze"), Go()),
        (StageName.HEALTH, Occupancy(), Go()),
    ],
)
def test_who_goes_first(stage: StageName, occupancy: Occupancy, answer: Go | int) -> None:
    expected = Stay(reason=BEHIND, detail=f"behind run {answer}", by=answer) if isinstance(answer, int) else answer
    assert gate(RUN, stage, occupancy) == expected


def test_a_run_that_needs_approval_is_checked_but_not_built() -> None:
    run = make_run(id=7, approved=False)
    assert gate(run, StageName.CHECK, Occupancy()) == Go()
    stay = gate(run, StageName.BUILD, Occupancy())
    assert isinstance(stay, Stay)
    assert stay.reason is Reason.AWAITING_APPROVAL


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
        (Holder(run=3, has_cut_off=True), Go()),
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
                making, ticks_left = Holder(run=newest, has_cut_off=True), 10
                begun += 1
        ticks_left -= 1
        if ticks_left == 0:
            finished, making = finished + 1, None
    assert finished >= (begun - 1) // 2 >= 5  # the last one is still being built
