"""The pages and the API under a path, as ``https://tools.example.com/pilotage``."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.config.public_url import OWN
from orchestrator.domain.apps import Hook
from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.domain.glances import Witness
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, Trigger
from orchestrator.domain.secrets import Secret
from orchestrator.store import deliveries, environments, glances, polls
from tests.support.databases import sqlite_database
from tests.support.hooks import FakeInbox, make_app
from tests.support.pages import OURS, Page
from tests.support.web import AT, Web, make_web

ROOT = "/pilotage"
EXTERNAL = f"http://tools.example.com{ROOT}"
ADDRESSES = ("href", "src", "action", "data-log-url")
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def rooted(tmp_path: Path) -> Web:
    hooks = (Hook(forge="github", secret=Secret("s")),)
    return make_web(sqlite_database(tmp_path), tmp_path, external_url=EXTERNAL, hooks=hooks)


def fill(web: Web) -> None:
    """Put there something of everything that a page can lead to."""
    image = "harbor.example.com/plate/plate-web:sha-7"
    healthy = web.run(RunState.SUCCEEDED, image=image, landed=10.0)
    broken = web.run(RunState.FAILED, image=image, landed=20.0)
    web.note_taken_back(broken, web.run(trigger=Trigger.ROLLBACK, actor=f"run {broken}"))
    web.run(RunState.CANCELLED, reason=Reason.SUPERSEDED, superseded_by=broken)
    web.run(RunState.WAITING, environment="prod", reason=Reason.AWAITING_APPROVAL, blocked_by=healthy)
    web.run(RunState.SUCCEEDED, rerun_of=healthy, attempt=2)
    web.log(broken, *(f"line {n}" for n in range(400)))
    for _ in range(30):
        web.run()
    with web.database.write() as connection:
        environments.set_hold(connection, "old", "prod", "freeze", "kim", AT)
        environments.set_hold(connection, "plate-web", "prod", "freeze", "kim", AT)
        polls.ask(connection, "plate-web", "kim", AT)
        seen = {"value": "x", "commit": "c" * 40, "author": "Ann", "run": healthy}
        glances.write(connection, Witness.GIT, {("plate-web", "stg"): seen})
        rows = [
            deliveries.row_of(Delivery(hook="github", key=str(n)), AT, DeliveryOutcome.ACCEPTED) for n in range(40)
        ]
        deliveries.add(connection, [row | {"runs": [healthy]} for row in rows])


def addresses(page: Page) -> set[str]:
    """Every address that a page names, and where its forms say that they lead back to."""
    found = {attributes[name] for _, attributes in page.tags for name in ADDRESSES if name in attributes}
    return found | {one["value"] for one in page.all("input") if one.get("name") == "next"}


class Crawler:
    """Follows every link that is ours from a page on, as a browser behind a proxy does."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        self.seen: dict[str, set[str]] = {}
        self.paths: set[str] = set()

    def visit(self, start: str) -> None:
        """Ask for everything that can be reached; of addresses that differ by numbers, for one."""
        left = [start]
        while left:
            address = left.pop().partition("#")[0]
            kind = re.sub(r"\d+", "N", address)
            if kind in self.seen or not address.startswith(ROOT):
                continue
            with self._client.get(address, headers=BROWSER) as answer:
                self.seen[kind] = self._addresses(answer)
                if answer.status_code != 405:
                    self.paths.add(bare(address.partition("?")[0]))
                base = address.partition("?")[0]
                left += [f"{base}{one}" if one.startswith("?") else one for one in sorted(self.seen[kind])]

    def _addresses(self, answer: Any) -> set[str]:
        if answer.status_code in (302, 303):
            return {answer.headers["Location"]}
        assert answer.status_code in (200, 404, 405), answer.text
        return addresses(Page(answer.text)) if answer.mimetype == "text/html" else set()


OTHERS = ("https://git.example.com/", "https://argocd.example.com/")


def passing_on(app: Any) -> Any:
    """A proxy that passes the path on; whatever is beside it belongs to others."""

    def ask(environ: dict[str, Any], start_response: Any) -> Any:
        assert f"{environ['PATH_INFO']}/".startswith(f"{ROOT}/"), environ["PATH_INFO"]
        return app(environ, start_response)

    return ask


