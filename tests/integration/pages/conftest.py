"""The web over a database of its own, and a browser in front of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browsers import Proxy, browser, log_in
from tests.support.databases import sqlite_database
from tests.support.web import Web, make_web, served


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def proxy(web: Web) -> Proxy:
    return Proxy(web.app.wsgi_app)


@pytest.fixture
def tab(web: Web, proxy: Proxy, chromium: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A tab of somebody who may deploy."""
    monkeypatch.setattr(web.app, "wsgi_app", proxy)
    with served(web.app) as site, chromium.new_context(base_url=site) as context:
        yield log_in(context, web.tokens["deployer"])
        web.streams.close()
