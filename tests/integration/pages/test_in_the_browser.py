"""The page of a run in a real browser."""

import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.web.app import utc_now
from tests.support.browsers import Proxy
from tests.support.web import Web

pytestmark = pytest.mark.slow
expect.set_options(timeout=20_000)


def follow(tab: Page, run: int) -> None:
    tab.goto(f"/runs/{run}")
    expect(tab.locator("#live")).to_have_text("live")


def test_a_run_is_followed_to_its_end(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    follow(tab, run)
    web.log(run, "Step 1/2", "Step 2/2 \N{BLACK HEART SUIT}")
    expect(tab.locator("#log .row").last).to_contain_text("Step 2/2 \N{BLACK HEART SUIT}")
    web.change(run, RunState.FAILED, detail="exit 3")
    expect(tab.locator("#verdict")).to_contain_text("The image build failed: exit 3.")
    expect(tab).to_have_title(re.compile(f"^✗ #{run} "))
    expect(tab.locator("#live")).to_have_text("")


def test_many_open_pages_leave_room_for_one_more(web: Web, tab: Page) -> None:
    for _ in range(8):
        run = web.run(RunState.WAITING, reason=Reason.AWAITING_APPROVAL, approved=False)
        one = tab.context.new_page()
        follow(one, run)
        web.log(run, f"line of run {run}")
        expect(one.locator("#log")).to_contain_text(f"line of run {run}")
        hide(one)


def test_a_page_that_nobody_saw_shows_all_once_it_is_seen_again(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    follow(tab, run)
    hide(tab)
    web.log(run, "meanwhile")
    web.change(run, RunState.SUCCEEDED)
    expect(tab).to_have_title(re.compile("^✓"))
    expect(tab.locator("#log")).not_to_contain_text("meanwhile")
    hide(tab, hidden=False)
    expect(tab.locator("#log")).to_contain_text("meanwhile")


def test_a_page_that_is_hidden_and_seen_at_once_follows_the_run_once(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    tab.add_init_script(
        "const Real = EventSource; window.made = []; window.EventSource = class extends Real {"
        " constructor(url) { super(url); window.made.push(this); } }"
    )
    follow(tab, run)
    hide(tab)
    hide(tab, hidden=False)
    web.log(run, "once")
    expect(tab.locator("#log")).to_contain_text("once")
    expect(tab.locator("#live")).to_have_text("live")
    tab.wait_for_function("window.made.length > 1")
    assert tab.evaluate("window.made.filter(one => one.readyState !== EventSource.CLOSED).length") == 1


def test_what_a_long_log_pushes_out_of_the_page_is_a_link_away(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    follow(tab, run)
    web.log(run, *(f"line {n}" for n in range(1, 701)))
    expect(tab.locator("#log .row").last).to_contain_text("line 700")
    assert tab.locator("#log .row").count() == 600
    tab.click("text=earlier lines")
    expect(tab.locator("#L101")).to_be_in_viewport()
    assert tab.locator("#L100").count() == 1


def test_the_part_of_a_stage_is_followed(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, "checked", stage="check")
    web.log(run, "building")
    follow(tab, run)
    tab.click("#stage-check a")
    expect(tab.locator("#live")).to_have_text("live")
    web.log(run, "still building")
    web.log(run, "checked again", stage="check")
    expect(tab.locator("#log .row").last).to_contain_text("checked again")
    assert "building" not in tab.inner_text("#log")
    web.change(run, RunState.FAILED, detail="exit 3")
    expect(tab.locator("#verdict")).to_contain_text("exit 3")


@pytest.mark.parametrize("query", ["line=1", "find=building"])
def test_a_fixed_part_of_a_log_says_so_while_the_rest_of_the_page_follows(web: Web, tab: Page, query: str) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, "building")
    tab.goto(f"/runs/{run}?{query}")
    expect(tab.locator(".find")).to_contain_text("This part stands still; new lines are at its end: end of the log")
    web.log(run, "still building")
    web.change(run, RunState.WAITING, reason=Reason.AWAITING_APPROVAL)
    expect(tab.locator("#verdict")).to_contain_text("The run waits for approval.")
    assert tab.locator("#log .row").count() == 1
    web.change(run, RunState.SUCCEEDED)
    expect(tab.locator("#verdict")).to_contain_text("succeeded")
    expect(tab.locator("#fixed")).to_have_count(0)
    tab.click("text=end of the log")
    expect(tab.locator("#log")).to_contain_text("still building")


def test_a_flood_of_lines_leaves_the_page_quick_and_small(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    follow(tab, run)
    tab.evaluate(
        "window.laidOut = 0; const { get } = Object.getOwnPropertyDescriptor(Element.prototype, 'scrollHeight');"
        "Object.defineProperty(document.getElementById('log'), 'scrollHeight', {"
        " get() { laidOut += 1; return get.call(this); } })"
    )
    web.log(run, *(f"line {n}" for n in range(1, 20_001)))
    expect(tab.locator("#log .row").last).to_contain_text("line 20000")
    assert 0 < tab.evaluate("laidOut") < 2_000, "for each look the browser lays the log out anew"
    assert tab.evaluate("document.querySelectorAll('*').length") < 3000


def test_who_reads_further_up_is_left_alone_and_told_what_came(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, *(f"line {n}" for n in range(1, 301)))
    follow(tab, run)
    tab.evaluate("document.getElementById('log').scrollTop -= 300")
    place = tab.evaluate("document.getElementById('log').scrollTop")
    for begin in range(301, 2301, 500):
        web.log(run, *(f"line {n}" for n in range(begin, begin + 500)))
    expect(tab.locator("#jump")).to_have_text("2000 new lines, jump to end")
    assert tab.evaluate("document.getElementById('log').scrollTop") == place
    numbers = [int(n) for n in tab.locator("a.n").all_inner_texts()]
    assert numbers == list(range(101, 101 + len(numbers))), "no line is left out or comes twice"
    assert len(numbers) <= 600
    tab.click("#jump")
    expect(tab.locator("#L2300")).to_be_in_viewport()
    assert [int(n) for n in tab.locator("a.n").all_inner_texts()] == list(range(1701, 2301))
    expect(tab.locator("#jump")).to_be_hidden()


def test_what_somebody_selects_in_the_log_stays_where_it_is_while_lines_come(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, *(f"line {n}" for n in range(1, 301)))
    follow(tab, run)
    tab.evaluate("getSelection().selectAllChildren(document.querySelector('#L300 .t'))")
    place = tab.evaluate("document.getElementById('log').scrollTop")
    web.log(run, *(f"line {n}" for n in range(301, 401)))
    expect(tab.locator("#jump")).to_have_text("100 new lines, jump to end")
    assert tab.evaluate("document.getElementById('log').scrollTop") == place
    assert tab.evaluate("getSelection().toString()") == "line 300"
    tab.evaluate("getSelection().removeAllRanges()")
    web.log(run, "line 401")
    expect(tab.locator("#jump")).to_be_hidden()
    assert tab.evaluate("(({ scrollHeight: h, scrollTop: t, clientHeight: c }) => h - t - c)(log)") < 1


def test_what_somebody_selects_beside_a_part_that_stands_still_stays(
    web: Web, tab: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.web.AT", utc_now().timestamp())
    run = web.run(RunState.RUNNING)
    web.log(run, "building")
    tab.goto(f"/runs/{run}?line=1")
    tab.evaluate("getSelection().selectAllChildren(document.querySelector('dl code'))")
    selected = tab.evaluate("getSelection().toString()")
    before = tab.locator("#stage-check .took").inner_text()
    expect(tab.locator("#stage-check .took")).not_to_have_text(before)
    for _ in range(2):
        with tab.expect_response(f"**/runs/{run}"):
            pass
    assert tab.evaluate("getSelection().toString()") == selected != ""
    assert tab.locator("#stage-check .took").inner_text() != before
    web.change(run, RunState.SUCCEEDED)
    expect(tab.locator("#stage-check")).to_contain_text("succeeded")


def hide(tab: Page, *, hidden: bool = True) -> None:
    """Bring another tab to the front, as far as the page can tell: without a window all tabs are in front."""
    tab.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_a_restart_behind_a_proxy_does_not_end_the_following(web: Web, tab: Page, proxy: Proxy) -> None:
    run = web.run(RunState.RUNNING)
    follow(tab, run)
    proxy.down = True
    web.streams.close()
    expect(tab.locator("#live")).to_have_text("reconnecting…")
    web.streams._closing.clear()
    proxy.down = False
    web.log(run, "after the restart")
    expect(tab.locator("#log")).to_contain_text("after the restart")


@pytest.mark.parametrize("streams", ["held back", "turned away"])
def test_where_a_proxy_lets_no_stream_through_the_page_asks_for_what_is_new(
    web: Web, tab: Page, proxy: Proxy, streams: Any
) -> None:
    proxy.streams = streams
    run = web.run(RunState.RUNNING)
    tab.goto(f"/runs/{run}")
    for line in ("one", "two"):
        web.log(run, line)
        expect(tab.locator("#log .row").last).to_contain_text(line)
    web.log(run, "three")
    web.change(run, RunState.FAILED, detail="exit 3")
    expect(tab.locator("#verdict")).to_contain_text("The image build failed: exit 3.")
    expect(tab.locator("#log .row")).to_have_text(["1buildone", "2buildtwo", "3buildthree"])
    expect(tab.locator("#live")).to_have_text("")


def test_a_click_on_cancel_does_not_start_the_run_again(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    follow(tab, run)
    tab.focus("button.cancel")
    tab.evaluate("window.setTimeout = () => 0")  # time stands still
    web.change(run, RunState.SUCCEEDED)
    expect(tab.locator("button.rerun")).to_be_disabled()
    expect(tab.locator("#verdict")).to_be_focused()


def test_a_long_log_is_read_in_parts(web: Web, tab: Page) -> None:
    run = web.run(RunState.FAILED)
    for begin in range(1, 3001, 500):
        web.log(run, *(f"line {n}" for n in range(begin, begin + 500)))
    web.log(run, "Committed", stage="commit")
    tab.goto(f"/runs/{run}")
    assert tab.evaluate("document.querySelectorAll('*').length") < 3000
    tab.goto(f"/runs/{run}?line=1234")
    seen = []
    for _ in range(2):
        seen += [int(n) for n in tab.locator("a.n").all_inner_texts()]
        tab.click("text=later lines")
        tab.wait_for_url(f"**#L{seen[-1] + 1}")
    assert all(after - before == 1 for before, after in pairwise(seen)), "no line is left out or comes twice"
    tab.click("text=earlier lines")
    expect(tab.locator(f"#L{seen[-1]}")).to_be_in_viewport()


def test_a_line_that_there_is_not_is_asked_for_once(web: Web, tab: Page) -> None:
    run = web.run(RunState.FAILED)
    web.log(run, "only")
    visits: list[str] = []
    tab.on("framenavigated", lambda frame: visits.append(frame.url))
    tab.goto(f"/runs/{run}#L9")
    tab.wait_for_url(f"**/runs/{run}?line=9#L9")
    tab.wait_for_timeout(300)
    assert len(visits) == 2
    expect(tab.locator("#L1")).to_be_in_viewport()


def test_a_log_without_lines_says_so_where_they_come(web: Web, tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 800})
    run = web.run(RunState.RUNNING)
    follow(tab, run)
    expect(tab.locator("#log")).to_have_text("No log lines yet.")
    web.log(run, "first")
    expect(tab.locator("#log")).to_have_text("1buildfirst")


def test_the_lines_of_a_log_are_no_stops_of_the_tab_key(web: Web, tab: Page) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, "old")
    follow(tab, run)
    web.log(run, "new")
    expect(tab.locator("#log .row")).to_have_count(2)
    assert tab.locator("#log a").evaluate_all("links => links.map(link => link.tabIndex)") == [-1, -1]
    tab.focus("#log")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('#log')") is None
