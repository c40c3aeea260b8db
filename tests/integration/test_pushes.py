"""Two hooks of one repository that tell of the same pushes, each in order, in every order beside the other."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from orchestrator.domain.events import Delivery, Push, RefChange, RefKind
from orchestrator.services.ingest import _write_batch
from orchestrator.store.schema import metadata, runs
from tests.support.executing import REPO, Workshop
from tests.support.moves import Move, branches, workshop

__all__ = ["workshop"]

CHANGE = RefChange(ref="refs/heads/main", kind=RefKind.BRANCH, name="main")


def orders(length: int) -> Iterator[list[tuple[str, int]]]:
    """List the ways in which two hooks can come, each telling of all moves in their order."""
    for first in itertools.combinations(range(2 * length), length):
        count = {"one": itertools.count(), "two": itertools.count()}
        hooks = ["one" if place in first else "two" for place in range(2 * length)]
        yield [(hook, next(count[hook])) for hook in hooks]


@pytest.mark.parametrize("moves", list(branches(3)), ids=str)
def test_no_push_is_lost_and_the_last_run_is_of_the_branchs_head(workshop: Workshop, moves: tuple[Move, ...]) -> None:
    """A push back that one hook has told of makes what the other one tells after it look new: then there are more."""
    returns = len({1, *(to for _, to in moves)}) <= len(moves)
    for order in orders(len(moves)):
        with workshop.database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        workshop.push(1, "begin", 0)
        answers = [(move, workshop.push(moves[move][1], f"{hook}-{move}", moves[move][0])) for hook, move in order]
        made = [move for move, answer in answers if "duplicate" not in answer]
        assert set(made) == {0, 1, 2}, order
        assert returns or len(made) == 3, order
        last = max(run for _, answer in answers for run in answer["runs"])
        assert workshop.run(last).commit == f"{moves[-1][1]:040x}", order


def test_moves_that_are_written_down_together_are_told_apart_as_those_that_are_not(workshop: Workshop) -> None:
    """There, back and there again: what the branch was at before is in no table while the batch is written."""
    items = []
    for number, (before, after) in enumerate([(1, 2), (2, 1), (1, 2)]):
        move = replace(CHANGE, before=f"{before:040x}", after=f"{after:040x}", commit=f"{after:040x}")
        push = Push(event="push", repo=REPO, changes=(move,))
        items.append(workshop.ingest._judge(Delivery(hook="github", key=f"d-{number}"), push))
    with workshop.database.write() as connection:
        _write_batch(connection, items)
    assert [item.answer.body.get("runs") for item in items] == [[1], [2], [3]]


@pytest.mark.parametrize(("hours", "again"), [(0, True), (23, True), (25, False)])
def test_a_copy_of_a_hook_that_comes_hours_later_makes_no_run(workshop: Workshop, hours: float, again: bool) -> None:
    """The branch has gone on meanwhile: a run of it would end as ``older_commit``."""
    for number in (1, 2, 3):
        workshop.push(number)
    with workshop.database.write() as connection:
        connection.execute(runs.update().values(created_at=runs.c.created_at - hours * 3600))
    answer = workshop.push(2, "copy")
    assert (answer.get("duplicate", False), answer["runs"]) == ((True, [2]) if again else (False, [4]))
