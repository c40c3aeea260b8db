"""The state folder may have any name: what means something in an address means nothing in a folder's name."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest

from orchestrator.cli.broker import embedded
from orchestrator.services.bell import Bell
from tests.support.databases import sqlite_database
from tests.support.offline import product

NAMES = ("a#b", "a%20b", "a?b=c", "a b", "a;b", "u:p@h", "한글", "a+b%2Fc&d")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", NAMES)
def test_both_clients_find_the_broker_in_its_folder(short: Path, name: str) -> None:
    with open(os.devnull) as nothing, embedded(short / name, holds=nothing.fileno()) as broker:
        assert (short / name / "broker" / "broker.sock").is_socket()
        Bell(broker.redis_url).ping()
        with kombu.Connection(broker.celery_url) as connection:
            connection.ensure_connection(max_retries=1, timeout=5)


@pytest.mark.parametrize("name", NAMES)
def test_the_database_is_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    sqlite_database(folder).engine.dispose()
    assert [one.name for one in folder.iterdir()] == ["pilotage.db"]
    assert list(tmp_path.iterdir()) == [folder]


def test_everything_comes_up_in_such_a_folder(short: Path) -> None:
    with product(short / "a #b%20c?d;e") as running:
        assert (running.state_dir / "broker" / "broker.sock").is_socket()