def taking_off(app: Any) -> Any:
    """A proxy that takes the path off."""
    return passing_on(lambda environ, say: app({**environ, "PATH_INFO": bare(environ["PATH_INFO"])}, say))


def bare(path: str) -> str:
    return path.removeprefix(ROOT) or "/"


@pytest.fixture(params=[passing_on, taking_off])
def behind(request: pytest.FixtureRequest, rooted: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    """The web behind a proxy of each kind."""
    monkeypatch.setattr(rooted.app, "wsgi_app", request.param(rooted.app.wsgi_app))
    return rooted


def logged_in(web: Web, role: str = "admin") -> FlaskClient:
    client = web.client("")
    answer = client.post(f"{ROOT}/login", data={"token": web.tokens[role]}, headers=OURS)
    assert answer.headers["Location"] == f"{ROOT}/runs"
    return client


def test_every_page_leads_only_to_where_we_are_served(behind: Web) -> None:
    fill(behind)
    crawler = Crawler(logged_in(behind))
    crawler.visit(ROOT)
    for page, found in crawler.seen.items():
        assert [one for one in found if not one.startswith((f"{ROOT}/", "?", "#", *OTHERS))] == [], page
    rules = behind.app.url_map
    pages = {rule.endpoint for rule in rules.iter_rules() if "GET" in (rule.methods or ())}
    reached = {rules.bind("").match(path)[0] for path in crawler.paths}
    assert {one for one in pages if one.startswith(("pages.", "static"))} - reached == {"pages.login"}
    assert "api.get_log" in reached


def test_people_who_are_not_logged_in_come_to_where_they_wanted_to_be(behind: Web) -> None:
    client = behind.client("")
    answer = client.get(f"{ROOT}/runs?state=failed")
    assert answer.headers["Location"] == f"{ROOT}/login?next={ROOT}/runs?state%3Dfailed"
    shown = Page(client.get(answer.headers["Location"]).text)
    wanted = next(one["value"] for one in shown.all("input") if one.get("name") == "next")
    (form, *_) = shown.all("form")
    answer = client.post(form["action"], data={"token": behind.tokens["viewer"], "next": wanted}, headers=OURS)
    assert answer.headers["Location"] == f"{ROOT}/runs?state=failed"
    assert client.get(answer.headers["Location"]).status_code == 200
    assert client.post(f"{ROOT}/logout", headers=OURS).headers["Location"] == f"{ROOT}/login"
    assert client.get(f"{ROOT}/runs").status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.com",
        "//evil.example.com",
        "/\\evil.example.com",
        "/wiki",
        "/runs",
        "/pilotages",
        "/pilotage/../wiki",
        "/pilotage/%2e%2E/wiki",
        "/pilotage/.%2e/wiki",
        "/pilotage/..",
        "/pilotage\\..\\wiki",
        "/pilotage/..\\wiki?x",
        "/pilotage/./runs",
        "/pilotage/a\nb",
    ],
)
def test_the_login_leads_to_nobody_else_on_the_same_host(rooted: Web, target: str) -> None:
    form = {"token": rooted.tokens["viewer"], "next": target, "language": "ko"}
    client = rooted.client("")
    for path in ("/login", "/language"):
        answer = client.post(f"{ROOT}{path}", data=form, headers=OURS)
        assert answer.headers["Location"] == f"{ROOT}/runs"
    page = Page(client.get(f"{ROOT}/login", query_string={"next": target}).text)
    assert {"type": "hidden", "name": "next", "value": f"{ROOT}/runs"} in page.all("input")


@pytest.mark.parametrize(
    "target", ["/pilotage", "/pilotage/runs/7?find=../..#L7", "/pilotage?x", "/pilotage/apps#a..b"]
)
def test_the_login_leads_to_every_page_of_ours(rooted: Web, target: str) -> None:
    form = {"token": rooted.tokens["viewer"], "next": target}
    assert rooted.client("").post(f"{ROOT}/login", data=form, headers=OURS).headers["Location"] == target


def test_cookies_are_for_us_alone(rooted: Web) -> None:
    client = rooted.client("")
    form = {"token": rooted.tokens["viewer"], "language": "ko"}
    for path in ("/login", "/language", "/logout"):
        cookie = client.post(f"{ROOT}{path}", data=form, headers=OURS).headers["Set-Cookie"]
        assert f"Path={ROOT}" in re.split("; ?", cookie)


