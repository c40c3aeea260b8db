"""What is asked again and again reads no history: it goes through the index of runs that are not over."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from orchestrator.store import claims, runs, wakes
from tests.support.databases import sqlite_database

QUESTIONS: dict[str, Callable[[Connection], object]] = {
    "runs that wait for Argo CD": lambda connection: runs.waiting_at(connection, ("sync", "health")),
    "runs without a wake-up": lambda connection: wakes.without(connection, 1.0),
    "runs whose worker vanished": lambda connection: claims.expired(connection, 1.0),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_only_runs_that_are_not_over_are_read(name: str, tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    asked: list[tuple[str, object]] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda _c, _cursor, text, values, *_: asked.append((text, values))
    )
    with database.read() as connection:
        QUESTIONS[name](connection)
        text, values = next(one for one in asked if one[0].startswith("SELECT"))
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]

    assert any("ix_runs_active" in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan), plan
    database.dispose()
