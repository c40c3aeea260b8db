"""Pushes to a branch whose hooks come late or not at all, with polls in between, in every order."""

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from orchestrator.domain.refs import repo_key
from orchestrator.store import heads
from orchestrator.store.schema import metadata, runs, stages
from tests.support.executing import REPO, Workshop
from tests.support.moves import Move, branches, workshop

__all__ = ["workshop"]

Step = tuple[str, int]
"""A push, the hook of it, a look of the poll, or the checks of the runs that wait for theirs."""


_TABLES = tuple(table.name for table in reversed(metadata.sorted_tables))
_END: tuple[Step, ...] = (("check", 0), ("poll", 0), ("check", 0))
_RUNS = select(runs.c.id, runs.c.commit, runs.c.state).order_by(runs.c.id)
_QUEUED = select(runs.c.id).where(runs.c.state == "queued").limit(1)


def orders(pushes: int, hooks: tuple[int, ...]) -> Iterator[tuple[Step, ...]]:
    """List the orders of some pushes, of those of their hooks that come, and of one look of the poll."""

    def follow(pushed: int, told: int, *, polled: bool) -> Iterator[tuple[Step, ...]]:
        if (pushed, told, polled) == (pushes, len(hooks), True):
            yield ()
        if pushed < pushes:
            yield from ((("push", pushed), *rest) for rest in follow(pushed + 1, told, polled=polled))
        if told < len(hooks) and hooks[told] < pushed:
            yield from ((("hook", hooks[told]), *rest) for rest in follow(pushed, told + 1, polled=polled))
        if not polled and pushed:
            yield from ((("poll", 0), *rest) for rest in follow(pushed, told, polled=True))

    return follow(0, 0, polled=False)


def some(count: int) -> Iterator[tuple[int, ...]]:
    """List the choices of hooks that come, in the order of their pushes."""
    return itertools.chain.from_iterable(itertools.combinations(range(count), size) for size in range(count + 1))


def play(
    workshop: Workshop, moves: tuple[Move, ...], steps: tuple[Step, ...], *, busy: bool
) -> list[tuple[int, str]]:
    """Go through the steps on empty tables and let the poll look once more; return the runs as (commit, reason).

    :param busy: the workers check nothing before the end.
    """
    with workshop.database.write() as connection:
        for table in _TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")
    workshop.push(1, "begin", 0)
    at = 1
    check(workshop, at)
    for what, number in (*steps, *_END):
        before, after = moves[number]
        if what == "push":
            at = after
        elif what == "hook":
            workshop.push(after, f"hook-{number}", before)
        elif what == "poll":
            workshop.settle()
            workshop.polled(workshop.settings.apps[0], "main", f"{at:040x}")
        if what == "check" or not busy:
            check(workshop, at)
    with workshop.database.read() as connection:
        rows = connection.execute(select(runs.c.commit, runs.c.reason).order_by(runs.c.id))
        return [(int(row.commit, 16), row.reason) for row in rows]


def check(workshop: Workshop, at: int) -> None:
    """End the queued runs as the stage ``check`` does that sees the branch at a commit."""
    with workshop.database.read() as connection:
        if connection.execute(_QUEUED).first() is None:
            return
    with workshop.database.write() as connection:
        rows = connection.execute(_RUNS).all()
        landed = [int(row.commit, 16) for row in rows if row.state == "succeeded"]
        for row in rows:
            if row.state != "queued":
                continue
            commit = int(row.commit, 16)
            newer = any(commit < other <= at for other in landed)
            reason = "rewritten" if commit > at else "older_commit" if newer else "done"
            if reason == "done":
                landed.append(commit)
                checked = {"run_id": row.id, "name": "check", "state": "succeeded", "reason": "done", "outputs": {}}
                connection.execute(stages.insert().values(checked))
            else:
                heads.doubt(connection, repo_key(REPO.urls[0]), "refs/heads/main", row.commit)
            state = "succeeded" if reason == "done" else "failed"
            connection.execute(update(runs).where(runs.c.id == row.id).values(state=state, reason=reason))


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("moves", list(branches(3)), ids=str)
def test_what_the_branch_holds_in_the_end_is_deployed(
    workshop: Workshop, moves: tuple[Move, ...], busy: bool
) -> None:
    for hooks in some(len(moves)):
        for steps in orders(len(moves), hooks):
            ended = play(workshop, moves, steps, busy=busy)
            assert [commit for commit, reason in ended if reason == "done"][-1] == moves[-1][1], (steps, ended)


@pytest.mark.parametrize("busy", [False, True])
def test_a_branch_that_only_goes_on_has_no_second_run_of_a_commit(workshop: Workshop, busy: bool) -> None:
    moves = ((1, 2), (2, 3), (3, 4))
    for hooks in some(len(moves)):
        for steps in orders(len(moves), hooks):
            ended = play(workshop, moves, steps, busy=busy)
            assert max(Counter(commit for commit, _ in ended).values()) == 1, (steps, ended)


def test_what_a_hook_with_lost_neighbours_has_deployed_is_compared_with_the_branch(workshop: Workshop) -> None:
    """The branch goes on, back, and is in the end where the poll has seen it before."""
    moves = ((1, 2), (2, 3), (3, 1), (1, 2))
    steps = (("push", 0), ("poll", 0), ("push", 1), ("push", 2), ("hook", 2), ("push", 3))
    assert [commit for commit, _ in play(workshop, moves, steps, busy=False)] == [1, 2, 1, 2]
