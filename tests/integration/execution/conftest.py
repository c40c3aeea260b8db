"""A world on each of the two databases, and its clocks."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import postgres_database, postgres_url, sqlite_database
from tests.support.executing import SetClocks, Workshop

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


@pytest.fixture
def set_clocks(monkeypatch: pytest.MonkeyPatch) -> SetClocks:
    """Set by how many seconds the clock of all that is at work here is ahead."""

    def put(seconds: float) -> None:
        for name in ("services.execution", "services.ingest", "services.reconcile", "store.wakes"):
            monkeypatch.setattr(f"orchestrator.{name}.clock", lambda: time.time() + seconds)

    return put
