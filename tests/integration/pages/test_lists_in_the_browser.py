"""The lists, and what all pages share, in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.store import deliveries
from tests.support.browsers import Proxy
from tests.support.web import AT, Web

pytestmark = pytest.mark.slow
expect.set_options(timeout=20_000)


def test_a_list_of_runs_is_kept_up_to_date(web: Web, tab: Page, proxy: Proxy) -> None:
    run = web.run(RunState.RUNNING)
    tab.goto("/runs")
    tab.focus("td.what a")
    newer = web.run(RunState.QUEUED)
    web.change(run, RunState.FAILED, detail="exit 3")
    expect(tab.locator("#list")).to_contain_text("The image build failed: exit 3.")
    expect(tab.locator("tbody tr").first).to_contain_text(f"#{newer}")
    expect(tab.locator(f"td.what a[href='/runs/{run}']")).to_be_focused()
    proxy.down = True
    expect(tab.locator("#live")).to_have_text("reconnecting…")
    proxy.down = False
    expect(tab.locator("#live")).to_have_text("")


def test_what_somebody_selects_in_a_list_stays(web: Web, tab: Page) -> None:
    web.run(RunState.RUNNING)
    tab.goto("/runs")
    tab.evaluate("getSelection().selectAllChildren(document.querySelector('tbody tr'))")
    for _ in range(2):
        with tab.expect_response("**/runs"):
            pass
    assert tab.evaluate("getSelection().toString()")


def test_the_apps_are_kept_up_to_date(web: Web, tab: Page) -> None:
    tab.goto("/apps")
    web.run(RunState.FAILED, detail="exit 3")
    expect(tab.locator("#plate-web-stg")).to_contain_text("The image build failed: exit 3.")


def test_who_is_at_a_button_of_the_apps_stays_there(web: Web, tab: Page) -> None:
    tab.goto("/apps")
    tab.locator(".poll button").focus()
    web.run(RunState.FAILED, detail="exit 3")
    expect(tab.locator("#plate-web-stg")).to_contain_text("The image build failed: exit 3.")
    expect(tab.locator(".poll button")).to_be_focused()


@pytest.mark.parametrize("path", ["/apps", "/runs", "/deliveries"])
def test_a_phone_shows_all_of_a_list(web: Web, tab: Page, path: str) -> None:
    web.run(RunState.FAILED, title="A title that is as long as people like to make them" * 3, detail="exit 3 " * 30)
    web.run(RunState.FAILED, title="https://tracker.example.com/browse?id=" + "no_place_to_break" * 6)
    delivery = deliveries.row_of(
        Delivery(hook="github", key="k" * 80), AT, DeliveryOutcome.IGNORED, "no_rule", "nothing fits " * 20
    )
    with web.database.write() as connection:
        deliveries.add(connection, [delivery | {"repo": "acme/" + "plate_" * 20 + "web"}])
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto(path)
    assert tab.locator("main td").count()
    beyond = (
        "cells => cells.filter(cell => cell.getBoundingClientRect().right > innerWidth).map(cell => cell.outerHTML)"
    )
    assert tab.locator("main td, main td *").evaluate_all(beyond) == []
    seen = "cells => cells.filter(cell => cell.getBoundingClientRect().right > 0).map(cell => cell.textContent)"
    assert tab.locator("main th").evaluate_all(seen) == [], "each value has its heading beside it"


def test_links_inside_a_text_are_underlined(web: Web, tab: Page) -> None:
    image = "harbor.example.com/plate/plate-web:sha-1"
    run = web.run(RunState.SUCCEEDED, image=image, landed=10.0, author="kim")
    ended = web.run(RunState.CANCELLED, reason=Reason.SUPERSEDED, superseded_by=run)
    plain = (
        "links => links.filter(link => [...link.parentElement.childNodes].some("
        "one => one.nodeType === Node.TEXT_NODE && one.textContent.trim()))"
        ".map(link => getComputedStyle(link).textDecorationLine)"
    )
    for path in (f"/runs/{run}", f"/runs/{ended}", "/apps", "/apps/plate-web/stg/hold", "/runs?app=none"):
        tab.goto(path)
        assert set(tab.locator("main a").evaluate_all(plain)) == {"underline"}, path


def test_the_fields_of_the_filter_stand_in_one_line(web: Web, tab: Page) -> None:
    web.run(RunState.RUNNING)
    tab.goto("/runs")
    ends = "all => all.map(one => [one.getBoundingClientRect().top, one.getBoundingClientRect().bottom].join())"
    fields = tab.locator(".filter select, .filter input, .filter button")
    assert (fields.count(), len(set(fields.evaluate_all(ends)))) == (5, 1)


def test_the_run_that_came_of_a_delivery_is_seen_to_be_a_link(web: Web, tab: Page) -> None:
    run = web.run(RunState.SUCCEEDED)
    delivery = deliveries.row_of(Delivery(hook="github", key="k"), AT, DeliveryOutcome.ACCEPTED)
    with web.database.write() as connection:
        deliveries.add(connection, [delivery | {"runs": [run]}])
    tab.goto("/deliveries")
    link = tab.locator("main td a", has_text=f"#{run}")
    assert link.evaluate("link => getComputedStyle(link).textDecorationLine") == "underline"


def test_a_phone_keeps_an_app_and_its_environment_apart(web: Web, tab: Page) -> None:
    web.run(RunState.RUNNING)
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto("/runs")
    assert tab.locator("td", has_text="plate-web").first.inner_text() == "plate-web stg"
