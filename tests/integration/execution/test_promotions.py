"""What was proven in one environment goes on to the next, and the newest promotion goes first."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, StageName
from orchestrator.engine.facts import Troubled
from orchestrator.services.control import NotPossible
from tests.support.executing import Workshop, two_places


def test_what_is_proven_in_one_environment_is_brought_to_the_next(world: Workshop) -> None:
    two_places(world)
    world.push(1)
    check = world.begin(1)
    world.finish(world.done(check, image="h/p:t", digest="sha256:1"))
    promotion = world.run(2)
    assert (promotion.environment, promotion.trigger, promotion.digest) == ("prod", "promotion", "sha256:1")
    world.finish(world.begin(2))
    assert world.run(2).state is RunState.SUCCEEDED


def test_a_person_promotes_the_newest_or_a_proven_run_by_its_number(world: Workshop) -> None:
    two_places(world)
    for number in (1, 3):
        world.push(number)
        world.finish(world.done(world.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    newest = world.run(world.control.promote("plate-web", "prod", "mina"))
    named = world.run(world.control.promote("plate-web", "prod", "mina", 1))
    assert (newest.digest, named.digest) == ("sha256:3", "sha256:1")
    with pytest.raises(NotPossible, match="run 2 has not succeeded in plate-web/stg"):
        world.control.promote("plate-web", "prod", "mina", 2)


def test_a_promotion_that_needs_approval_waits_for_it_and_gives_way_to_a_newer_one(world: Workshop) -> None:
    two_places(world, approval=True)
    for number in (1, 2):
        world.push(number)
    world.finish(world.begin(1))
    assert world.done(world.begin(3)) is None
    assert world.run(3).reason is Reason.AWAITING_APPROVAL
    world.finish(world.begin(2))
    assert (world.run(3).state, world.run(3).superseded_by) == (RunState.CANCELLED, 4)
    assert world.done(world.begin(4)) is None
    world.control.approve(4, "mina")
    assert 4 in world.due()
    world.finish(world.begin(4))
    assert world.run(4).state is RunState.SUCCEEDED


def trouble_at_check(world: Workshop, run: int) -> None:
    fact = Troubled(stage=StageName.CHECK, reason=Reason.ARGOCD_UNAVAILABLE, detail="503")
    world.one.report(world.begin(run), fact, "build")
    assert world.run(run).reason is Reason.RETRYING


def promoted_after(world: Workshop, number: int) -> int:
    """Prove a push in stg; return the promotion that follows."""
    run = world.push(number)["runs"][0]
    world.finish(world.begin(run))
    return run + 1


def test_a_promotion_that_met_a_fault_gives_way_to_a_newer_one(world: Workshop) -> None:
    two_places(world)
    first = promoted_after(world, 1)
    trouble_at_check(world, first)
    second = promoted_after(world, 2)
    assert (world.run(first).state, world.run(first).superseded_by) == (RunState.CANCELLED, second)
    world.finish(world.begin(second))
    assert world.run(second).state is RunState.SUCCEEDED


def test_the_re_run_of_a_promotion_gives_way_to_a_newer_one_too(world: Workshop) -> None:
    two_places(world)
    first = promoted_after(world, 1)
    world.control.cancel(first, "mina")
    again = world.control.rerun(first, "mina")
    trouble_at_check(world, again)
    second = promoted_after(world, 2)
    assert (world.run(again).state, world.run(again).superseded_by) == (RunState.CANCELLED, second)


def test_a_promotion_that_a_worker_is_at_stops_for_a_newer_one(world: Workshop) -> None:
    two_places(world)
    first = promoted_after(world, 1)
    check = world.begin(first)
    second = promoted_after(world, 2)
    assert world.one.is_unwanted(check)
    assert world.done(check) is None
    assert (world.run(first).reason, world.run(first).superseded_by) == (Reason.SUPERSEDED, second)


def test_a_promotion_that_has_its_place_commits_before_a_newer_one_or_not_at_all(world: Workshop) -> None:
    """If each newer one ended what is under way, a steady stream of them would leave the environment as it is."""
    two_places(world)
    first = promoted_after(world, 1)
    commit = world.until(first, StageName.COMMIT)
    second = promoted_after(world, 2)
    assert world.done(world.begin(second)) is None
    assert (world.run(second).reason, world.run(second).blocked_by) == (Reason.BEHIND_RUN, first)
    world.finish(commit)
    scan = world.until(second, StageName.SCAN)
    third = promoted_after(world, 3)
    world.until(third, StageName.BUILD)
    assert world.one.is_unwanted(scan)
    assert world.run(third).cut_off == second


def test_a_promotion_that_waits_for_its_turn_gives_way_to_a_newer_one(world: Workshop) -> None:
    two_places(world)
    first = promoted_after(world, 1)
    scan = world.until(first, StageName.SCAN)
    world.control.hold("plate-web", "prod", "freeze", "mina")
    assert world.done(scan) is None
    assert world.run(first).reason is Reason.ON_HOLD
    assert world.run(first).superseded_by is None
    second = promoted_after(world, 2)
    assert world.run(first).superseded_by == second


def test_what_a_person_has_approved_goes_on_until_a_newer_one_is_approved(world: Workshop) -> None:
    two_places(world, approval=True)
    first = promoted_after(world, 1)
    world.control.approve(first, "mina")
    trouble_at_check(world, first)
    second = promoted_after(world, 2)
    assert world.run(first).state is RunState.WAITING
    world.control.approve(second, "mina")
    assert (world.run(first).state, world.run(first).superseded_by) == (RunState.CANCELLED, second)


def test_a_promotion_that_a_person_asks_for_takes_the_place_of_older_ones(world: Workshop) -> None:
    two_places(world)
    first = promoted_after(world, 1)
    trouble_at_check(world, first)
    asked = world.control.promote("plate-web", "prod", "mina")
    assert world.run(first).superseded_by == asked
    world.push(2)
    assert world.control.promote("plate-web", "prod", "mina") == asked + 2
    assert world.run(asked).state is RunState.CANCELLED
