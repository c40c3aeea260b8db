"""A site on each of the two databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.apps import Channel
from orchestrator.store.database import Database
from tests.support.databases import postgres_database, postgres_url, sqlite_database
from tests.support.metering import HOOK, Site
from tests.support.web import make_world

__all__ = ["postgres_url"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        fresh = sqlite_database(tmp_path)
        yield fresh
        fresh.engine.dispose()
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as made:
            yield made


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Site:
    channels = (Channel(name="slack-1", kind="slack"),)
    settings = make_world(database, tmp_path, hooks=(HOOK,), channels=channels).settings
    return Site(database=database, settings=settings)
