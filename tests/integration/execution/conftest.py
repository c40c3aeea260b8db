"""A world on each of the two databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import postgres_database, postgres_url, sqlite_database
from tests.support.executing import Workshop

__all__ = ["postgres_url"]


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    if request.param == "sqlite":
        database = sqlite_database(tmp_path)
        yield Workshop(database, tmp_path)
        database.engine.dispose()
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as database:
            yield Workshop(database, tmp_path)
