"""The endpoint's answers that do not depend on a forge."""

import json
from typing import Any

import pytest
from flask import Flask

from orchestrator import access
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.web.answers import ProblemView
from tests.support.hooks import NOW, SECRET, FakeInbox, fill, hooks, make_app, own_case
from tests.support.journals import Logged
from webhooks.app import create_app, mount

CASE = own_case("github", "push-branch")


def post(inbox: FakeInbox, path: str = "/webhooks/github", **changed: Any) -> Any:
    asked = {"data": CASE.body, "headers": CASE.headers()} | changed
    return make_app(inbox).test_client().post(path, **asked)


API = frozenset(ProblemView.model_fields)
"""The members that a problem of the API has."""


def assert_problem(response: Any, status: int, reason: str) -> None:
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert response.json.keys() == API | {"reason"}
    assert response.json["type"] == "urn:pilotage:problem:" + reason.replace("_", "-")
    assert (response.json["instance"], response.json["errors"]) == (response.request.path, [])
    assert (response.json["status"], response.json["reason"]) == (status, reason)
    assert response.json["detail"].endswith(".")
    assert response.json["request_id"] == response.headers["X-Request-Id"]


def test_the_answer_is_the_inboxs() -> None:
    response = post(FakeInbox())
    assert (response.status_code, response.json) == (202, {"delivery": 1, "runs": [1]})


def test_a_probe_is_told_that_the_process_answers() -> None:
    inbox = FakeInbox()
    response = make_app(inbox).test_client().get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_a_probe_is_told_whether_deliveries_can_be_written_down() -> None:
    away: list[Unavailable] = []

    def ping() -> None:
        for error in away:
            raise error

    client = create_app(hooks(), FakeInbox(), max_body=10, now=lambda: NOW, ping=ping).test_client()
    response = client.get("/readyz")
    assert (response.status_code, response.json) == (200, {"status": "ready"})
    away.append(Unavailable(Reason.DATABASE_UNAVAILABLE, "connection refused"))
    response = client.get("/readyz?only=database")
    assert (response.status_code, response.content_type) == (503, "application/problem+json")
    assert (response.json["type"], response.json["instance"]) == ("urn:pilotage:problem:not-ready", "/readyz")
    assert client.get("/healthz").status_code == 200


def test_a_path_with_a_slash_at_its_end_is_no_redirect() -> None:
    assert post(FakeInbox(), "/webhooks/github/").status_code == 202


def test_a_signed_body_is_not_sent_on_to_another_address() -> None:
    response = post(FakeInbox(), "/webhooks//github")
    assert (response.status_code, response.headers.get("Location")) == (404, None)


def test_an_unknown_forge_is_told_the_known_ones() -> None:
    response = post(FakeInbox(), "/webhooks/sourceforge")
    assert_problem(response, 404, "forge")
    assert "github" in response.json["detail"]


def test_a_forge_without_a_hook_is_told_the_setting() -> None:
    inbox = FakeInbox()
    app = create_app({}, inbox, max_body=10, now=lambda: NOW)
    response = app.test_client().post("/webhooks/gitlab", data=b"{}", content_type="application/json")
    assert_problem(response, 404, "forge")
    assert "`webhooks.gitlab`" in response.json["detail"]


def test_answers_are_counted_by_forge_and_an_invented_name_makes_no_new_one() -> None:
    seen: list[tuple[str, int]] = []
    observe = lambda forge, status, _seconds: seen.append((forge, status))  # noqa: E731
    app = create_app(hooks(), FakeInbox(), max_body=10**6, now=lambda: NOW, observe=observe)
    app.test_client().post("/webhooks/github", data=CASE.body, headers=CASE.headers())
    app.test_client().post("/webhooks/github", data=b"{}", headers=CASE.headers())
    app.test_client().post("/webhooks/sourceforge", data=CASE.body, headers=CASE.headers())
    assert seen == [("github", 202), ("github", 401), ("unknown", 404)]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_told_which_one(method: str) -> None:
    inbox = FakeInbox()
    response = make_app(inbox).test_client().open("/webhooks/github", method=method)
    assert_problem(response, 405, "method")
    assert not inbox.refused
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=euc-kr"],
)
def test_another_content_type_is_told_the_right_one(content_type: str) -> None:
    inbox = FakeInbox()
    response = post(inbox, headers=CASE.headers() | {"Content-Type": content_type})
    assert_problem(response, 415, "content_type")
    assert not inbox.accepted


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])
def test_utf_8_may_be_named(content_type: str) -> None:
    assert post(FakeInbox(), headers=CASE.headers() | {"Content-Type": content_type}).status_code == 202


@pytest.mark.parametrize(("asked", "told"), [(None, "5"), (0.2, "1"), (30, "30")])
def test_when_it_cannot_be_written_down_the_forge_is_asked_to_come_again(asked: float | None, told: str) -> None:
    inbox = FakeInbox(error=Unavailable(Reason.INTERNAL, "db.internal:5432 is down", asked))
    response = post(inbox)
    assert_problem(response, 503, "internal")
    assert response.headers["Retry-After"] == told
    assert "db.internal" not in response.text


