"""The login, its session, and other sites."""

import os
import stat
from pathlib import Path

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.runs import RunState
from orchestrator.services import tokens
from orchestrator.web.auth import session_key
from tests.support.databases import sqlite_database
from tests.support.pages import OURS, Page
from tests.support.web import Web, make_web


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/1", "/apps", "/deliveries"])
def test_people_who_are_not_logged_in_are_led_to_the_login(web: Web, path: str) -> None:
    answer = web.client("").get(path, follow_redirects=True)
    assert answer.request.path == "/login"
    assert "Paste an API token" in answer.text


def test_after_the_login_people_are_where_they_wanted_to_be(web: Web) -> None:
    client = web.client("")
    answer = client.get("/runs?state=failed")
    assert answer.headers["Location"] == "/login?next=/runs?state%3Dfailed"
    shown = Page(client.get(answer.headers["Location"]).text)
    wanted = next(one["value"] for one in shown.all("input") if one.get("name") == "next")
    form = {"token": f" {web.tokens['viewer']}\n", "next": wanted}
    assert client.post("/login", data=form, headers=OURS).headers["Location"] == "/runs?state=failed"


@pytest.mark.parametrize(
    "target", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "x", "/a\nb"]
)
def test_the_login_leads_to_no_other_site(web: Web, target: str) -> None:
    form = {"token": web.tokens["viewer"], "next": target}
    assert web.client("").post("/login", data=form, headers=OURS).headers["Location"] == "/runs"


def test_a_browser_keeps_the_token_under_a_name_that_nobody_sees(web: Web) -> None:
    """Without a name browsers hint at it, and keep the token under none or under one that was typed elsewhere."""
    fields = {one.get("autocomplete"): one for one in Page(web.client("").get("/login").text).all("input")}
    assert list(fields) == [None, "username", "current-password"], "the name stands before what it is for"
    assert (fields["username"]["value"], "hidden" in fields["username"]) == ("pilotage", True)


def test_a_wrong_token_is_said_to_be_wrong(web: Web) -> None:
    client = web.client("")
    answer = client.post("/login", data={"token": "plt_wrong"}, headers=OURS)
    assert answer.status_code == 401
    assert "This token is not valid: mistyped, expired or revoked." in answer.text
    assert client.get("/runs").status_code == 303


def test_the_session_cookie_is_not_for_scripts_or_other_sites_and_holds_no_token(web: Web) -> None:
    answer = web.client("").post("/login", data={"token": web.tokens["viewer"]}, headers=OURS)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert web.tokens["viewer"] not in cookie


@pytest.mark.parametrize(("external", "address", "secure"), [
    ("", "http://localhost", False),
    ("", "https://localhost", True),
    ("https://pilotage.example.com", "http://localhost", True),
])  # fmt: skip
def test_where_we_are_reached_by_https_the_cookie_is_too(
    tmp_path: Path, external: str, address: str, secure: bool
) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path, external_url=external)
    form = {"token": web.tokens["viewer"]}
    answer = web.client("").post("/login", data=form, headers=OURS, base_url=address)
    assert ("Secure" in answer.headers["Set-Cookie"]) is secure


@pytest.mark.parametrize("external", ["", "http://pilotage.example.com"])
def test_where_only_the_browser_knows_of_https_the_cookie_is_for_that(tmp_path: Path, external: str) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path, external_url=external)
    form, headers = {"token": web.tokens["viewer"]}, {"Host": "pilotage.example.com"}
    for scheme, secure in (("https", True), ("http", False)):
        origin = {"Origin": f"{scheme}://pilotage.example.com"}
        answer = web.client("").post("/login", data=form, headers=headers | origin)
        assert (answer.status_code, "Secure" in answer.headers["Set-Cookie"]) == (303, secure)


EXTERNAL = "https://pilotage.example.com"
OVER_HTTP = [
    {"Origin": "http://pilotage.example.com"},
    {"Origin": "http://10.0.0.5:8480", "Host": "10.0.0.5:8480"},
    {"Origin": "http://pilotage.example.com", "X-Forwarded-Proto": "http"},
]
OVER_HTTPS = [
    {"Origin": EXTERNAL},
    {"Origin": EXTERNAL, "X-Forwarded-Proto": "http"},  # of a proxy behind the one that took the TLS off
    OURS,
    {**OURS, "Origin": EXTERNAL},
]
AT_HOME = [
    {"Origin": "http://127.0.0.1:8480", "Host": "127.0.0.1:8480"},
    {"Origin": "http://localhost:8480", "Host": "localhost:8480", **OURS},
    {"Origin": "http://[::1]:8480", "Host": "[::1]:8480"},
]


@pytest.mark.parametrize("headers", OVER_HTTP)
def test_where_a_session_would_be_lost_the_login_says_where_to_go(tmp_path: Path, headers: dict[str, str]) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path, external_url=EXTERNAL)
    form = {"token": web.tokens["viewer"], "next": "/runs?state=failed"}
    answer = web.client("").post("/login", data=form, headers=headers)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (400, False)
    assert {"href": f"{EXTERNAL}/login?next=%2Fruns%3Fstate%3Dfailed"} in Page(answer.text).all("a")


@pytest.mark.parametrize(
    ("headers", "secure"), [(one, True) for one in OVER_HTTPS] + [(one, False) for one in AT_HOME]
)
def test_behind_a_proxy_with_tls_and_on_this_machine_the_login_works(
    tmp_path: Path, headers: dict[str, str], secure: bool
) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path, external_url=EXTERNAL)
    client = web.client("")
    answer = client.post("/login", data={"token": web.tokens["viewer"]}, headers=headers)
    assert (answer.status_code, "Secure" in answer.headers["Set-Cookie"]) == (303, secure)
    answer = client.post("/logout", headers=headers, base_url="https://pilotage.example.com")
    assert answer.status_code == 303


