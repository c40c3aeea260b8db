"""The ways of a branch, and a workshop in which they are told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import sqlite_database
from tests.support.executing import Workshop

Move = tuple[int, int]
"""From a commit to another one; commits are numbers, each the parent of the next."""


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    database = sqlite_database(tmp_path)
    yield Workshop(database, tmp_path)
    database.close()


def branches(length: int, at: int = 1) -> Iterator[tuple[Move, ...]]:
    """List the ways of a branch over three commits, pushes back included."""
    if not length:
        yield ()
        return
    for to in sorted({1, 2, 3} - {at}):
        yield from (((at, to), *rest) for rest in branches(length - 1, to))
