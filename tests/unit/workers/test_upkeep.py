"""The relay tells in the tables that it lives, and keeps the tallies small."""

import threading
from pathlib import Path

from orchestrator.domain.metrics import LEASES_LOST
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import processes, tallies
from tests.support.databases import sqlite_database
from tests.support.factories import make_settings
from workers.relay import UPKEEP, Upkeep


def test_upkeep_leaves_a_row_and_one_sum(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    for _ in range(3):
        with database.write() as connection:
            tallies.add(connection, {(LEASES_LOST.name, ()): 1.0})

    pause = Upkeep(Reconcile(database, make_settings(str(tmp_path)))).once(threading.Event())

    assert pause == UPKEEP
    with database.read() as connection:
        assert [row["kind"] for row in processes.alive(connection, 0.0)] == ["relay"]
        assert tallies.read(connection) == {(LEASES_LOST.name, ()): 3.0}
        assert connection.exec_driver_sql("SELECT count(*) FROM tallies").scalar_one() == 1
    database.close()
