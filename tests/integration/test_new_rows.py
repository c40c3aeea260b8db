"""Ids of new rows: in the order of what arrived, and those of runs never twice, on both databases."""

import pytest
from sqlalchemy import Connection, delete, select

from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.domain.runs import Trigger
from orchestrator.store import deliveries, runs, wakes
from orchestrator.store.database import Database
from orchestrator.store.runs import NewRun
from orchestrator.store.schema import runs as runs_table
from orchestrator.store.schema import wakes as wakes_table
from tests.support.databases import database, postgres_url

__all__ = ["database", "postgres_url"]

AT = 1_000.0


def add(connection: Connection, *commits: str) -> list[int]:
    new = [NewRun(app="plate-web", environment="stg", trigger=Trigger.PUSH, commit=commit) for commit in commits]
    return runs.add(connection, [(one, None) for one in new], AT)


def add_and_break(database: Database) -> None:
    with database.write() as connection:
        add(connection, "b")
        raise RuntimeError


def commits_of(connection: Connection, run_ids: list[int]) -> list[str]:
    found = {row.id: row.commit for row in connection.execute(select(runs_table.c.id, runs_table.c.commit))}
    return [found[run_id] for run_id in run_ids]


def test_runs_get_ids_in_the_order_of_their_pushes(database: Database) -> None:
    with database.write() as connection:
        first, second = add(connection, "a", "b"), add(connection, *(str(number) for number in range(250)))
        assert first + second == sorted({*first, *second})
        assert commits_of(connection, first + second) == ["a", "b", *(str(number) for number in range(250))]
        assert add(connection) == []


def test_the_id_of_a_run_that_was_removed_is_not_given_again(database: Database) -> None:
    with database.write() as connection:
        gone = add(connection, "a", "b")
        connection.execute(delete(runs_table))
    with database.write() as connection:
        assert add(connection, "c")[0] > max(gone)


def test_an_insert_that_was_undone_leaves_ids_that_rise(database: Database) -> None:
    with database.write() as connection:
        first = add(connection, "a")
    with pytest.raises(RuntimeError):
        add_and_break(database)
    with database.write() as connection:
        later = add(connection, "c")
        assert later > first
        assert commits_of(connection, first + later) == ["a", "c"]


def test_deliveries_of_the_same_name_have_ids_of_their_own(database: Database) -> None:
    """Refused ones: anybody can send them, under any name."""
    refused = [
        deliveries.row_of(Delivery(hook="github", key="same"), AT, DeliveryOutcome.REFUSED, str(at))
        for at in range(30)
    ]
    with database.write() as connection:
        ids = deliveries.add(connection, refused)
        loaded = [deliveries.load(connection, one) for one in ids]
        assert [one["reason"] for one in loaded if one] == [str(at) for at in range(30)]


def test_each_new_run_has_its_wake_up(database: Database) -> None:
    with database.write() as connection:
        ids = add(connection, "a", "b", "c")
        wakes.add(connection, ids[:2], AT, "deploy")
        wakes.add(connection, [], AT, "deploy")
        woken = connection.execute(select(wakes_table.c.run_id, wakes_table.c.due_at, wakes_table.c.queue))
        assert sorted(map(tuple, woken)) == [(run_id, AT, "deploy") for run_id in ids[:2]]
