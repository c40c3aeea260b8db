"""Lists of the API: pages, filters, and what came of deliveries."""

from pathlib import Path

import pytest

from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.domain.runs import RunState
from orchestrator.store import deliveries
from orchestrator.web.answers import DeliveryPage, RunPage
from tests.support.databases import sqlite_database
from tests.support.web import AT, Web, make_web, problem

START = {"app": "plate-web", "environment": "stg", "ref": "main"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path)


# Starting, repeating, stopping


def test_paging_repeats_and_skips_nothing_while_runs_arrive(web: Web) -> None:
    before = [web.run() for _ in range(7)]
    client = web.client("viewer")
    seen: list[int] = []
    url = "/api/v1/runs?limit=3&app=plate-web"
    while url:
        answer = client.get(url)
        RunPage.model_validate(answer.json)
        seen += [run["id"] for run in answer.json["items"]]
        web.run()
        link = answer.headers.get("Link", "")
        assert bool(link) == (answer.json["next"] is not None)
        url = link.partition("<")[2].partition(">")[0]
        assert not link or link.endswith('rel="next"')
    assert seen == sorted(before, reverse=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", 4), ("app=plate-web", 4), ("app=other", 0), ("environment=prod", 1), ("state=failed", 2), ("limit=1", 1),
     ("commit=abcd", 1), ("commit=abcde", 0)],
)  # fmt: skip
def test_runs_are_narrowed_down(web: Web, query: str, expected: int) -> None:
    for state in (RunState.QUEUED, RunState.FAILED, RunState.FAILED):
        web.run(state)
    web.run(environment="prod", commit="abcd" + 36 * "f")
    assert len(web.client("viewer").get(f"/api/v1/runs?{query}").json["items"]) == expected


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "cursor=0", "cursor=x", "cursor=99999999999", "state=red", "page=2", "app=",
     "app=%00", "limit=1&limit=2", "commit=ABCD", "commit=abc", "commit=%25"],
)  # fmt: skip
def test_a_query_that_is_not_exact_is_refused(web: Web, query: str) -> None:
    told = problem(web.client("viewer").get(f"/api/v1/runs?{query}"), 422, "invalid")
    assert told["errors"][0]["in"] == "query"


def test_deliveries_are_listed_with_what_came_of_them(web: Web) -> None:
    delivery = Delivery(hook="github", key="d-1", event="push", size=12, sha256="0" * 64, remote="192.0.2.1")
    with web.database.write() as connection:
        rows = [
            deliveries.row_of(delivery, AT, DeliveryOutcome.ACCEPTED),
            deliveries.row_of(delivery, AT, DeliveryOutcome.REFUSED, "signature"),
        ]
        rows[0]["changes"] = [{"ref": "refs/heads/main", "commit": "a" * 40}]
        first, second = deliveries.add(connection, rows)
        deliveries.set_runs(connection, {first: [41]})
    client = web.client("viewer")
    page = client.get("/api/v1/deliveries?limit=1").json
    DeliveryPage.model_validate(page)
    assert ([one["id"] for one in page["items"]], page["next"]) == ([second], second)
    found = client.get("/api/v1/deliveries?hook=github&outcome=accepted").json["items"]
    assert [(one["id"], one["runs"]) for one in found] == [(first, [41])]
    assert client.get(f"/api/v1/deliveries/{first}").json == found[0]
    problem(client.get("/api/v1/deliveries/99"), 404, "not-found")
