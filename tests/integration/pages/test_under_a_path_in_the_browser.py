"""The pages in a real browser, under a path of a reverse proxy, which takes the path off or passes it on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.domain.runs import RunState
from tests.support.browsers import log_in
from tests.support.databases import sqlite_database
from tests.support.reverse_proxy import ReverseProxy, reverse_proxy
from tests.support.web import Web, make_web, served

pytestmark = pytest.mark.slow
expect.set_options(timeout=20_000)
ROOT = "/tools/pilotage"


@pytest.fixture
def rooted(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path, external_url=f"http://tools.example.com{ROOT}")


@pytest.fixture(params=[False, True], ids=["passes it on", "takes it off"])
def front(request: pytest.FixtureRequest, rooted: Web) -> Iterator[ReverseProxy]:
    with served(rooted.app) as site, reverse_proxy(site, ROOT, takes_off=request.param) as running:
        yield running
        rooted.streams.close()


@pytest.fixture
def seat(rooted: Web, front: ReverseProxy, chromium: Browser) -> Iterator[Page]:
    """A tab of somebody who may deploy."""
    with chromium.new_context(base_url=front.url) as context:
        yield log_in(context, rooted.tokens["deployer"], ROOT)


def test_people_log_in_follow_a_run_press_a_button_and_choose_a_language(
    rooted: Web, front: ReverseProxy, seat: Page
) -> None:
    errors: list[str] = []
    seat.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    run = rooted.run(RunState.RUNNING)
    seat.click("nav a >> text=Runs")
    seat.click(f"a.number >> text=#{run}")
    expect(seat.locator("#live")).to_have_text("live")
    rooted.log(run, *(f"line {n}" for n in range(1, 701)))
    expect(seat.locator("#log .row").last).to_contain_text("line 700")
    seat.click("text=earlier lines")
    expect(seat.locator("#L101")).to_be_in_viewport()
    seat.click("text=end of the log")
    expect(seat.locator("#live")).to_have_text("live")
    seat.click("button.cancel")
    expect(seat.locator("#verdict")).to_contain_text("Cancelled by deployer-token.")
    seat.click("#L650 .n")
    seat.click("footer button[value=ko]")
    expect(seat.locator("html")).to_have_attribute("lang", "ko")
    assert seat.url == f"{front.url}/runs/{run}#build:L650"
    seat.click("nav a >> nth=1")
    expect(seat.locator("html")).to_have_attribute("lang", "ko")
    seat.click("form.who button")
    seat.wait_for_url(f"{front.url}/login")
    assert (front.astray, errors) == ([], [])


def test_a_list_renews_itself_and_a_lost_session_leads_to_the_login(
    rooted: Web, front: ReverseProxy, seat: Page
) -> None:
    run = rooted.run(RunState.RUNNING)
    expect(seat.locator(f"a[href='{ROOT}/runs/{run}']").first).to_be_visible()
    seat.context.clear_cookies()
    seat.wait_for_url(f"{front.url}/login?next={ROOT}/runs")
    seat.fill("[name=token]", rooted.tokens["viewer"])
    seat.click("form.login button")
    seat.wait_for_url(f"{front.url}/runs")
    assert front.astray == []
