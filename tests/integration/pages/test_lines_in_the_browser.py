"""Lines of a log are named by addresses and found, in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from orchestrator.domain.runs import RunState
from tests.support.web import Web

pytestmark = pytest.mark.slow
expect.set_options(timeout=20_000)
MARKED = "[...document.querySelectorAll('#log .marked')].map(row => row.id)"


def logged(web: Web, state: RunState = RunState.FAILED, lines: int = 500) -> int:
    """Make a run with a long log."""
    run = web.run(state)
    for begin in range(1, lines + 1, 250):
        web.log(run, *(f"line {n}" for n in range(begin, min(begin + 250, lines + 1))))
    return run


def current(tab: Page) -> list[str]:
    """Return the line that the page says is the one that is meant."""
    ids: list[str] = tab.locator("#log [aria-current]").evaluate_all("rows => rows.map(row => row.id)")
    return ids


@pytest.mark.parametrize(
    ("anchor", "lines"),
    [
        ("L120", range(120, 121)),
        ("build:L120", range(120, 121)),
        ("build:L120-L140", range(120, 141)),
        ("L120-140", range(120, 141)),
        ("build:L120-L110", range(120, 121)),
        ("build:L480-L490", range(480, 491)),
    ],
)
def test_an_address_names_lines_also_those_that_are_not_in_the_page(
    web: Web, tab: Page, anchor: str, lines: range
) -> None:
    run = logged(web)
    tab.goto(f"/runs/{run}#{anchor}")
    expect(tab.locator(f"#L{lines[0]}[aria-current]")).to_be_in_viewport()
    assert current(tab) == [f"L{lines[0]}"]
    assert tab.evaluate(MARKED) == [f"L{n}" for n in lines]
    assert tab.url.endswith(f"#{anchor}")


def test_another_address_in_the_same_page_names_other_lines(web: Web, tab: Page) -> None:
    tab.goto(f"/runs/{logged(web)}#build:L120-L140")
    expect(tab.locator("#L120[aria-current]")).to_be_in_viewport()
    tab.evaluate("location.hash = 'build:L450'")
    expect(tab.locator("#L450[aria-current]")).to_be_in_viewport()
    assert tab.evaluate(MARKED) == ["L450"]


def test_an_address_names_lines_also_after_the_login_and_in_another_language(web: Web, tab: Page) -> None:
    address = f"/runs/{logged(web)}#build:L120"
    tab.context.clear_cookies()
    tab.goto(address)
    for token in ("plt_wrong", web.tokens["viewer"]):
        tab.fill("[name=token]", token)
        tab.click("form.login button")
    expect(tab.locator("#L120[aria-current]")).to_be_in_viewport()
    tab.click("[name=language]")
    expect(tab.locator("html")).to_have_attribute("lang", "ko")
    expect(tab.locator("#L120[aria-current]")).to_be_in_viewport()


def test_a_click_names_a_line_and_one_with_the_shift_key_a_range(web: Web, tab: Page) -> None:
    run = logged(web)
    tab.goto(f"/runs/{run}")
    steps = (
        ("440", [], "#build:L440", ["L440"]),
        ("443", ["Shift"], "#build:L440-L443", ["L440", "L441", "L442", "L443"]),
        ("438", ["Shift"], "#build:L438-L440", ["L438", "L439", "L440"]),
        ("450", [], "#build:L450", ["L450"]),
        ("450", [], "", []),
    )
    for number, keys, anchor, marked in steps:
        tab.locator(f"#L{number} .n").click(modifiers=keys)  # type: ignore[arg-type]
        assert tab.evaluate("location.hash") == anchor
        assert tab.evaluate(MARKED) == marked
        assert current(tab) == marked[:1]
    assert tab.evaluate("getSelection().isCollapsed")
    tab.go_back()
    expect(tab.locator("#L450[aria-current]")).to_be_visible()
    assert tab.evaluate(MARKED) == ["L450"]


def test_a_line_that_is_named_stays_in_view_while_others_come(web: Web, tab: Page) -> None:
    run = logged(web, RunState.RUNNING)
    tab.goto(f"/runs/{run}#build:L499")
    expect(tab.locator("#live")).to_have_text("live")
    web.log(run, *(f"new {n}" for n in range(50)))
    expect(tab.locator("#jump")).to_have_text("50 new lines, jump to end")
    expect(tab.locator("#L499")).to_be_in_viewport()
    tab.click("#jump")
    expect(tab.locator("#L550")).to_be_in_viewport()
    assert (current(tab), tab.evaluate("location.hash")) == ([], "")
    web.log(run, "one more")
    expect(tab.locator("#L551")).to_be_in_viewport()


def test_the_browsers_key_to_find_leads_to_the_search_over_the_whole_log(web: Web, tab: Page) -> None:
    tab.goto(f"/runs/{logged(web)}")
    prevented = "window.stopped = []; addEventListener('keydown', e => stopped.push(e.defaultPrevented))"
    tab.evaluate(prevented)
    for key in ("Control+f", "Control+f"):
        tab.keyboard.press(key)
        expect(tab.locator("[name=find]")).to_be_focused()
    assert tab.evaluate("window.stopped.filter((_, n) => n % 2)") == [True, False], "the second is the browser's own"


def test_what_is_found_is_seen_in_its_place_one_after_the_other(web: Web, tab: Page) -> None:
    run = logged(web, lines=3000)
    tab.goto(f"/runs/{run}")
    tab.fill("[name=find]", "LINE 12")
    for line, place in ((12, 1), (120, 2), (121, 3)):
        expect(tab.locator("[name=find]")).to_be_focused()
        tab.keyboard.press("Enter")
        expect(tab.locator(f"#L{line}[aria-current]")).to_be_in_viewport()
        expect(tab.locator("#place")).to_contain_text(f"{place} of 111")
        assert tab.locator(f"#L{line} mark").inner_text() == "line 12"
    for line, place in ((120, 2), (12, 1), (1299, 111)):
        expect(tab.locator("[name=find]")).to_be_focused()
        tab.keyboard.press("Shift+Enter")
        expect(tab.locator(f"#L{line}[aria-current]")).to_be_in_viewport()
        expect(tab.locator("#place")).to_contain_text(f"{place} of 111")
    tab.click(".find >> text=next")
    expect(tab.locator("#L12[aria-current]")).to_be_in_viewport()
    tab.click(".find >> text=list")
    expect(tab.locator(".found")).to_contain_text("111 lines with “LINE 12”")
    tab.click("a.n >> text=1234")
    expect(tab.locator("#L1234[aria-current]")).to_be_in_viewport()
    expect(tab.locator("#place")).to_contain_text("46 of 111")


def test_the_last_line_of_a_very_long_log_is_found(web: Web, tab: Page) -> None:
    run = logged(web, lines=50_000)
    tab.goto(f"/runs/{run}")
    tab.fill("[name=find]", "line 49999")
    tab.press("[name=find]", "Enter")
    expect(tab.locator("#L49999[aria-current]")).to_be_in_viewport()
    assert tab.evaluate("document.querySelectorAll('*').length") < 3000
