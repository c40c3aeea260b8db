"""What holds for the fast tests: they open no socket at all, not even on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

from orchestrator.store.database import Database
from tests.support.databases import sqlite_database


@pytest.fixture(autouse=True)
def _only_loopback() -> Iterator[None]:
    """Refuse all sockets, in place of the rule for the other tests."""
    disable_socket()
    yield
    enable_socket()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database of SQLite."""
    database = sqlite_database(tmp_path)
    yield database
    database.close()
