"""Rules for all calls of the API: who gets in, what form is taken, how errors and health are told."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.services.queries import Queries
from orchestrator.store import processes, tokens
from orchestrator.store.database import now
from tests.support.databases import sqlite_database
from tests.support.journals import Logged
from tests.support.web import Web, make_web, problem

START = {"app": "plate-web", "environment": "stg", "ref": "main"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path)


# Who may do what


POSTS = [
    "/api/v1/runs",
    "/api/v1/runs/1/rerun",
    "/api/v1/runs/1/cancel",
    "/api/v1/runs/1/approve",
    "/api/v1/apps/plate-web/environments/stg/hold",
    "/api/v1/apps/plate-web/environments/stg/release",
    "/api/v1/apps/plate-web/environments/prod/promote",
    "/api/v1/apps/plate-web/environments/stg/rollback",
    "/api/v1/apps/plate-web/poll",
]
GETS = ["/api/v1/runs", "/api/v1/runs/1", "/api/v1/runs/1/logs", "/api/v1/apps", "/api/v1/deliveries"]


@pytest.mark.parametrize("path", GETS + POSTS)
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer plt_wrong", "Basic cGx0Xw==", "plt_x"])
def test_nobody_gets_in_without_a_valid_token(web: Web, path: str, header: str | None) -> None:
    client = web.client("")
    headers = {} if header is None else {"Authorization": header}
    answer = client.post(path, headers=headers) if path in POSTS else client.get(path, headers=headers)
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", POSTS)
def test_a_viewer_changes_nothing(web: Web, path: str) -> None:
    said = problem(web.client("viewer").post(path), 403, "forbidden")["detail"]
    assert said == (
        "This needs the role deployer; the token has the role viewer."
        " An operator makes another one by `pilotage token create NAME --role deployer`."
    )


def test_an_admin_may_do_what_a_deployer_may(web: Web) -> None:
    assert web.client("admin").post("/api/v1/runs", json=START).status_code == 202


def test_a_revoked_token_is_refused_at_once(web: Web) -> None:
    client = web.client("viewer")
    assert client.get("/api/v1/runs").status_code == 200
    with web.database.write() as connection:
        for row in tokens.all_tokens(connection):
            tokens.revoke_token(connection, row["id"], now())
    problem(client.get("/api/v1/runs"), 401, "unauthorized")


# Form


@pytest.mark.parametrize(
    ("body", "content_type", "status", "kind"),
    [
        (b"{", "application/json", 400, "malformed"),
        (b"\xff", "application/json", 400, "malformed"),
        (b'{"app":"plate-web","environment":"stg","ref":"a","ref":"main"}', "application/json", 400, "malformed"),
        (b'{"app":"plate-web","environment":"stg","ref":"a","r\\u0065f":"b"}', "application/json", 400, "malformed"),
        (b"[]", "application/json", 422, "invalid"),
        (b"null", "application/json", 422, "invalid"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "content-type"),
        (b"{}", "", 415, "content-type"),
        (b"{}", "application/json; charset=utf-16", 415, "content-type"),
        (b'{"app":"' + b"x" * 70_000 + b'"}', "application/json", 413, "too-large"),
    ],
)
def test_a_body_that_is_no_small_json_object_is_refused(
    web: Web, body: bytes, content_type: str, status: int, kind: str
) -> None:
    problem(web.client().post("/api/v1/runs", data=body, content_type=content_type), status, kind)


@pytest.mark.parametrize("path", ["/api/v1/runs/1", "/api/v1/apps", "/api/v1/apps/plate-web", "/api/v1/deliveries/1"])
def test_a_parameter_that_a_call_does_not_take_is_refused(web: Web, path: str) -> None:
    told = problem(web.client().get(f"{path}?to=5"), 422, "invalid")
    assert told["errors"] == [{"in": "query", "field": "to", "message": "is not known here"}]


@pytest.mark.parametrize("path", POSTS)
def test_what_belongs_into_the_body_is_refused_in_the_address(web: Web, path: str) -> None:
    told = problem(web.client().post(f"{path}?to=5"), 422, "invalid")
    assert told["errors"] == [{"in": "query", "field": "to", "message": "is not known here"}]


@pytest.mark.parametrize("to", [True, "1", 1.0, [1], {}])
def test_what_is_no_number_names_no_run_to_go_back_to(web: Web, to: object) -> None:
    answer = web.client().post("/api/v1/apps/plate-web/environments/stg/rollback", json={"to": to})
    assert [one["field"] for one in problem(answer, 422, "invalid")["errors"]] == ["to"]


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_a_probe_may_ask_with_any_parameter(web: Web, path: str) -> None:
    assert web.client("").get(f"{path}?at=1").status_code == 200


def test_an_unknown_path_and_method_are_problems_too(web: Web) -> None:
    problem(web.client().get("/api/v1/nosuch"), 404, "not-found")
    answer = web.client().delete("/api/v1/runs")
    problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("external", ["", "https://pilotage.example.com", "https://tools.example.com/pilotage"])
def test_an_address_with_two_slashes_leads_nowhere_but_to_the_one_with_one(tmp_path: Path, external: str) -> None:
    web, root = make_web(sqlite_database(tmp_path), tmp_path, external_url=external), urlsplit(external).path
    for path, there in (("/api/v1//runs?limit=1", "/api/v1/runs?limit=1"), ("/runs//1", "/runs/1")):
        answer = web.client().get(root + path, headers={"Host": "elsewhere.example.com"})
        assert (answer.status_code, answer.headers["Location"], answer.data) == (308, root + there, b"")
    twice = web.client().get("/", environ_overrides={"PATH_INFO": f"{root}//apps//plate-web/stg/hold"})
    assert twice.headers["Location"] == f"{root}/apps/plate-web/stg/hold"


@pytest.mark.parametrize("external", ["", "https://tools.example.com/pilotage"])
@pytest.mark.parametrize("path", ["/metrics", "/readyz?only=database", "/api/v1/runs", "/static/icon.svg", "/login"])
def test_what_a_proxy_refuses_is_not_had_with_two_slashes(tmp_path: Path, external: str, path: str) -> None:
    web, root = make_web(sqlite_database(tmp_path), tmp_path, external_url=external), urlsplit(external).path
    asked, _, query = path.partition("?")
    for given in (f"{root}/{asked}", f"{root}//{asked}"):
        odd = {"PATH_INFO": given, "QUERY_STRING": query}
        answer = web.client().get("/", environ_overrides=odd)
        assert (answer.status_code, answer.headers["Location"], answer.data) == (308, root + path, b"")


def test_a_database_that_does_not_answer_is_503(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "connection to 10.0.0.1 refused")

    monkeypatch.setattr(Queries, "runs", fail)
    answer = web.client().get("/api/v1/runs")
    assert "10.0.0.1" not in json.dumps(problem(answer, 503, "database-unavailable"))
    assert answer.headers["Retry-After"] == "5"


def test_our_own_mistake_is_500_with_an_id_and_nothing_inside(
    web: Web, monkeypatch: pytest.MonkeyPatch, logged: Logged, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(Queries, "runs", fail)
    answer = web.client().get("/api/v1/runs")
    told = problem(answer, 500, "internal")
    assert "secret inside" not in answer.text
    (line,) = logged.of("request failed")
    assert (line["request_id"], line["actor"]) == (told["request_id"], "deployer-token")
    assert caplog.text.rstrip().endswith("RuntimeError: secret inside")
    assert web.tokens["deployer"] not in caplog.text


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("", False)])
def test_a_request_id_that_a_client_sends_is_kept_if_it_is_harmless(web: Web, given: str, kept: bool) -> None:
    answer = web.client().get("/healthz", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is kept
    assert answer.headers["X-Request-Id"]


def test_answers_are_guarded(web: Web) -> None:
    for path in ("/api/v1/runs", "/login", "/healthz", "/nosuch", "/static/nosuch.css"):
        headers = web.client().get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


ODD_DATES = [f"Mon, 01 Jan 2024 00:00:00 {zone}" for zone in ("+99999999999999", "-99999999999999", f"+{'9' * 5000}")]
ODD_DATES += [f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", f"Mon, 01 Jan 2024 {'9' * 20}:00:00 +0100", "then"]


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since", "If-Range"])
@pytest.mark.parametrize("date", ODD_DATES, ids=range(len(ODD_DATES)))
def test_a_date_that_no_calendar_has_is_left_aside(web: Web, name: str, date: str) -> None:
    headers = {name: date} | ({"Range": "bytes=0-9"} if name == "If-Range" else {})
    with web.client("").get("/static/pilotage.css", headers=headers) as answer:
        assert (answer.status_code, len(answer.data) > 10) == (200, True)


def test_a_file_that_a_browser_has_already_is_not_sent_again(web: Web) -> None:
    with web.client("").get("/static/pilotage.css") as first:
        known = {"If-Modified-Since": first.headers["Last-Modified"], "If-None-Match": first.headers["ETag"]}
    for name, value in known.items():
        with web.client("").get("/static/pilotage.css", headers={name: value}) as again:
            assert (again.status_code, again.data) == (304, b"")


# Health


def test_alive_means_only_that_the_process_answers(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.database, "read", lambda: pytest.fail("looked at the database"))
    assert web.client("").get("/healthz").json == {"status": "ok"}


def missing(client: FlaskClient) -> dict[str, str]:
    told = problem(client.get("/readyz"), 503, "not-ready")
    return {one["field"]: one["message"] for one in told["errors"]}


def test_readiness_says_what_is_missing(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    client = web.client("")
    assert set(missing(client)) == {"workers", "broker"}
    monkeypatch.setattr("orchestrator.services.bell.Bell.ping", lambda _: None)
    assert set(missing(client)) == {"workers"}
    with web.database.write() as connection:
        processes.seen(connection, "worker-1", "worker", now(), {})
    assert client.get("/readyz").json == {"status": "ready"}
    with web.database.write() as connection:
        processes.seen(connection, "worker-1", "worker", now() - 300, {})
    assert "pilotage worker" in missing(client)["workers"]
    with web.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'older'")
    assert "pilotage migrate" in missing(client)["schema"]


def test_who_asks_for_the_database_alone_hears_of_nothing_else(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    client = web.client("")
    assert set(missing(client)) == {"workers", "broker"}
    assert client.get("/readyz?only=database").json == {"status": "ready"}

    def away() -> None:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "connection refused")

    monkeypatch.setattr(web.database, "ping", away)
    told = problem(client.get("/readyz?only=database"), 503, "not-ready")
    assert [one["field"] for one in told["errors"]] == ["database"]
    assert client.get("/healthz").status_code == 200


def test_readiness_tells_strangers_nothing_of_where_our_services_are(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, 'server at "10.1.2.3", user "pilotage-prod"')

    monkeypatch.setattr(web.database, "ping", refused)
    monkeypatch.setattr(web.database, "read", refused)
    for path in ("/readyz", "/readyz?only=database"):
        text = web.client("").get(path).text
        assert "did not answer" in text
        assert "10.1.2.3" not in text
        assert "pilotage-prod" not in text


def test_metrics_are_counted_from_the_tables(web: Web) -> None:
    web.client().post("/api/v1/runs", json=START)
    web.run(RunState.FAILED)
    text = web.client("").get("/metrics").text
    for line in (
        'pilotage_runs_active{app="plate-web",env="stg",state="queued"} 1.0',
        'pilotage_runs_active{app="plate-web",env="stg",state="running"} 0.0',
        'pilotage_queue_runs{queue="deploy",state="ready"} 1.0',
        'pilotage_environment_held{app="plate-web",env="stg"} 0.0',
    ):
        assert line in text.splitlines()


def test_the_document_is_served(web: Web) -> None:
    answer = web.client("").get("/api/v1/openapi.json")
    assert answer.json["openapi"] == "3.1.0"


def test_no_answer_holds_a_secret(tmp_path: Path) -> None:
    channel = Channel(name="slack-1", kind="slack")
    web = make_web(sqlite_database(tmp_path), tmp_path, channels=(channel,))
    client = web.client("admin")
    text = "".join(client.get(path).text for path in ("/api/v1/apps", "/apps", "/readyz", "/metrics"))
    assert "s3cret" not in text
    assert "robot$ci" not in text