@pytest.mark.parametrize(("external", "headers", "warned"), [
    (EXTERNAL, {"Host": "pilotage.example.com"}, True),
    (EXTERNAL, {"Host": "pilotage.example.com", "X-Forwarded-Proto": "http"}, True),
    (EXTERNAL, {"Host": "pilotage.example.com", "X-Forwarded-Proto": "https"}, False),
    (EXTERNAL, {"Host": "pilotage.example.com", "Sec-Fetch-Site": "none"}, False),
    (EXTERNAL, {"Host": "127.0.0.1:8480"}, False),
    ("http://pilotage.example.com", {"Host": "pilotage.example.com"}, False),
    ("", {"Host": "pilotage.example.com"}, False),
])  # fmt: skip
def test_it_is_said_before_a_token_is_sent(
    tmp_path: Path, external: str, headers: dict[str, str], warned: bool
) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path, external_url=external)
    answer = web.client("").get("/login", headers=headers)
    assert (answer.status_code, "over plain http" in answer.text) == (200, warned)


def test_a_revoked_token_ends_the_session(web: Web) -> None:
    client = web.browser()
    for row in tokens.list_all(web.database):
        tokens.revoke(web.database, row["id"])
    assert client.get("/runs").status_code == 303


def test_logging_out_ends_the_session(web: Web) -> None:
    client = web.browser()
    assert client.post("/logout", headers=OURS).status_code == 303
    assert client.get("/runs").headers["Location"].startswith("/login")


def test_a_session_reads_the_api_as_well(web: Web) -> None:
    run = web.run(RunState.SUCCEEDED)
    assert web.browser("viewer").get(f"/api/v1/runs/{run}/logs").status_code == 200


ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example.com"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {},
]


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_another_site_changes_nothing_with_somebodys_session(web: Web, headers: dict[str, str]) -> None:
    run = web.run()
    client = web.browser()
    for path in (f"/runs/{run}/cancel", f"/api/v1/runs/{run}/cancel", "/login", "/logout"):
        assert client.post(path, headers=headers).status_code == 403
    assert client.get(f"/api/v1/runs/{run}").json["state"] == "queued"


@pytest.mark.parametrize("external", ["", EXTERNAL])
def test_an_origin_that_is_no_address_is_no_mistake_of_ours(tmp_path: Path, external: str) -> None:
    client = make_web(sqlite_database(tmp_path), tmp_path, external_url=external).client("")
    for origin in ("http://[", "https://[::1", "//["):
        assert client.get("/login", headers={"Origin": origin}).status_code == 200
        assert client.post("/login", headers={"Origin": origin}).status_code == 403
        assert client.post("/login", headers={**OURS, "Origin": origin}).status_code == 401


def test_a_browser_that_sends_only_an_origin_is_known_by_it(tmp_path: Path) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path, external_url="https://pilotage.example.com")
    client = web.browser()
    for origin in ("http://localhost", "https://pilotage.example.com"):
        assert client.post(f"/runs/{web.run()}/cancel", headers={"Origin": origin}).status_code == 303


@pytest.mark.parametrize("login", ["Basic bWluYTpzZWNyZXQ=", "Negotiate YII=", ""])
def test_behind_a_proxy_with_a_login_of_its_own_a_session_counts_as_ever(web: Web, login: str) -> None:
    client, passed_on = web.browser(), {"Authorization": login}
    assert client.get("/runs", headers=passed_on).status_code == 200
    cancel = f"/runs/{web.run()}/cancel"
    assert client.post(cancel, headers={**passed_on, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post(cancel, headers={**passed_on, **OURS}).status_code == 303


def test_a_token_that_is_sent_goes_before_a_session(web: Web) -> None:
    client = web.browser("deployer")
    assert client.get("/api/v1/runs", headers={"Authorization": "Bearer plt_wrong"}).status_code == 401


def test_a_program_with_a_token_needs_no_origin(web: Web) -> None:
    assert web.client().post(f"/api/v1/runs/{web.run()}/cancel").status_code == 202


def test_with_a_common_key_a_session_is_good_at_every_web_process(tmp_path: Path) -> None:
    database, key = sqlite_database(tmp_path), Secret("0123456789abcdef0123456789abcdef")
    one, other, stranger = (
        make_web(database, tmp_path / name, **({"session_key": key} if name != "c" else {})) for name in "abc"
    )
    cookie = one.client("").post("/login", data={"token": one.tokens["viewer"]}, headers=OURS).headers["Set-Cookie"]
    value = cookie.split(";")[0].removeprefix("pilotage_session=")

    def seen_by(web: Web) -> int:
        client = web.client("")
        client.set_cookie("pilotage_session", value)
        return client.get("/runs").status_code

    assert (seen_by(other), seen_by(stranger)) == (200, 303)


@pytest.mark.parametrize("left", [b"", bytes(32)])
def test_after_a_power_cut_that_took_the_key_people_log_in_anew(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "session.key"
    file.write_bytes(left)
    web = make_web(sqlite_database(tmp_path), tmp_path)
    form = {"token": web.tokens["viewer"]}
    assert web.client("").post("/login", data=form, headers=OURS).status_code == 303
    assert file.read_bytes() not in (left, b"")
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_key_of_the_sessions_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.pread(handle, 64, 0)))
    key = session_key(str(tmp_path))
    assert synced == [key]


def test_the_key_of_the_sessions_is_private_and_stays(tmp_path: Path) -> None:
    key = session_key(str(tmp_path / "state"))
    assert len(key) == 32
    assert session_key(str(tmp_path / "state")) == key
    file = tmp_path / "state" / "session.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["session.key"]
