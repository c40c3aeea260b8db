"""Two processes at one database (PostgreSQL): fixtures for what each does while the other is at work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store.database import Database
from tests.support.databases import postgres_database
from tests.support.executing import Workshop
from tests.support.meanwhile import meanwhile

Meanwhile = Callable[[Callable[[str, Any], bool], Callable[[], Any]], Callable[[], Any]]


@pytest.fixture
def workshop(postgres_url: str, tmp_path: Path) -> Iterator[Workshop]:
    with postgres_database(postgres_url) as database:
        yield Workshop(database, tmp_path)


@pytest.fixture
def elsewhere(workshop: Workshop) -> Iterator[Database]:
    """The connection of another process."""
    database = Database(workshop.database.url)
    yield database
    database.close()


@pytest.fixture
def between(workshop: Workshop) -> Iterator[Meanwhile]:
    """Have something done right before a statement of the workshop's transactions."""
    looker = Database(workshop.database.url)
    with ThreadPoolExecutor(1) as pool:
        yield lambda before, do: meanwhile(workshop.database, looker, pool, before, do)
    looker.close()
