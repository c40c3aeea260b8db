"""What people do to runs: cancel, hold, repeat, promote, approve, roll back."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Rival, RunState, StageName, Wait
from orchestrator.engine.facts import Fact, Reported, Stopped, Troubled
from orchestrator.services import reconcile
from orchestrator.services.control import NotPossible, Wish
from orchestrator.store import changes, logs
from orchestrator.store.database import now
from tests.support.executing import World, two_places


def test_cancel_stops_a_waiting_run_at_once_and_a_working_one_at_its_next_checkpoint(world: World) -> None:
    world.push(1)
    world.wait(world.until(1, StageName.HEALTH))
    assert world.control.cancel(1, "mina").state is RunState.CANCELLED
    world.push(2)
    working = world.until(2, StageName.BUILD)
    assert world.control.cancel(2, "mina").state is RunState.RUNNING
    assert world.one.is_unwanted(working)
    world.one.report(working, Stopped(stage=StageName.BUILD), "build")
    assert world.run(2).detail == "cancelled by mina"


def test_a_hold_keeps_runs_waiting_until_it_is_released(world: World) -> None:
    world.control.hold("plate-web", "stg", "freeze", "mina")
    world.push(1)
    assert world.done(world.begin(1)) is None
    assert world.run(1).reason is Reason.ON_HOLD
    world.due()
    world.control.release("plate-web", "stg")
    assert world.due() == {1}
    world.finish(world.begin(1))
    assert world.run(1).state is RunState.SUCCEEDED


def test_a_rerun_is_a_new_run_that_names_the_first(world: World) -> None:
    world.push(1)
    failed: Fact = Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.ARGOCD_FORBIDDEN))
    world.one.report(world.begin(1), failed, "build")
    again = world.control.rerun(1, "mina", "build")
    third = world.control.rerun(1, "mina") if world.run(again).state.final else None
    assert third is None
    run = world.run(again)
    assert (run.rerun_of, run.attempt, run.commit) == (1, 2, world.run(1).commit)
    assert run.from_stage == "build"


def test_what_is_proven_in_one_environment_is_brought_to_the_next(world: World) -> None:
    two_places(world)
    world.push(1)
    check = world.begin(1)
    world.finish(world.done(check, image="h/p:t", digest="sha256:1"))
    promotion = world.run(2)
    assert (promotion.environment, promotion.trigger, promotion.digest) == ("prod", "promotion", "sha256:1")
    world.finish(world.begin(2))
    assert world.run(2).state is RunState.SUCCEEDED


def test_a_person_promotes_the_newest_or_a_proven_run_by_its_number(world: World) -> None:
    two_places(world)
    for number in (1, 3):
        world.push(number)
        world.finish(world.done(world.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    newest = world.run(world.control.promote("plate-web", "prod", "mina"))
    named = world.run(world.control.promote("plate-web", "prod", "mina", 1))
    assert (newest.digest, named.digest) == ("sha256:3", "sha256:1")
    with pytest.raises(NotPossible, match="run 2 has not succeeded in plate-web/stg"):
        world.control.promote("plate-web", "prod", "mina", 2)


def test_a_promotion_that_needs_approval_waits_for_it_and_gives_way_to_a_newer_one(world: World) -> None:
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


def trouble_at_check(world: World, run: int) -> None:
    fact = Troubled(stage=StageName.CHECK, reason=Reason.ARGOCD_UNAVAILABLE, detail="503")
    world.one.report(world.begin(run), fact, "build")
    assert world.run(run).reason is Reason.RETRYING


def proven(world: World, number: int) -> int:
    """Prove a push in stg; return the promotion that follows."""
    run = world.push(number)["runs"][0]
    world.finish(world.begin(run))
    return run + 1


def test_a_promotion_that_met_a_fault_gives_way_to_a_newer_one(world: World) -> None:
    two_places(world)
    first = proven(world, 1)
    trouble_at_check(world, first)
    second = proven(world, 2)
    assert (world.run(first).state, world.run(first).superseded_by) == (RunState.CANCELLED, second)
    world.finish(world.begin(second))
    assert world.run(second).state is RunState.SUCCEEDED


def test_the_re_run_of_a_promotion_gives_way_to_a_newer_one_too(world: World) -> None:
    two_places(world)
    first = proven(world, 1)
    world.control.cancel(first, "mina")
    again = world.control.rerun(first, "mina")
    trouble_at_check(world, again)
    second = proven(world, 2)
    assert (world.run(again).state, world.run(again).superseded_by) == (RunState.CANCELLED, second)


def test_a_promotion_that_a_worker_is_at_stops_for_a_newer_one(world: World) -> None:
    two_places(world)
    first = proven(world, 1)
    check = world.begin(first)
    second = proven(world, 2)
    assert world.one.is_unwanted(check)
    assert world.done(check) is None
    assert (world.run(first).reason, world.run(first).superseded_by) == (Reason.SUPERSEDED, second)


def test_a_promotion_that_has_its_place_commits_before_a_newer_one_or_not_at_all(world: World) -> None:
    """If each newer one ended what is under way, a steady stream of them would leave the environment as it is."""
    two_places(world)
    first = proven(world, 1)
    commit = world.until(first, StageName.COMMIT)
    second = proven(world, 2)
    assert world.done(world.begin(second)) is None
    assert (world.run(second).reason, world.run(second).blocked_by) == (Reason.BEHIND_RUN, first)
    world.finish(commit)
    scan = world.until(second, StageName.SCAN)
    third = proven(world, 3)
    world.until(third, StageName.BUILD)
    assert world.one.is_unwanted(scan)
    assert world.run(third).cut_off == second


def test_a_promotion_that_waits_for_its_turn_gives_way_to_a_newer_one(world: World) -> None:
    two_places(world)
    first = proven(world, 1)
    scan = world.until(first, StageName.SCAN)
    world.control.hold("plate-web", "prod", "freeze", "mina")
    assert world.done(scan) is None
    assert world.run(first).reason is Reason.ON_HOLD
    assert world.run(first).superseded_by is None
    second = proven(world, 2)
    assert world.run(first).superseded_by == second


def test_what_a_person_has_approved_goes_on_until_a_newer_one_is_approved(world: World) -> None:
    two_places(world, approval=True)
    first = proven(world, 1)
    world.control.approve(first, "mina")
    trouble_at_check(world, first)
    second = proven(world, 2)
    assert world.run(first).state is RunState.WAITING
    world.control.approve(second, "mina")
    assert (world.run(first).state, world.run(first).superseded_by) == (RunState.CANCELLED, second)


def test_a_promotion_that_a_person_asks_for_takes_the_place_of_older_ones(world: World) -> None:
    two_places(world)
    first = proven(world, 1)
    trouble_at_check(world, first)
    asked = world.control.promote("plate-web", "prod", "mina")
    assert world.run(first).superseded_by == asked
    world.push(2)
    assert world.control.promote("plate-web", "prod", "mina") == asked + 2
    assert world.run(asked).state is RunState.CANCELLED


@pytest.mark.parametrize("early", [False, True], ids=["while it waits", "before it waits"])
def test_who_approved_a_run_and_when_is_known_for_ever(world: World, early: bool) -> None:
    two_places(world, approval=True)
    run_id = world.control.start(Wish(app="plate-web", environment="prod", commit="1" * 40, actor="jun"))
    check = world.begin(run_id)
    if not early:
        world.done(check)
    world.control.approve(run_id, "mina")
    world.finish(world.done(check) if early else world.begin(run_id))
    run = world.run(run_id)
    assert (run.state, run.actor, run.approved_by) == (RunState.SUCCEEDED, "jun", "mina")
    assert run.approved_at is not None
    with world.database.read() as connection:
        lines = logs.read(connection, run_id)
    told = [f"approved by mina at {run.approved_at:%Y-%m-%dT%H:%M:%SZ}"]
    assert ([line.text for line in lines], lines[0].stage) == (told, "build")


def test_a_run_whose_change_is_being_pushed_is_cancelled_only_after_it_landed(world: World) -> None:
    world.push(1)
    world.wait(world.until(1, StageName.COMMIT))
    with world.database.write() as connection:
        changes.submit(connection, 1, "gitops#main", {}, now())
        changes.take_batch(connection, "gitops#main")
    assert world.control.cancel(1, "mina").state is RunState.WAITING
    assert world.done(world.begin(1), gitops_commit="c" * 40) is None
    run = world.run(1)
    assert (run.state, run.committed) == (RunState.CANCELLED, True)
    assert run.detail == "cancelled by mina after its change was committed"


def committing(world: World) -> None:
    """Have a writer at work on the change of run 1, which waits for it."""
    world.push(1)
    world.wait(world.until(1, StageName.COMMIT), after=5)
    with world.database.write() as connection:
        changes.submit(connection, 1, "gitops#main", {}, now())
        changes.take_batch(connection, "gitops#main")


def has_landed(world: World) -> None:
    with world.database.write() as connection:
        changes.finish(connection, [(1, "landed", {})])


WAITS: Fact = Reported(stage=StageName.COMMIT, outcome=Wait(reason=Reason.COMMIT_QUEUED, after=5))
TROUBLE: Fact = Troubled(stage=StageName.COMMIT, reason=Reason.GITOPS_UNAVAILABLE, detail="503")


@pytest.mark.parametrize("fact", [WAITS, TROUBLE])
def test_a_cancelled_run_that_looks_while_its_change_is_pushed_goes_on_waiting(world: World, fact: Fact) -> None:
    committing(world)
    world.control.cancel(1, "mina")
    world.one.report(world.begin(1), fact, "build")
    assert world.run(1).state is RunState.WAITING
    has_landed(world)
    world.done(world.begin(1), gitops_commit="c" * 40)
    run = world.run(1)
    assert (run.state, run.committed) == (RunState.CANCELLED, True)
    assert run.detail == "cancelled by mina after its change was committed"


@pytest.mark.parametrize("taken", [True, False])
def test_a_run_that_fails_while_its_change_is_pushed_says_so(world: World, taken: bool) -> None:
    committing(world)
    if not taken:
        with world.database.write() as connection:
            changes.give_back(connection, [1])
    refused = Reported(stage=StageName.COMMIT, outcome=Fail(reason=Reason.SOURCE_REFUSED, detail="401"))
    world.one.report(world.begin(1), refused, "build")
    run = world.run(1)
    assert (run.state, run.reason) == (RunState.FAILED, Reason.SOURCE_REFUSED)
    assert run.detail == "401" + ("; whether its change was committed could not be found out" if taken else "")


@pytest.mark.parametrize("fact", [WAITS, TROUBLE])
def test_a_run_whose_time_is_over_while_its_change_is_pushed_says_so(
    world: World, fact: Fact, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing(world)
    look = world.begin(1)
    monkeypatch.setattr("orchestrator.services.execution.clock", lambda: now() + 1000)
    world.one.report(look, fact, "build")
    assert world.run(1).state is RunState.FAILED
    assert world.run(1).detail.endswith("; whether its change was committed could not be found out")


def test_a_run_whose_change_has_landed_unseen_is_cancelled_only_after_it_has_seen_it(world: World) -> None:
    committing(world)
    has_landed(world)
    assert world.control.cancel(1, "mina").state is RunState.WAITING
    world.done(world.begin(1), gitops_commit="c" * 40)
    assert (world.run(1).state, world.run(1).committed) == (RunState.CANCELLED, True)


def test_a_cancelled_run_whose_worker_vanished_while_it_pushed_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing(world)
    world.begin(1)
    world.control.cancel(1, "mina")
    monkeypatch.setattr(reconcile, "clock", lambda: now() + 3600)
    assert world.reconcile.expired_leases() == [1]
    assert world.run(1).state is RunState.WAITING


def test_a_rollback_brings_back_the_image_before_as_a_new_run(world: World) -> None:
    for number in (1, 2):
        world.push(number)
        world.finish(world.done(world.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    run = world.run(world.control.rollback("plate-web", "stg", "mina", None))
    assert (run.trigger, run.image, run.digest, run.commit) == ("rollback", "h/p:1", "sha256:1", f"{1:040x}")
    world.finish(world.begin(run.id))
    back = world.run(world.control.rollback("plate-web", "stg", "mina", 2))
    assert back.digest == "sha256:2"


@pytest.mark.parametrize("healthy", [True, False])
def test_what_is_rolled_back_may_be_an_image_without_a_source(world: World, healthy: bool) -> None:
    world.push(1)
    world.finish(world.done(world.begin(1), image="h/p:1", digest="sha256:1"))
    hotfix = world.control.start(Wish(app="plate-web", environment="stg", image="hotfix", actor="mina"))
    health = world.until(hotfix, StageName.HEALTH, image="h/p:hotfix", digest="sha256:f")
    degraded: Fact = Reported(stage=StageName.HEALTH, outcome=Fail(reason=Reason.DEGRADED))
    assert (world.done(health) if healthy else world.one.report(health, degraded, "build")) is None
    assert world.run(hotfix).state is (RunState.SUCCEEDED if healthy else RunState.FAILED)

    back = world.run(world.control.rollback("plate-web", "stg", "mina", None))

    assert (back.image, back.digest) == ("h/p:1", "sha256:1")
    world.finish(world.begin(back.id))
    if healthy:
        forth = world.run(world.control.rollback("plate-web", "stg", "mina", None))
        assert (forth.image, forth.digest) == ("h/p:hotfix", "sha256:f")


def test_an_image_without_a_source_hides_no_commit_from_the_order(world: World) -> None:
    world.push(1)
    world.finish(world.begin(1))
    hotfix = world.control.start(Wish(app="plate-web", environment="stg", image="hotfix"))
    world.finish(world.begin(hotfix))
    world.push(2)
    assert world.begin(3).rivals == (
        Rival(run=1, commit=f"{1:040x}", ref="refs/heads/main", landed=True, begun=True),
    )


def test_a_run_that_is_named_is_found_however_many_came_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.runs.MAX_PAGE", 1)
    two_places(world)
    for number in (1, 2):
        (run,) = world.push(number)["runs"]
        world.finish(world.done(world.begin(run), image=f"h/p:{number}", digest=f"sha256:{number}"))
    world.finish(world.begin(4))
    assert world.run(world.control.rollback("plate-web", "stg", "mina", 1)).digest == "sha256:1"
    assert world.run(world.control.promote("plate-web", "prod", "mina", 1)).digest == "sha256:1"
    with pytest.raises(NotPossible, match="run 4 has not been proven in plate-web/stg"):
        world.control.rollback("plate-web", "stg", "mina", 4)
    with pytest.raises(NotPossible, match="run 4 has not succeeded in plate-web/stg"):
        world.control.promote("plate-web", "prod", "mina", 4)


def test_there_must_be_something_to_roll_back_to(world: World) -> None:
    with pytest.raises(NotPossible, match="nothing else was proven yet"):
        world.control.rollback("plate-web", "stg", "mina", None)
    with pytest.raises(NotPossible, match="run 9 has not been proven"):
        world.control.rollback("plate-web", "stg", "mina", 9)
