"""The browser pages: what they show without JavaScript, who gets in, and what another site cannot do."""

import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.services import tokens
from orchestrator.web.auth import session_key
from tests.support.databases import sqlite_database
from tests.support.web import World, make_world

OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(sqlite_database(tmp_path), tmp_path)


class Page(HTMLParser):
    """The parts of a page that tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(world: World, path: str, role: str = "deployer") -> Page:
    answer = world.browser(role).get(path)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "text/html; charset=utf-8"
    return Page(answer.text)


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/1", "/apps", "/deliveries"])
def test_people_who_are_not_logged_in_are_led_to_the_login(world: World, path: str) -> None:
    answer = world.client("").get(path, follow_redirects=True)
    assert answer.request.path == "/login"
    assert "Paste an API token" in answer.text


def test_after_the_login_people_are_where_they_wanted_to_be(world: World) -> None:
    client = world.client("")
    answer = client.get("/runs?state=failed")
    assert answer.headers["Location"] == "/login?next=/runs?state%3Dfailed"
    shown = Page(client.get(answer.headers["Location"]).text)
    wanted = next(one["value"] for one in shown.all("input") if one.get("name") == "next")
    form = {"token": f" {world.tokens['viewer']}\n", "next": wanted}
    assert client.post("/login", data=form, headers=OURS).headers["Location"] == "/runs?state=failed"


@pytest.mark.parametrize(
    "target", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "x", "/a\nb"]
)
def test_the_login_leads_to_no_other_site(world: World, target: str) -> None:
    form = {"token": world.tokens["viewer"], "next": target}
    assert world.client("").post("/login", data=form, headers=OURS).headers["Location"] == "/runs"


def test_a_wrong_token_is_said_to_be_wrong(world: World) -> None:
    client = world.client("")
    answer = client.post("/login", data={"token": "plt_wrong"}, headers=OURS)
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert client.get("/runs").status_code == 303


def test_the_session_cookie_is_not_for_scripts_or_other_sites_and_holds_no_token(world: World) -> None:
    answer = world.client("").post("/login", data={"token": world.tokens["viewer"]}, headers=OURS)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert world.tokens["viewer"] not in cookie


@pytest.mark.parametrize(("external", "address", "secure"), [
    ("", "http://localhost", False),
    ("", "https://localhost", True),
    ("https://pilotage.example.com", "http://localhost", True),
])  # fmt: skip
def test_where_we_are_reached_by_https_the_cookie_is_too(
    tmp_path: Path, external: str, address: str, secure: bool
) -> None:
    world = make_world(sqlite_database(tmp_path), tmp_path, external_url=external)
    form = {"token": world.tokens["viewer"]}
    answer = world.client("").post("/login", data=form, headers=OURS, base_url=address)
    assert ("Secure" in answer.headers["Set-Cookie"]) is secure


def test_a_revoked_token_ends_the_session(world: World) -> None:
    client = world.browser()
    for row in tokens.list_all(world.database):
        tokens.revoke(world.database, row["id"])
    assert client.get("/runs").status_code == 303


def test_logging_out_ends_the_session(world: World) -> None:
    client = world.browser()
    assert client.post("/logout", headers=OURS).status_code == 303
    assert client.get("/runs").headers["Location"].startswith("/login")


def test_a_session_reads_the_api_as_well(world: World) -> None:
    run = world.run(RunState.SUCCEEDED)
    assert world.browser("viewer").get(f"/api/v1/runs/{run}/logs").status_code == 200


ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example.com"},
    {"Origin": "null"},
    {},
]


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_another_site_changes_nothing_with_somebodys_session(world: World, headers: dict[str, str]) -> None:
    run = world.run()
    client = world.browser()
    for path in (f"/runs/{run}/cancel", f"/api/v1/runs/{run}/cancel", "/login", "/logout"):
        assert client.post(path, headers=headers).status_code == 403
    assert client.get(f"/api/v1/runs/{run}").json["state"] == "queued"


def test_a_browser_that_sends_only_an_origin_is_known_by_it(tmp_path: Path) -> None:
    world = make_world(sqlite_database(tmp_path), tmp_path, external_url="https://pilotage.example.com")
    client = world.browser()
    for origin in ("http://localhost", "https://pilotage.example.com"):
        assert client.post(f"/runs/{world.run()}/cancel", headers={"Origin": origin}).status_code == 303


def test_a_program_with_a_token_needs_no_origin(world: World) -> None:
    assert world.client().post(f"/api/v1/runs/{world.run()}/cancel").status_code == 202


def test_the_list_shows_state_by_word_and_sign_and_says_why(world: World) -> None:
    world.run(RunState.FAILED, title="주문 <b>API</b>", detail="exit 3")
    world.run(RunState.RUNNING)
    answer = world.browser().get("/runs").text
    assert "주문 &lt;b&gt;API&lt;/b&gt;" in answer
    shown = Page(answer)
    assert "The image build failed: exit 3." in shown.text
    for sign, word in (("✗", "failed"), ("◐", "running")):
        assert f"{sign}{word}" in re.sub(r"\s", "", shown.text)


def test_a_superseded_run_is_called_so(world: World) -> None:
    later = world.run()
    run = world.run(RunState.CANCELLED, reason=Reason.SUPERSEDED, superseded_by=later)
    assert "superseded" in page(world, "/runs").text
    assert {"href": f"/runs/{later}"} in page(world, f"/runs/{run}").all("a")


def test_older_runs_are_one_click_away(world: World) -> None:
    for _ in range(35):
        world.run()
    first = page(world, "/runs?app=plate-web")
    older = next(one["href"] for one in first.all("a") if one.get("rel") == "next")
    assert older == "/runs?app=plate-web&cursor=6"
    assert "#5" in page(world, older).text


@pytest.mark.parametrize("query", ["state=nosuch", "cursor=x", "app=%00", "cursor=99999999999999"])
def test_a_list_that_is_asked_for_nonsense_shows_what_it_can(world: World, query: str) -> None:
    page(world, f"/runs?{query}")
    page(world, f"/deliveries?{query}")


def test_a_run_shows_its_stages_each_with_an_accessible_state(world: World) -> None:
    run = world.run(RunState.FAILED, detail="exit 3")
    items = [one for one in page(world, f"/runs/{run}").all("li") if one.get("role") == "listitem"]
    labels = [one["aria-label"] for one in items]
    assert len(labels) == 7
    assert labels[0] == "check: failed, 59 s"
    assert labels[1] == "build: not reached"


def test_a_run_says_why_and_what_is_next(world: World) -> None:
    text = page(world, f"/runs/{world.run(RunState.FAILED, detail='exit 3')}").text
    assert "The image build failed: exit 3." in text
    assert "Next, for the developer: Read the end of the build log." in text


def test_a_run_shows_the_end_of_its_log_without_a_script(world: World) -> None:
    run = world.run(RunState.RUNNING)
    world.log(run, *(f"\x1b[32mline {n}\x1b[0m <i>" for n in range(1, 301)))
    answer = world.browser().get(f"/runs/{run}").text
    shown = Page(answer)
    assert answer.count('<div class="row">') == 200
    assert "line 300 <i>" in shown.text
    assert "line 101 <i>" in shown.text
    assert "line 100 <i>" not in shown.text
    assert "\x1b" not in answer
    assert "whole log (300 lines)" in shown.text


def test_attempts_are_linked(world: World) -> None:
    first = world.run(RunState.FAILED)
    second = world.run(rerun_of=first, attempt=2)
    assert {"href": f"/runs/{first}", "title": f"run {first}"} in page(world, f"/runs/{second}").all("a")


@pytest.mark.parametrize(
    ("state", "reason", "role", "expected"),
    [
        (RunState.FAILED, Reason.BUILD_FAILED, "deployer", ["rerun"]),
        (RunState.RUNNING, Reason.RUNNING, "deployer", ["cancel"]),
        (RunState.WAITING, Reason.AWAITING_APPROVAL, "admin", ["approve", "cancel"]),
        (RunState.RUNNING, Reason.RUNNING, "viewer", []),
    ],
)
def test_people_are_offered_what_they_can_do(
    world: World, state: RunState, reason: Reason, role: str, expected: list[str]
) -> None:
    run = world.run(state, reason=reason)
    forms = [one["action"] for one in page(world, f"/runs/{run}", role).all("form")]
    assert [form for form in forms if form != "/logout"] == [f"/runs/{run}/{action}" for action in expected]


def test_people_act_from_the_page(world: World) -> None:
    run = world.run(RunState.WAITING, reason=Reason.AWAITING_APPROVAL, approved=False)
    client = world.browser()
    assert client.post(f"/runs/{run}/approve", headers=OURS).headers["Location"] == f"/runs/{run}"
    assert client.post(f"/runs/{run}/cancel", headers=OURS).status_code == 303
    assert client.post(f"/runs/{run}/rerun", headers=OURS).headers["Location"] == f"/runs/{run + 1}"
    actor = client.get(f"/api/v1/runs/{run + 1}").json["actor"]
    assert actor == "deployer-token"


def html(answer: Any, status: int) -> str:
    assert answer.status_code == status
    assert answer.content_type == "text/html; charset=utf-8"
    return str(answer.text)


def test_browsers_get_errors_as_pages_and_programs_as_problems(world: World) -> None:
    client = world.browser("viewer")
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert "There is no run 99." in html(client.get("/runs/99", headers=accept), 404)
    html(client.get("/nosuch", headers=accept), 404)
    html(client.post("/runs/1/cancel", headers={**accept, **OURS}), 403)
    assert client.get("/api/v1/runs/99", headers=accept).content_type == "application/problem+json"
    assert client.get("/nosuch").content_type == "application/problem+json"


def test_apps_and_deliveries_are_shown(world: World) -> None:
    run = world.run(RunState.SUCCEEDED, image="harbor.example.com/plate/plate-web:sha-1")
    world.client().post("/api/v1/apps/plate-web/environments/prod/hold", json={"reason": "freeze <now>"})
    shown = page(world, "/apps")
    assert {"href": f"/runs/{run}"} in shown.all("a")
    assert "on hold by deployer-token: freeze <now>" in shown.text
    assert "No deliveries yet" in page(world, "/deliveries").text


def test_a_failed_deploy_that_is_in_git_is_not_shown_as_deployed(world: World) -> None:
    image = "harbor.example.com/plate/plate-web:sha-"
    world.run(RunState.SUCCEEDED, image=f"{image}1", landed=10.0)
    assert "not proven" not in page(world, "/apps").text
    fields = {"image": f"{image}2", "reason": Reason.DEGRADED, "detail": "it crashes"}
    world.run(RunState.FAILED, landed=20.0, **fields)
    sentence = "The application is unhealthy with this commit: it crashes."
    shown = page(world, "/apps").text
    assert (shown.count("sha-2"), shown.count("sha-1"), shown.count("not proven"), shown.count(sentence)) == (
        1,
        1,
        1,
        1,
    )
    world.run(RunState.CANCELLED, detail="cancelled by kim")
    shown = page(world, "/apps").text
    assert (shown.count("not proven"), shown.count(sentence), "cancelled by kim" in shown) == (1, 1, True)


def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(world: World) -> None:
    run = world.run(RunState.RUNNING)
    client = world.browser()
    for path in ("/runs", f"/runs/{run}", "/apps", "/deliveries", "/login"):
        shown = Page(client.get(path).text)
        loaded = [one["src"] for tag in ("script", "img") for one in shown.all(tag)]
        loaded += [one["href"] for one in shown.all("link")]
        for address in loaded:
            assert address.startswith("/static/")
            with client.get(address) as answer:
                assert answer.status_code == 200
        for _, attributes in shown.tags:
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]


def test_with_a_common_key_a_session_is_good_at_every_web_process(tmp_path: Path) -> None:
    database, key = sqlite_database(tmp_path), Secret("0123456789abcdef0123456789abcdef")
    one, other, stranger = (
        make_world(database, tmp_path / name, **({"session_key": key} if name != "c" else {})) for name in "abc"
    )
    cookie = one.client("").post("/login", data={"token": one.tokens["viewer"]}, headers=OURS).headers["Set-Cookie"]
    value = cookie.split(";")[0].removeprefix("pilotage_session=")

    def seen_by(world: World) -> int:
        client = world.client("")
        client.set_cookie("pilotage_session", value)
        return client.get("/runs").status_code

    assert (seen_by(other), seen_by(stranger)) == (200, 303)


def test_the_key_of_the_sessions_is_private_and_stays(tmp_path: Path) -> None:
    key = session_key(str(tmp_path / "state"))
    assert len(key) == 32
    assert session_key(str(tmp_path / "state")) == key
    file = tmp_path / "state" / "session.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["session.key"]
