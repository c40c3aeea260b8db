"""The migrations lead to exactly the schema that the code uses, on both databases, once and again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.store import migrate
from orchestrator.store.database import Database, sqlite_url
from orchestrator.store.schema import metadata, stages
from tests.support.databases import postgres_database, postgres_url
from tests.support.waiting import until

__all__ = ["postgres_url"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        fresh = Database(sqlite_url(str(tmp_path)))
        yield fresh
        fresh.close()
        return
    with postgres_database(request.getfixturevalue("postgres_url")) as made:
        yield made


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    migrate.upgrade(database)
    migrate.upgrade(database)
    assert migrate.current(database) == migrate.expected()
    assert migrate.expected() == ScriptDirectory(migrate._FOLDER).get_current_head()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_what_a_newer_version_has_changed_is_left_alone(database: Database) -> None:
    migrate.upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused) as caught:
        migrate.upgrade(database)
    assert (caught.value.reason, migrate.current(database)) == (Reason.DATABASE_NEWER, "9999")


def test_an_empty_database_has_no_schema(tmp_path: Path) -> None:
    assert migrate.current(Database(sqlite_url(str(tmp_path)))) == ""


def test_what_has_landed_before_landings_had_numbers_keeps_its_order(database: Database) -> None:
    migrate.upgrade(database)
    with database.write() as connection:
        _go_back(connection, "0003")
        for run_id, commit, at in ((1, "succeeded", 30.0), (2, "failed", 40.0), (3, "succeeded", 20.0)):
            connection.execute(text(_RUN), {"id": run_id})
            for name, state in (("check", "succeeded"), ("commit", commit)):
                connection.execute(text(_STAGE), {"id": run_id, "name": name, "state": state, "at": at})
    migrate.upgrade(database)
    with database.read() as connection:
        found = connection.execute(select(stages.c.run_id, stages.c.name, stages.c.landing))
        assert {(row.run_id, row.name): row.landing for row in found if row.landing} == {
            (3, "commit"): 1,
            (1, "commit"): 2,
        }


@pytest.mark.parametrize(
    ("lock", "bounds"),
    [
        ("LOCK TABLE deliveries", "-c statement_timeout=100"),
        (f"SELECT pg_advisory_xact_lock({migrate._LOCK})", "-c statement_timeout=100 -c lock_timeout=100"),
    ],
)
def test_a_migration_may_take_longer_than_any_other_statement(postgres_url: str, lock: str, bounds: str) -> None:
    """A long table takes its time, and so does another process that migrates; both are waited for."""
    with postgres_database(postgres_url) as made:
        with made.write() as connection:
            _go_back(connection, "0010")
        hasty = Database(f"{made.url}&options={bounds}")
        with ThreadPoolExecutor(1) as pool, made.engine.connect() as busy, made.engine.connect() as other:
            busy.execute(text(lock))
            upgraded = pool.submit(migrate.upgrade, hasty)
            until(lambda: upgraded.done() or _has_waited(other), "the migration")
            busy.rollback()
            upgraded.result(10)
        assert migrate.current(hasty) == migrate.expected()
        hasty.close()


def _has_waited(connection: Connection) -> bool:
    """Tell whether somebody has waited for a lock for three times as long as a statement may take."""
    found = connection.execute(text(_WAITED)).first()
    connection.rollback()
    return found is not None


def _go_back(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


_WAITED = """
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query_start < now() - interval '300 ms'
"""
_RUN = """
    INSERT INTO runs (id, app, environment, trigger, ref, "commit", image, digest, title, author, actor, state,
        reason, detail, attempt, from_stage, cancel_requested, approved, dedupe, created_at, lease_owner, fence)
    VALUES (:id, 'a', 'stg', 'push', '', '', '', '', '', '', '', 'succeeded', 'healthy',
        '', 1, '', false, true, '', 1, '', 0)
"""
_STAGE = """
    INSERT INTO stages (run_id, name, state, reason, detail, attempt, reused, finished_at, outputs)
    VALUES (:id, :name, :state, 'done', '', 1, false, :at, '{}')
"""
