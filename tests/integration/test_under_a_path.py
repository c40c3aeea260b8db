"""The whole web as `pilotage up` serves it, under a path, and webhooks with a path of their own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestrator.cli.api import Api
from orchestrator.cli.errors import CliError
from orchestrator.cli.feed import Feed
from orchestrator.domain.runs import RunState
from tests.support.databases import sqlite_database
from tests.support.hooks import own_case
from tests.support.reverse_proxy import reverse_proxy
from tests.support.servers import serving
from tests.support.waiting import until
from tests.support.web import Web, make_web

SERVE = """
import sys
from orchestrator import journal
from orchestrator.cli.assembly import Parts, both_apps
from orchestrator.cli.broker import Broker
from orchestrator.cli.httpd import Httpd
from orchestrator.domain.apps import Hook, Secret
from tests.support.factories import make_settings

journal.configure("web")
settings = make_settings(
    sys.argv[1],
    database=sys.argv[2],
    hooks=(Hook(forge="github", secret=Secret("s3cret")),),
    external_url="https://tools.example.com/pilotage",
    webhook_url="https://hooks.example.com/ci",
)
Httpd(lambda: both_apps(Parts(settings, Broker(""))), "127.0.0.1:0").run()
"""
PUSH = own_case("github", "push-branch")


@dataclass
class Served:
    """The server, and what is in its database."""

    site: str
    log: Path
    web: Web

    def post(self, path: str, **more: Any) -> requests.Response:
        return requests.post(f"{self.site}{path}", data=PUSH.body, headers=PUSH.headers() | more, timeout=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("rooted")
    web = make_web(sqlite_database(folder), folder, external_url="https://tools.example.com/pilotage")
    with serving(SERVE, str(folder), web.database.url, log=folder / "log") as (_, port):
        yield Served(f"http://127.0.0.1:{port}", folder / "log", web)


@pytest.mark.parametrize("root", ["", "/pilotage", "/ci"])
@pytest.mark.parametrize("more", [{}, {"TE": "trailers"}], ids=["at once", "by a thread"])
def test_deliveries_are_taken_at_every_address_of_ours(server: Served, root: str, more: dict[str, str]) -> None:
    answer = server.post(f"{root}/webhooks/github", **more)
    assert answer.status_code in (200, 202), answer.text
    refused = server.post(f"{root}/webhooks/gitlab", **more)
    instance = f"{root or '/ci'}/webhooks/gitlab"
    assert (refused.status_code, refused.json()["instance"]) == (404, instance)


@pytest.mark.parametrize(
    "path", ["/cis/webhooks/github", "/ci/runs", "/pilotage/ci/webhooks/github", "/x/pilotage/runs"]
)
def test_no_other_path_is_ours(server: Served, path: str) -> None:
    assert server.post(path).status_code == 404
    assert requests.get(f"{server.site}{path}", timeout=20).status_code == 404


def test_probes_and_metrics_answer_with_and_without_the_path_and_their_lines_are_quiet(server: Served) -> None:
    for root in ("", "/pilotage"):
        for path in ("/healthz", "/readyz?only=database", "/metrics", "/static/icon.svg"):
            assert requests.get(f"{server.site}{root}{path}", timeout=20).status_code == 200
        requests.get(f"{server.site}{root}/nosuch", headers={"X-Request-Id": f"seen{len(root)}"}, timeout=20)

    def lines() -> list[dict[str, Any]] | None:
        told = [json.loads(line) for line in server.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        seen = [line["request_id"] for line in told if line["event"] == "request answered"]
        return told if {"seen0", "seen9"} <= set(seen) else None

    paths = [line["path"] for line in until(lines, "the lines of both", 10) if line["event"] == "request answered"]
    assert paths.count("/nosuch") == 2
    assert not {"/healthz", "/readyz", "/metrics", "/static/icon.svg"} & set(paths)


@pytest.mark.parametrize("root", ["", "/pilotage", "/pilotage/"])
def test_commands_reach_the_api_at_the_address_where_we_listen(server: Served, root: str) -> None:
    api = Api(f"{server.site}{root}", server.web.tokens["viewer"])
    run = server.web.run(RunState.SUCCEEDED)
    server.web.log(run, "one line")
    assert api.get("/runs", {"limit": 1})["items"][0]["url"] == f"https://tools.example.com/pilotage/runs/{run}"
    assert [event.kind for event in events(api, run)][-1] == "end"


@pytest.mark.parametrize("takes_off", [True, False])
def test_commands_reach_the_api_behind_a_proxy(server: Served, takes_off: bool) -> None:
    run = server.web.run(RunState.SUCCEEDED)
    with reverse_proxy(server.site, "/pilotage", takes_off=takes_off) as proxy:
        api = Api(proxy.url, server.web.tokens["viewer"])
        assert api.run(run)["id"] == run
        assert [event.kind for event in events(api, run)][-1] == "end"
        beside = Api(proxy.url.removesuffix("/pilotage"), server.web.tokens["viewer"])
        with pytest.raises(CliError, match=r"answered HTTP 404, not like Pilotage; check --url\."):
            beside.run(run)


def events(api: Api, run: int) -> list[Any]:
    """Follow a run that is over to its end."""
    feed, seen = Feed(api, run), []
    while not seen or seen[-1].kind != "end":
        event = feed.next(20)
        assert event is not None, "the stream says nothing"
        seen.append(event)
    return seen
