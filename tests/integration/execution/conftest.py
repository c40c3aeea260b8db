"""A workshop on each of the two databases, and its clocks."""

import time
from pathlib import Path

import pytest

from orchestrator.store.database import Database
from tests.support.databases import database, postgres_url
from tests.support.executing import SetClocks, Workshop

__all__ = ["database", "postgres_url"]


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> Workshop:
    return Workshop(database, tmp_path)


@pytest.fixture
def set_clocks(monkeypatch: pytest.MonkeyPatch) -> SetClocks:
    """Set by how many seconds the clock of all that is at work here is ahead."""

    def put(seconds: float) -> None:
        for name in ("services.execution", "services.ingest", "services.reconcile", "store.wakes"):
            monkeypatch.setattr(f"orchestrator.{name}.clock", lambda: time.time() + seconds)

    return put
