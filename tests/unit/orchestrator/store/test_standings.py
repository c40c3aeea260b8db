"""How environments stand is read for any number of them in a few statements, each for a power of two."""

import pytest

from orchestrator.domain.runs import Trigger
from orchestrator.store import figures, runs
from orchestrator.store.database import Database


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
