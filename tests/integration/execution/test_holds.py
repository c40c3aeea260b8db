"""A hold stops what no writer has taken yet, however far the run is."""

from dataclasses import asdict

import pytest

from orchestrator.domain.changes import Batch, Change, Edit, Landed, Withdrawn
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Run, RunState, StageName, Wait
from orchestrator.engine.facts import Fact, Reported, Troubled
from orchestrator.services.commits import Commits
from orchestrator.store import changes, runs
from orchestrator.store.database import now
from tests.support.executing import Workshop, push_to_both, queue

QUEUED: Fact = Reported(stage=StageName.COMMIT, outcome=Wait(reason=Reason.COMMIT_QUEUED, after=5))
TROUBLE: Fact = Troubled(stage=StageName.COMMIT, reason=Reason.GITOPS_UNAVAILABLE, detail="503")


def change(run: int) -> Change:
    edits = (Edit(path="image.tag", value=f"sha-{run}"),)
    return Change(run=run, file="values.yaml", edits=edits, message="deploy", trailers=(), date=1)


def committing(workshop: Workshop, run: int, fact: Fact) -> None:
    """Have a run begin its commit and wait; its change is in the queue."""
    commit = workshop.until(run, StageName.COMMIT)
    with workshop.database.write() as connection:
        changes.submit(connection, run, "gitops#main", asdict(change(run)), now())
    workshop.one.report(commit, fact, "build")


def hold(workshop: Workshop) -> None:
    workshop.control.hold("plate-web", "stg", "freeze", "mina")


def is_held(run: Run) -> bool:
    return (run.state, run.reason, run.detail) == (RunState.WAITING, Reason.ON_HOLD, "on hold: freeze")


def state_of(workshop: Workshop, run: int) -> str | None:
    with workshop.database.read() as connection:
        row = changes.load(connection, run)
    return row["state"] if row else None


@pytest.fixture
def two(workshop: Workshop) -> Workshop:
    """Runs 1 and 2 of one push, the first in the environment that is put on hold."""
    return push_to_both(workshop)


@pytest.mark.parametrize("fact", [QUEUED, TROUBLE])
def test_a_run_that_waits_for_git_is_held_at_its_next_look_and_goes_on_when_released(
    two: Workshop, fact: Fact
) -> None:
    committing(two, 1, fact)
    hold(two)
    assert two.one.begin(1, "build") is None
    assert is_held(two.run(1))
    assert state_of(two, 1) is None
    two.due()
    two.control.release("plate-web", "stg")
    assert 1 in two.due()
    again = two.begin(1)
    assert again.stage is StageName.COMMIT
    two.finish(again)
    assert two.run(1).state is RunState.SUCCEEDED


def test_a_hold_takes_none_of_the_time_in_which_a_change_must_land(two: Workshop) -> None:
    committing(two, 1, TROUBLE)
    assert two.run(1).stage(StageName.COMMIT).attempt == 2
    hold(two)
    two.one.begin(1, "build")
    held = two.run(1).stage(StageName.COMMIT)
    assert (held.started_at, held.deadline_at, held.attempt) == (None, None, 0)


def test_a_writer_leaves_out_what_is_on_hold(two: Workshop) -> None:
    committing(two, 1, QUEUED)
    hold(two)
    other = queue(two, "other")
    assert other.submit(change(2)) == Batch(changes=[change(2)])
    other.stop([change(2)])
    with two.database.read() as connection:
        assert changes.oldest_waiting(connection, "gitops#main") == 2, "who is held writes for nobody"
    two.control.release("plate-web", "stg")
    assert other.submit(change(2)) == Batch(changes=[change(1), change(2)])


def test_what_is_being_pushed_lands_all_the_same(two: Workshop) -> None:
    committing(two, 1, QUEUED)
    other = queue(two, "other")
    other.submit(change(2))
    hold(two)
    assert two.begin(1).stage is StageName.COMMIT
    other.finish([Landed(run=1, commit="c" * 40, created=True)])
    assert state_of(two, 1) == "landed"


def held_in_doubt(two: Workshop) -> Commits:
    """Hold the environment of run 1 after its writer has vanished; return another writer."""
    committing(two, 1, QUEUED)
    lost = queue(two, "lost")
    lost.submit(change(2))
    lost.stop([change(2)])
    hold(two)
    return queue(two, "other")


def test_what_may_have_been_pushed_is_looked_for_and_waits_if_it_is_not_there(two: Workshop) -> None:
    other = held_in_doubt(two)
    assert other.submit(change(2)) == Batch(changes=[change(1), change(2)], unwanted=frozenset([1]))
    other.finish([Withdrawn(run=1)])
    other.stop([change(2)])
    assert state_of(two, 1) == "pending"
    assert two.one.begin(1, "build") is None
    assert is_held(two.run(1))


def test_a_run_that_was_cancelled_meanwhile_does_not_wait_for_the_end_of_a_hold(two: Workshop) -> None:
    other = held_in_doubt(two)
    other.submit(change(2))
    two.control.cancel(1, "mina")
    other.finish([Withdrawn(run=1)])
    two.one.report(two.begin(1), QUEUED, "build")
    assert (two.run(1).state, two.run(1).detail) == (RunState.CANCELLED, "cancelled by mina")


@pytest.mark.parametrize("again_first", [False, True])
def test_a_rollback_and_its_re_run_go_through_a_hold_that_keeps_pushes_away(
    workshop: Workshop, again_first: bool
) -> None:
    for number in (1, 2):
        workshop.push(number)
        workshop.finish(workshop.done(workshop.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    hold(workshop)
    back = workshop.control.rollback("plate-web", "stg", "mina", None)
    if again_first:
        workshop.one.report(
            workshop.begin(back),
            Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.REGISTRY_REFUSED)),
            "build",
        )
        back = workshop.control.rerun(back, "mina")
    committing(workshop, back, QUEUED)
    workshop.push(3)
    workshop.one.report(workshop.begin(back + 1), Reported(stage=StageName.CHECK, outcome=Done()), "build")
    assert is_held(workshop.run(back + 1))
    with workshop.database.read() as connection:
        rivals = runs.rivals(connection, workshop.run(back + 1))
    assert [one.run for one in rivals if one.rolls_back] == [back]
    again = workshop.begin(back)
    assert again.stage is StageName.COMMIT, "its change stays in the queue"
    other = queue(workshop, "other")
    assert other.submit(change(1)) == Batch(changes=[change(back)])
    other.finish([Landed(run=back, commit="c" * 40, created=True)])
    workshop.finish(again)
    assert workshop.run(back).state is RunState.SUCCEEDED


@pytest.mark.parametrize("fact", [QUEUED, TROUBLE])
def test_a_rollback_goes_on_as_soon_as_the_commit_before_it_is_held(workshop: Workshop, fact: Fact) -> None:
    """It may not overtake a commit that may be on its way; one that is held is on its way no more."""
    for number in (1, 2):
        workshop.push(number)
        workshop.finish(workshop.done(workshop.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    workshop.push(3)
    committing(workshop, 3, fact)
    hold(workshop)
    back = workshop.control.rollback("plate-web", "stg", "mina", None)
    assert workshop.done(workshop.begin(back)) is None
    assert (workshop.run(back).reason, workshop.run(back).blocked_by) == (Reason.BEHIND_RUN, 3)
    workshop.due()

    assert workshop.one.begin(3, "build") is None
    assert is_held(workshop.run(3))
    assert back in workshop.due()
    workshop.finish(workshop.begin(back))
    assert workshop.run(back).state is RunState.SUCCEEDED
