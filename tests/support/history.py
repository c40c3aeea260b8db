"""A database that has been in use for long, and what a question costs there."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

RUNS = 20_000
"""Runs of one environment that are over; as many deliveries, messages, changes and deployments came of them."""
COST = 2_000
"""Rows that a question may read, whatever has happened before."""

_OVER = "CASE WHEN i % 20 = 0 THEN 'failed' WHEN i % 20 = 1 THEN 'cancelled' ELSE 'succeeded' END"
_STAGES = ("check", "build", "push", "scan", "commit", "sync", "health")
_FILLED: dict[str, dict[str, str]] = {
    "deliveries": {
        "id": "i", "hook": "'github'", "key": "'key-' || i", "event": "'push'", "reason": "''", "detail": "''",
        "outcome": "CASE WHEN i % 40 = 0 THEN 'refused' WHEN i % 40 = 1 THEN 'ignored' ELSE 'accepted' END",
        "repo": "'acme/plate-web'", "actor": "'mina'", "remote": "''", "size": "100", "sha256": "''",
        "changes": "'[]'", "runs": "'[]'", "received_at": "i",
    },
    "runs": {
        "id": "i", "app": "'plate-web'", "environment": "'stg'", "trigger": "'push'", "ref": "'refs/heads/main'",
        '"commit"': "'commit-' || i", "image": "''", "digest": "''", "title": "'A change of a plate'",
        "author": "''", "actor": "''", "state": _OVER, "reason": "'done'", "detail": "''", "attempt": "1",
        "rerun_of": "CASE WHEN i % 50 = 0 THEN i - 1 END", "from_stage": "''", "delivery_id": "i",
        "cancel_requested": "false", "approved": "true", "dedupe": "'move-' || i", "created_at": "i",
        "started_at": "i", "finished_at": "i", "lease_owner": "''", "fence": "1",
    },
    "changes": {
        "run_id": "i", "branch_key": "'gitops main'", "payload": "'{}'", "state": "'landed'", "result": "'{}'",
        "created_at": "i",
    },
    "deployments": {
        "app": "'plate-web'", "environment": "'stg'", '"commit"': "'commit-' || i", "result": "'succeeded'",
        "run_id": "i", "committed_at": "i", "at": "i",
    },
    "notifications": {
        "run_id": "i", "channel": "'ops'", "type": "'run.failed'", "message": "'{}'", "state": "'sent'",
        "attempt": "1", "due_at": "i", "detail": "''", "created_at": "i",
    },
    "threads": {"run_id": "i", "channel": "'ops'", "reference": "''"},
    "clicks": {"id": "i", "channel": "'other'", "click": "'{}'", "attempt": "1", "received_at": "1000000"},
    "logs": {"run_id": "i", "first": "1", "lines": "1", "stage": "'build'", "at": "i", "text": "'x'"},
    "idempotency": {
        "key": "'key-' || i", "request": "''", "status": "202", "answer": "'{}'", "created_at": "i",
    },
    "tallies": {"name": "'pilotage_runs_total'", "labels": "'app-' || i", "value": "1"},
}  # fmt: skip
_STAGE = {
    "run_id": "i", "state": "CASE WHEN i % 20 = 1 THEN 'cancelled' ELSE 'succeeded' END", "reason": "'done'",
    "detail": "''", "attempt": "1", "reused": "false", "started_at": "i", "finished_at": "i", "outputs": "'{}'",
}  # fmt: skip
_LANDING = "CASE WHEN i % 20 <> 1 THEN i END"


def fill(engine: Engine) -> None:
    """Write down `RUNS` runs that are over, with all that came of them; nothing is waiting."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # spare it a look at the other table for each row
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table, columns in _FILLED.items():
            _insert(connection, table, columns)
        for name in _STAGES:
            landing = {"landing": _LANDING} if name == "commit" else {}
            _insert(connection, "stages", _STAGE | {"name": f"'{name}'"} | landing)
        if engine.dialect.name == "postgresql":
            for table in ("deliveries", "runs", "notifications", "clicks", "tallies"):
                ids = f"pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table})"
                connection.execute(text(f"SELECT setval({ids})"))
            connection.execute(text("ANALYZE"))  # as the server does by itself; SQLite never does


def _insert(connection: Connection, table: str, columns: dict[str, str]) -> None:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {RUNS})"
    values = f"SELECT {', '.join(columns.values())} FROM n"
    connection.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) {numbers} {values}".replace(":", "\\:")))


def cost(connection: Connection, ask: Callable[[Connection], object]) -> float:
    """Return how many rows a question has the database read (SQLite: an estimate from the steps it takes)."""
    if connection.dialect.name == "postgresql":
        before = _rows(connection)
        ask(connection)
        return _rows(connection) - before
    with _steps(connection) as taken:
        ask(connection)
    return len(taken)


def _rows(connection: Connection) -> float:
    counted = "seq_tup_read + coalesce(idx_tup_fetch, 0)"
    return float(connection.execute(text(f"SELECT sum({counted}) FROM pg_stat_xact_user_tables")).scalar_one())


@contextmanager
def _steps(connection: Connection) -> Iterator[list[None]]:
    """Count steps of SQLite's machine, of which it needs about ten for a row."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    taken: list[None] = []
    driver.set_progress_handler(lambda: taken.append(None), 10)
    try:
        yield taken
    finally:
        driver.set_progress_handler(None, 0)
