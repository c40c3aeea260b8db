"""The web over a database of its own."""

from pathlib import Path

import pytest

from tests.support.databases import sqlite_database
from tests.support.web import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(sqlite_database(tmp_path), tmp_path)
