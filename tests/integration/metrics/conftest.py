"""A site on each of the two databases."""

from pathlib import Path

import pytest

from orchestrator.domain.apps import Channel
from orchestrator.store.database import Database
from tests.support.databases import database, postgres_url
from tests.support.metering import HOOK, Site
from tests.support.web import make_web

__all__ = ["database", "postgres_url"]


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Site:
    channels = (Channel(name="slack-1", kind="slack"),)
    settings = make_web(database, tmp_path, hooks=(HOOK,), channels=channels).settings
    return Site(database=database, settings=settings)
