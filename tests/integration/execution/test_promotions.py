"""What was proven in one environment goes on to the next, and the newest promotion goes first."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, StageName
from orchestrator.engine.facts import Troubled
from orchestrator.services.control import NotPossible
from tests.support.executing import Workshop, two_environments


def test_what_is_proven_in_one_environment_is_brought_to_the_next(workshop: Workshop) -> None:
    two_environments(workshop)
    workshop.push(1)
    check = workshop.begin(1)
    workshop.finish(workshop.done(check, image="h/p:t", digest="sha256:1"))
    promotion = workshop.run(2)
    assert (promotion.environment, promotion.trigger, promotion.digest) == ("prod", "promotion", "sha256:1")
    assert 2 in workshop.due()
    workshop.finish(workshop.begin(2))
    assert workshop.run(2).state is RunState.SUCCEEDED


def test_a_person_promotes_the_newest_or_a_proven_run_by_its_number(workshop: Workshop) -> None:
    two_environments(workshop)
    for number in (1, 3):
        workshop.push(number)
        workshop.finish(workshop.done(workshop.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    newest = workshop.run(workshop.control.promote("plate-web", "prod", "mina"))
    named = workshop.run(workshop.control.promote("plate-web", "prod", "mina", 1))
    assert (newest.digest, named.digest) == ("sha256:3", "sha256:1")
    with pytest.raises(NotPossible, match="run 2 has not succeeded in plate-web/stg"):
        workshop.control.promote("plate-web", "prod", "mina", 2)


def test_a_promotion_that_needs_approval_waits_for_it_and_gives_way_to_a_newer_one(workshop: Workshop) -> None:
    two_environments(workshop, approval=True)
    for number in (1, 2):
        workshop.push(number)
    workshop.finish(workshop.begin(1))
    assert workshop.done(workshop.begin(3)) is None
    assert workshop.run(3).reason is Reason.AWAITING_APPROVAL
    workshop.finish(workshop.begin(2))
    assert (workshop.run(3).state, workshop.run(3).superseded_by) == (RunState.CANCELLED, 4)
    assert workshop.done(workshop.begin(4)) is None
    workshop.control.approve(4, "mina")
    assert 4 in workshop.due()
    workshop.finish(workshop.begin(4))
    assert workshop.run(4).state is RunState.SUCCEEDED


def trouble_at_check(workshop: Workshop, run: int) -> None:
    fact = Troubled(stage=StageName.CHECK, reason=Reason.ARGOCD_UNAVAILABLE, detail="503")
    workshop.one.report(workshop.begin(run), fact, "build")
    assert workshop.run(run).reason is Reason.RETRYING


def promoted_after(workshop: Workshop, number: int) -> int:
    """Prove a push in stg; return the promotion that follows."""
    run = workshop.push(number)["runs"][0]
    workshop.finish(workshop.begin(run))
    return run + 1


def test_a_promotion_that_met_a_fault_gives_way_to_a_newer_one(workshop: Workshop) -> None:
    two_environments(workshop)
    first = promoted_after(workshop, 1)
    trouble_at_check(workshop, first)
    second = promoted_after(workshop, 2)
    assert (workshop.run(first).state, workshop.run(first).superseded_by) == (RunState.CANCELLED, second)
    workshop.finish(workshop.begin(second))
    assert workshop.run(second).state is RunState.SUCCEEDED


def test_the_re_run_of_a_promotion_gives_way_to_a_newer_one_too(workshop: Workshop) -> None:
    two_environments(workshop)
    first = promoted_after(workshop, 1)
    workshop.control.cancel(first, "mina")
    again = workshop.control.rerun(first, "mina")
    trouble_at_check(workshop, again)
    second = promoted_after(workshop, 2)
    assert (workshop.run(again).state, workshop.run(again).superseded_by) == (RunState.CANCELLED, second)


def test_a_promotion_that_a_worker_is_at_stops_for_a_newer_one(workshop: Workshop) -> None:
    two_environments(workshop)
    first = promoted_after(workshop, 1)
    check = workshop.begin(first)
    second = promoted_after(workshop, 2)
    assert workshop.one.is_unwanted(check)
    assert workshop.done(check) is None
    assert (workshop.run(first).reason, workshop.run(first).superseded_by) == (Reason.SUPERSEDED, second)


def test_a_promotion_that_has_its_place_commits_before_a_newer_one_or_not_at_all(workshop: Workshop) -> None:
    """If each newer one ended what is under way, a steady stream of them would leave the environment as it is."""
    two_environments(workshop)
    first = promoted_after(workshop, 1)
    commit = workshop.until(first, StageName.COMMIT)
    second = promoted_after(workshop, 2)
    assert workshop.done(workshop.begin(second)) is None
    assert (workshop.run(second).reason, workshop.run(second).blocked_by) == (Reason.BEHIND_RUN, first)
    workshop.finish(commit)
    scan = workshop.until(second, StageName.SCAN)
    third = promoted_after(workshop, 3)
    workshop.until(third, StageName.BUILD)
    assert workshop.one.is_unwanted(scan)
    assert workshop.run(third).cut_off == second


def test_a_promotion_that_waits_for_its_turn_gives_way_to_a_newer_one(workshop: Workshop) -> None:
    two_environments(workshop)
    first = promoted_after(workshop, 1)
    scan = workshop.until(first, StageName.SCAN)
    workshop.control.hold("plate-web", "prod", "freeze", "mina")
    assert workshop.done(scan) is None
    assert workshop.run(first).reason is Reason.ON_HOLD
    assert workshop.run(first).superseded_by is None
    second = promoted_after(workshop, 2)
    assert workshop.run(first).superseded_by == second


def test_what_a_person_has_approved_goes_on_until_a_newer_one_is_approved(workshop: Workshop) -> None:
    two_environments(workshop, approval=True)
    first = promoted_after(workshop, 1)
    workshop.control.approve(first, "mina")
    trouble_at_check(workshop, first)
    second = promoted_after(workshop, 2)
    assert workshop.run(first).state is RunState.WAITING
    workshop.control.approve(second, "mina")
    assert (workshop.run(first).state, workshop.run(first).superseded_by) == (RunState.CANCELLED, second)


def test_a_promotion_that_a_person_asks_for_takes_the_place_of_older_ones(workshop: Workshop) -> None:
    two_environments(workshop)
    first = promoted_after(workshop, 1)
    trouble_at_check(workshop, first)
    asked = workshop.control.promote("plate-web", "prod", "mina")
    assert workshop.run(first).superseded_by == asked
    workshop.push(2)
    assert workshop.control.promote("plate-web", "prod", "mina") == asked + 2
    assert workshop.run(asked).state is RunState.CANCELLED
