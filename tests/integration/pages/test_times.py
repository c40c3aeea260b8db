"""Times go on in a page that is open."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from orchestrator.domain.runs import RunState
from orchestrator.services.views import rfc3339
from orchestrator.web import words
from orchestrator.web.app import utc_now
from tests.support.factories import NOW
from tests.support.pages import page
from tests.support.web import Web

pytestmark = pytest.mark.slow
SECONDS = (0, 4.4, 44.9, 45, 59.6, 60, 89, 130, 599, 3599, 3600, 3661, 5400, 86399, 86400, 13 * 86400, 20 * 86400)


def test_browser_and_server_word_times_alike(tab: Page) -> None:
    for seconds in SECONDS:
        at = rfc3339(NOW - timedelta(seconds=seconds))
        assert at
        assert tab.evaluate("([s, day]) => agoWords(s, day)", [seconds, at[:10]]) == words.ago(at, NOW), seconds
        assert tab.evaluate("forWords", seconds) == words.lasts(at, NOW), seconds


def test_times_of_a_run_go_on(web: Web, tab: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.web.AT", utc_now().timestamp() - 42)
    run = web.run(RunState.RUNNING)
    tab.goto(f"/runs/{run}")
    assert "accepted just now" in tab.inner_text("#verdict")
    taken = tab.locator("#stage-check .took")
    before = taken.inner_text()
    assert re.fullmatch(r"4\d s", before)
    expect(taken).not_to_have_text(before, timeout=20_000)
    expect(tab.locator("#verdict")).to_contain_text("accepted 1 min ago", timeout=20_000)


def test_a_running_stage_says_for_how_long_without_a_script(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.web.AT", utc_now().timestamp() - 7300)
    run = web.run(RunState.RUNNING)
    assert page(web, f"/runs/{run}").text.count("2h01m") == 1
    assert page(web, "/runs").text.count("2h01m") == 1
    web.change(run, RunState.FAILED)
    assert "2h01m" not in page(web, f"/runs/{run}").text
