"""A run that is cancelled, or fails, ends when it is known what came of its change."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, RunState, StageName, Wait
from orchestrator.engine.facts import Fact, Reported, Stopped, Troubled
from orchestrator.store import changes
from orchestrator.store.database import now
from tests.support.executing import SetClocks, Workshop

WAITS: Fact = Reported(stage=StageName.COMMIT, outcome=Wait(reason=Reason.COMMIT_QUEUED, after=5))
TROUBLE: Fact = Troubled(stage=StageName.COMMIT, reason=Reason.GITOPS_UNAVAILABLE, detail="503")


def test_cancel_stops_a_waiting_run_at_once_and_a_working_one_at_its_next_checkpoint(world: Workshop) -> None:
    world.push(1)
    world.wait(world.until(1, StageName.HEALTH))
    assert world.control.cancel(1, "mina").state is RunState.CANCELLED
    world.push(2)
    working = world.until(2, StageName.BUILD)
    assert world.control.cancel(2, "mina").state is RunState.RUNNING
    assert world.one.is_unwanted(working)
    world.one.report(working, Stopped(stage=StageName.BUILD), "build")
    assert world.run(2).detail == "cancelled by mina"


def test_a_run_whose_change_is_being_pushed_is_cancelled_only_after_it_landed(world: Workshop) -> None:
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


def committing(world: Workshop) -> None:
    """Have a writer at work on the change of run 1, which waits for it."""
    world.push(1)
    world.wait(world.until(1, StageName.COMMIT), after=5)
    with world.database.write() as connection:
        changes.submit(connection, 1, "gitops#main", {}, now())
        changes.take_batch(connection, "gitops#main")


def has_landed(world: Workshop) -> None:
    with world.database.write() as connection:
        changes.finish(connection, [(1, "landed", {})])


@pytest.mark.parametrize("fact", [WAITS, TROUBLE])
def test_a_cancelled_run_that_looks_while_its_change_is_pushed_goes_on_waiting(world: Workshop, fact: Fact) -> None:
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
def test_a_run_that_fails_while_its_change_is_pushed_says_so(world: Workshop, taken: bool) -> None:
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
    world: Workshop, fact: Fact, set_clocks: SetClocks
) -> None:
    committing(world)
    look = world.begin(1)
    set_clocks(1000)
    world.one.report(look, fact, "build")
    assert world.run(1).state is RunState.FAILED
    assert world.run(1).detail.endswith("; whether its change was committed could not be found out")


def test_a_run_whose_change_has_landed_unseen_is_cancelled_only_after_it_has_seen_it(world: Workshop) -> None:
    committing(world)
    has_landed(world)
    assert world.control.cancel(1, "mina").state is RunState.WAITING
    world.done(world.begin(1), gitops_commit="c" * 40)
    assert (world.run(1).state, world.run(1).committed) == (RunState.CANCELLED, True)


def test_a_cancelled_run_whose_worker_vanished_while_it_pushed_is_looked_at_again(
    world: Workshop, set_clocks: SetClocks
) -> None:
    committing(world)
    world.begin(1)
    world.control.cancel(1, "mina")
    set_clocks(3600)
    assert world.reconcile.expired_leases() == [1]
    assert world.run(1).state is RunState.WAITING