def test_a_bad_signature_is_a_401_even_when_it_cannot_be_written_down() -> None:
    inbox = FakeInbox(error=Unavailable(Reason.INTERNAL))
    assert_problem(post(inbox, data=b"{}"), 401, "signature")


UNREAD: dict[str, tuple[dict[str, Any], str]] = {
    "too large": ({"data": b"x" * 100_001}, "too_large"),
    "too large, as it says": ({"data": b"x", "environ_overrides": {"CONTENT_LENGTH": "9" * 19}}, "too_large"),
    "another type": ({"headers": CASE.headers() | {"Content-Type": "text/plain"}}, "content_type"),
    "compressed": ({"headers": CASE.headers() | {"Content-Encoding": "gzip"}}, "content_encoding"),
    "cut short": ({"environ_overrides": {"CONTENT_LENGTH": str(len(CASE.body) + 1)}}, "malformed"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_turned_away_unread_is_written_down_by_its_headers(name: str, logged: Logged) -> None:
    changed, reason = UNREAD[name]
    inbox = FakeInbox()
    asked = {"data": CASE.body, "headers": CASE.headers()} | changed
    client = make_app(inbox, max_body=100_000).test_client()
    response = client.post("/webhooks/github", **asked)
    assert response.json["reason"] == reason
    ((delivery, why, detail),) = inbox.refused
    assert (delivery.hook, delivery.key, delivery.event) == ("github", CASE.headers()["X-GitHub-Delivery"], "push")
    assert (delivery.remote, delivery.sha256) == ("127.0.0.1", "")
    assert 0 < delivery.size < 2**31
    assert (why, detail) == (reason, response.json["detail"])
    assert [one["reason"] for one in logged.of("webhook refused")] == [reason]


def test_a_forge_without_a_hook_is_written_down_and_an_unknown_one_is_not() -> None:
    inbox = FakeInbox()
    client = create_app({}, inbox, max_body=100_000, now=lambda: NOW).test_client()
    for path in ("/webhooks/github", "/webhooks/sourceforge", "/webhooks/github/other"):
        assert client.post(path, data=CASE.body, headers=CASE.headers()).status_code == 404
    assert [(delivery.hook, reason) for delivery, reason, _ in inbox.refused] == [("github", "forge")]
    assert "`webhooks.github`" in inbox.refused[0][2]


def test_neither_secret_nor_body_is_logged(logged: Logged) -> None:
    body = json.dumps({"password": "hunter2"}).encode()
    gitlab = own_case("gitlab", "push-branch")
    wrong = gitlab.headers() | {"X-Gitlab-Token": "nearly-" + SECRET}
    post(FakeInbox(), data=body, headers=fill(CASE.meta["headers"], body))
    post(FakeInbox(), "/webhooks/gitlab", data=gitlab.body, headers=wrong)
    printed = str(logged.lines)
    assert printed.count("webhook refused") == 2
    assert "hunter2" not in printed
    assert SECRET not in printed


def test_what_became_of_a_delivery_is_logged_with_its_ids(logged: Logged) -> None:
    response = post(FakeInbox())
    access.end({}, response.status_code, 3)  # as the server does then
    (line,) = logged.of("request answered")
    delivery = {"forge": "github", "delivery": CASE.headers()["X-GitHub-Delivery"], "delivery_id": 1}
    ids = delivery | {"request_id": response.headers["X-Request-Id"]}
    assert line.items() >= (ids | {"status": 202, "outcome": "runs"}).items()


ASKED: dict[str, dict[str, Any]] = {
    "accepted": {"data": CASE.body, "headers": CASE.headers()},
    "bad signature": {"data": CASE.body + b" ", "headers": CASE.headers()},
    "another method": {"method": "PUT"},
    "another type": {"data": b"x", "content_type": "text/plain"},
    "too large": {"data": b"x" * 100_001, "content_type": "application/json"},
    "no hook's secret": {"data": b"", "content_type": "application/json"},
}


@pytest.mark.parametrize("path", ["/webhooks/github", "/webhooks/github/", "/webhooks/sourceforge"])
@pytest.mark.parametrize("name", ASKED)
def test_in_front_of_flask_and_behind_it_the_answer_is_the_same(name: str, path: str) -> None:
    alone, around = FakeInbox(), FakeInbox()
    app = Flask(__name__)
    mount(app, hooks(), around, max_body=100_000, now=lambda: NOW)
    asked = {"method": "POST", "environ_base": {"HTTP_X_REQUEST_ID": "1"}} | ASKED[name]
    first = make_app(alone, max_body=100_000).test_client().open(path, **asked)
    second = app.test_client().open(path, **asked)
    assert (first.status, first.data, list(first.headers)) == (second.status, second.data, list(second.headers))
    assert (alone.accepted, alone.refused) == (around.accepted, around.refused)


def test_a_known_forge_is_answered_without_flasks_routing() -> None:
    app = make_app(FakeInbox())
    app.before_request(lambda: "routed")
    assert app.test_client().post("/webhooks/github", data=CASE.body, headers=CASE.headers()).status_code == 202
    assert app.test_client().post("/webhooks/sourceforge").data == b"routed"
