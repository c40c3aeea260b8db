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


def test_cancel_stops_a_waiting_run_at_once_and_a_working_one_at_its_next_checkpoint(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.wait(workshop.until(1, StageName.HEALTH))
    assert workshop.control.cancel(1, "mina").state is RunState.CANCELLED
    workshop.push(2)
    working = workshop.until(2, StageName.BUILD)
    assert workshop.control.cancel(2, "mina").state is RunState.RUNNING
    assert workshop.one.is_unwanted(working)
    workshop.one.report(working, Stopped(stage=StageName.BUILD), "build")
    assert workshop.run(2).detail == "cancelled by mina"


def test_a_run_whose_change_is_being_pushed_is_cancelled_only_after_it_landed(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.wait(workshop.until(1, StageName.COMMIT))
    with workshop.database.write() as connection:
        changes.submit(connection, 1, "gitops#main", {}, now())
        changes.take_batch(connection, "gitops#main")
    assert workshop.control.cancel(1, "mina").state is RunState.WAITING
    assert workshop.done(workshop.begin(1), gitops_commit="c" * 40) is None
    run = workshop.run(1)
    assert (run.state, run.committed) == (RunState.CANCELLED, True)
    assert run.detail == "cancelled by mina after its change was committed"


def committing(workshop: Workshop) -> None:
    """Have a writer at work on the change of run 1, which waits for it."""
    workshop.push(1)
    workshop.wait(workshop.until(1, StageName.COMMIT), after=5)
    with workshop.database.write() as connection:
        changes.submit(connection, 1, "gitops#main", {}, now())
        changes.take_batch(connection, "gitops#main")


def has_landed(workshop: Workshop) -> None:
    with workshop.database.write() as connection:
        changes.finish(connection, [(1, "landed", {})])


@pytest.mark.parametrize("fact", [WAITS, TROUBLE])
def test_a_cancelled_run_that_looks_while_its_change_is_pushed_goes_on_waiting(
    workshop: Workshop, fact: Fact
) -> None:
    committing(workshop)
    workshop.control.cancel(1, "mina")
    workshop.one.report(workshop.begin(1), fact, "build")
    assert workshop.run(1).state is RunState.WAITING
    has_landed(workshop)
    workshop.done(workshop.begin(1), gitops_commit="c" * 40)
    run = workshop.run(1)
    assert (run.state, run.committed) == (RunState.CANCELLED, True)
    assert run.detail == "cancelled by mina after its change was committed"


@pytest.mark.parametrize("taken", [True, False])
def test_a_run_that_fails_while_its_change_is_pushed_says_so(workshop: Workshop, taken: bool) -> None:
    committing(workshop)
    if not taken:
        with workshop.database.write() as connection:
            changes.give_back(connection, [1])
    refused = Reported(stage=StageName.COMMIT, outcome=Fail(reason=Reason.SOURCE_REFUSED, detail="401"))
    workshop.one.report(workshop.begin(1), refused, "build")
    run = workshop.run(1)
    assert (run.state, run.reason) == (RunState.FAILED, Reason.SOURCE_REFUSED)
    assert run.detail == "401" + ("; whether its change was committed could not be found out" if taken else "")


@pytest.mark.parametrize("fact", [WAITS, TROUBLE])
def test_a_run_whose_time_is_over_while_its_change_is_pushed_says_so(
    workshop: Workshop, fact: Fact, set_clocks: SetClocks
) -> None:
    committing(workshop)
    look = workshop.begin(1)
    set_clocks(1000)
    workshop.one.report(look, fact, "build")
    assert workshop.run(1).state is RunState.FAILED
    assert workshop.run(1).detail.endswith("; whether its change was committed could not be found out")


def test_a_run_whose_change_has_landed_unseen_is_cancelled_only_after_it_has_seen_it(workshop: Workshop) -> None:
    committing(workshop)
    has_landed(workshop)
    assert workshop.control.cancel(1, "mina").state is RunState.WAITING
    workshop.done(workshop.begin(1), gitops_commit="c" * 40)
    assert (workshop.run(1).state, workshop.run(1).committed) == (RunState.CANCELLED, True)


def test_a_cancelled_run_whose_worker_vanished_while_it_pushed_is_looked_at_again(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    committing(workshop)
    workshop.begin(1)
    workshop.control.cancel(1, "mina")
    set_clocks(3600)
    assert workshop.reconcile.expired_leases() == [1]
    assert workshop.run(1).state is RunState.WAITING