def test_at_the_top_cookies_are_for_the_whole_host(web: Web) -> None:
    form = {"token": web.tokens["viewer"], "language": "ko"}
    for path in ("/login", "/language"):
        cookie = web.client("").post(path, data=form, headers=OURS).headers["Set-Cookie"]
        assert "Path=/" in re.split("; ?", cookie)


def test_what_a_form_does_leads_on_under_the_path(behind: Web) -> None:
    run = behind.run(RunState.FAILED)
    client = logged_in(behind, "deployer")
    hold = f"{ROOT}/apps/plate-web/stg/hold"
    for path, form, there in (
        (f"{ROOT}/runs/{run}/rerun", {}, f"{ROOT}/runs/{run + 1}"),
        (hold, {"reason": "freeze"}, f"{ROOT}/apps#plate-web-stg"),
        (f"{ROOT}/apps/plate-web/poll", {}, f"{ROOT}/apps#app:plate-web"),
        (f"{ROOT}/language", {"language": "ko", "next": f"{ROOT}/apps"}, f"{ROOT}/apps"),
    ):
        assert client.post(path, data=form, headers=OURS).headers["Location"] == there
    assert client.post(f"{ROOT}/runs/{run}/rerun", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get(f"{ROOT}/runs/", headers=BROWSER).status_code == 404
    found = client.get(f"{ROOT}/runs/{run}", query_string={"find": "x"})
    assert found.status_code == 200


def test_what_is_looked_for_in_a_log_is_found_under_the_path(behind: Web) -> None:
    run = behind.run(RunState.FAILED)
    behind.log(run, "one", "two")
    answer = logged_in(behind).get(f"{ROOT}/runs/{run}?find=two")
    assert answer.headers["Location"] == f"{ROOT}/runs/{run}?find=two&line=2#L2"


def test_the_api_names_itself_with_the_path(behind: Web) -> None:
    for _ in range(2):
        behind.run(RunState.SUCCEEDED)
    client = behind.client()
    api = f"{ROOT}/api/v1"
    listed = client.get(f"{api}/runs?limit=1")
    assert listed.headers["Link"] == f'<{EXTERNAL}/api/v1/runs?limit=1&cursor=2>; rel="next"'
    assert (listed.json["items"][0]["url"], listed.json["items"][0]["api_url"]) == (
        f"{EXTERNAL}/runs/2",
        f"{EXTERNAL}/api/v1/runs/2",
    )
    assert client.post(f"{api}/runs/1/rerun").headers["Location"] == f"{EXTERNAL}/api/v1/runs/3"
    assert client.get(f"{api}/openapi.json").json["servers"] == [{"url": ROOT}]
    for path in (f"{api}/runs/99", f"{api}/nosuch"):
        assert client.get(path).json["instance"] == path
    assert f"no call {api}/nosuch" in client.get(f"{api}/nosuch").json["detail"]
    assert f"no page {ROOT}/nosuch" in logged_in(behind).get(f"{ROOT}/nosuch", headers=BROWSER).text
    streamed = client.get(f"{api}/runs/1/logs?follow=1", headers={"Accept": "text/event-stream"})
    assert f"{EXTERNAL}/runs/1" in streamed.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz?only=database", "/metrics", "/api/v1/openapi.json"])
def test_who_asks_at_the_address_where_we_listen_needs_no_path(rooted: Web, path: str) -> None:
    client = rooted.client("")
    for root in ("", ROOT):
        assert client.get(f"{root}{path}").status_code == 200
    assert client.get("/").headers["Location"] == f"{ROOT}/runs"


def test_nobody_says_in_a_request_where_we_are_served(rooted: Web, web: Web) -> None:
    headers = {"X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil", "Script-Name": "/evil"}
    for one, root in ((rooted, ROOT), (web, "")):
        assert one.client("").get("/", headers=headers).headers["Location"] == f"{root}/runs"


def test_what_our_paths_begin_with_is_known_to_the_configuration(rooted: Web) -> None:
    ours = {rule.rule.split("/")[1] for rule in rooted.app.url_map.iter_rules()} - {""}
    hooks = {rule.rule.split("/")[1] for rule in make_app(FakeInbox()).url_map.iter_rules()}
    assert ours | hooks == OWN
