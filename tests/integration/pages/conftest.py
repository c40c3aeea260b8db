"""The web over a database of its own."""

from pathlib import Path

import pytest

from tests.support.databases import sqlite_database
from tests.support.web import Web, make_web


@pytest.fixture
def world(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path)
