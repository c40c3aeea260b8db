"""How environments stand is read for any number of them in a few statements, each for a power of two."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import event, insert, update

from orchestrator.domain.runs import StageName, Trigger
from orchestrator.store import figures, runs
from orchestrator.store.database import Connection, Database
from orchestrator.store.schema import runs as run_rows
from orchestrator.store.schema import stages as stage_rows

STG = ("plate-web", "stg")


def history(connection: Connection, states: Sequence[str]) -> None:
    """Add runs of one environment, oldest first, each with its change in Git unless it is queued."""
    new = runs.NewRun(app=STG[0], environment=STG[1], trigger=Trigger.MANUAL)
    made = runs.add(connection, [(new, None)] * len(states), 1.0)
    for landing, (run_id, state) in enumerate(zip(made, states, strict=True), 1):
        connection.execute(update(run_rows).where(run_rows.c.id == run_id).values(state=state))
        if state != "queued":
            row = {"run_id": run_id, "name": "commit", "state": "succeeded", "reason": "done", "landing": landing}
            outputs = {"gitops_commit": f"g{run_id}"}
            connection.execute(insert(stage_rows).values({**row, "outputs": outputs, "finished_at": 5.0}))


@contextmanager
def told(connection: Connection) -> Iterator[list[str]]:
    """List the statements that the database is told meanwhile."""
    found: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        found.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    yield found
    event.remove(connection, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("states", "last", "landed", "judged", "deployed"),
    [
        ((), None, None, None, None),
        (("queued",), 1, None, None, None),
        (("succeeded",), 1, 1, 1, 1),
        (("succeeded", "queued"), 2, 1, 1, 1),
        (("succeeded", "failed"), 2, 2, 2, 1),
        (("succeeded", "failed", "waiting"), 3, 3, 2, 1),
        (("succeeded", "failed", "waiting", "queued"), 4, 3, 2, 1),
        (("succeeded", "cancelled"), 2, 2, 1, 1),
        (("failed", "running"), 2, 2, 1, None),
        (("running",), 1, 1, None, None),
        (("failed", "succeeded"), 2, 2, 2, 2),
    ],
)
def test_each_question_is_answered_by_its_run(
    database: Database,
    states: Sequence[str],
    last: int | None,
    landed: int | None,
    judged: int | None,
    deployed: int | None,
) -> None:
    with database.write() as connection:
        history(connection, states)
    with database.read() as connection:
        found = figures.standings(connection, [STG])[STG]
    runs_found = (found.last, found.landed, found.judged, found.deployed)
    assert tuple(run.id if run else None for run in runs_found) == (last, landed, judged, deployed)
    if found.landed is not None:
        commit = found.landed.stage(StageName.COMMIT)
        assert (found.landed.outputs["gitops_commit"], commit.finished_at is not None) == (f"g{landed}", True)


@pytest.mark.parametrize(
    ("states", "looks"),
    [((), 2), (("succeeded",), 2), (("succeeded", "failed"), 3), (("running",), 3), (("failed", "running"), 4)],
)
def test_what_one_answer_tells_of_another_question_is_not_asked_for(
    database: Database, states: Sequence[str], looks: int
) -> None:
    with database.write() as connection:
        history(connection, states)
    with database.read() as connection, told(connection) as statements:
        figures.standings(connection, [STG])
    assert len([one for one in statements if "UNION" in one or "anon" in one]) == looks


@pytest.mark.parametrize("number", [1, 2, 3, 63, 64, 65, 130])
def test_each_environment_gets_its_own_newest_run(database: Database, number: int) -> None:
    places = [(f"app-{at}", "stg") for at in range(number)]
    with database.write() as connection:
        for _ in range(2):
            new = [runs.NewRun(app=app, environment=env, trigger=Trigger.MANUAL) for app, env in places]
            newest = runs.add(connection, [(one, None) for one in new], 1.0)
    with database.read() as connection:
        found = figures.standings(connection, [*places, ("none", "stg")])
    last = [found[place].last for place in places]
    assert [run.id if run else None for run in last] == newest
    assert found["none", "stg"] == figures.Standing()


def test_of_no_environment_nothing_is_asked(database: Database) -> None:
    with database.read() as connection:
        assert figures.standings(connection, []) == {}
