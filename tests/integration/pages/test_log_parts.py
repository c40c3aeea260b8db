"""The log on the page of a run: its end, its parts, and the places of a search."""

import pytest

from orchestrator.domain.runs import RunState
from tests.support.pages import Page, page
from tests.support.web import Web


def test_a_run_shows_the_end_of_its_log_without_a_script(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, *(f"\x1b[32mline {n}\x1b[0m <i>" for n in range(1, 301)))
    answer = web.browser().get(f"/runs/{run}").text
    shown = Page(answer)
    assert answer.count('<div class="row"') == 200
    assert "line 300 <i>" in shown.text
    assert "line 101 <i>" in shown.text
    assert "line 100 <i>" not in shown.text
    assert "\x1b" not in answer
    assert {"href": f"/api/v1/runs/{run}/logs"} in shown.all("a")


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [("", 103, 302), ("line=1", 1, 200), ("line=150", 100, 299), ("line=301", 103, 302), ("line=9999", 103, 302),
     ("stage=check", 1, 1), ("stage=build", 102, 301), ("stage=build&line=60", 10, 209), ("stage=push", 0, 0),
     ("stage=x", 103, 302), ("line=x", 103, 302), ("find=LINE%2010&list=1", 10, 109),
     ("find=line&list=1", 1, 200), ("find=line&stage=commit&list=1", 302, 302),
     ("find=line%20150&line=150", 100, 299), ("find=%3Ci%3E%20302", 0, 0)],
)  # fmt: skip
def test_each_part_of_a_log_has_an_address(web: Web, query: str, first: int, last: int) -> None:
    run = web.run(RunState.FAILED)
    web.log(run, "line 1", stage="check")
    for begin in range(2, 302, 100):
        web.log(run, *(f"\x1b[32mline {n}\x1b[0m" for n in range(begin, begin + 100)))
    web.log(run, "line 302", stage="commit")
    shown = [
        int(one["id"][1:])
        for one in page(web, f"/runs/{run}?{query}").all("div")
        if "id" in one and one["id"][0] == "L"
    ]
    assert (shown[0], shown[-1]) == (first, last) if shown else (first, last) == (0, 0)


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("find=LINE%201", "find=LINE+1&line=1#L1"),
        ("find=LINE%201&after=2", "find=LINE+1&line=10#L10"),
        ("find=LINE%201&line=20", "find=LINE+1&line=100#L100"),
        ("find=LINE%201&after=11&line=10", "find=LINE+1&line=11#L11"),
        ("find=LINE%201&after=200", "find=LINE+1&line=1#L1"),
        ("find=line&stage=commit", "stage=commit&find=line&line=302#L302"),
    ],
    ids=["first", "next", "a line without it", "next of one that is shown", "round to the first", "in a stage"],
)
def test_a_search_leads_to_the_place_where_the_text_is(web: Web, query: str, there: str) -> None:
    run = web.run(RunState.FAILED)
    web.log(run, *(f"line {n}" for n in range(1, 302)))
    web.log(run, "line 302", stage="commit")
    answer = web.browser().get(f"/runs/{run}?{query}")
    assert (answer.status_code, answer.location) == (302, f"/runs/{run}?{there}")


def test_a_place_leads_to_those_before_and_after_it_and_to_all(web: Web) -> None:
    run = web.run(RunState.FAILED)
    web.log(run, "a fault & <b>", "none", "A FAULT & <B>", "a Fault & <b>")
    answer = web.browser().get(f"/runs/{run}?find=fault+%26+%3Cb%3E&line=1").text
    links = {one["rel"]: one["href"] for one in Page(answer).all("a") if "rel" in one}
    assert links == {
        "prev": "?find=fault+%26+%3Cb%3E&line=4#L4",
        "next": "?find=fault+%26+%3Cb%3E&line=3#L3",
    }
    assert {"href": "?find=fault+%26+%3Cb%3E&list=1#log"} in Page(answer).all("a")
    assert "1 of 3" in Page(answer).text
    assert answer.count("<mark>") == 3
    assert "A <mark>FAULT &amp; &lt;B&gt;</mark></span>" in answer
