"""The migrations lead to exactly the schema that the code uses, on both databases, once and again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.store import migrate
from orchestrator.store.database import Database, sqlite_url
from orchestrator.store.schema import metadata
from tests.support.databases import postgres_database, postgres_url

__all__ = ["postgres_url"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        fresh = Database(sqlite_url(str(tmp_path)))
        yield fresh
        fresh.engine.dispose()
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


def test_an_empty_database_has_no_schema(tmp_path: Path) -> None:
    assert migrate.current(Database(sqlite_url(str(tmp_path)))) == ""
