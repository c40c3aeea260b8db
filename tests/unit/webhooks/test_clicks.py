"""The endpoint for clicks: what is proven is written down and answered with nothing, and all else is turned away."""

import hmac
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import Client, EnvironBuilder, TestResponse

from orchestrator.at_once import AT_ONCE
from orchestrator.domain.apps import ButtonRules, Channel, Secret
from orchestrator.domain.clicks import Button, Click
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.events import BadSignature, Malformed
from orchestrator.domain.reasons import Reason
from tests.support.hooks import FakeInbox
from webhooks.app import create_app
from webhooks.chats import slack
from webhooks.clicks import MAX_CLICK
from webhooks.headers import Headers

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
DOCUMENTED = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
"""The example of Slack's page on verifying requests, with its signature and the secret above."""
DOCUMENTED_PROOF = {
    "x-slack-request-timestamp": "1531420618",
    "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}
VALUE = {"run": 42, "to": "team"}
ACTION = {"action_id": "rerun", "value": json.dumps(VALUE), "type": "button", "action_ts": "1787368020.552233"}
PAYLOAD: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": "U2CERLKJA", "username": "road", "name": "roadrunner", "team_id": "T1DC2JH3J"},
    "container": {"type": "message", "message_ts": "1787367999.123456", "channel_id": "C0123456789"},
    "team": {"id": "T1DC2JH3J", "domain": "testteamnow"},
    "response_url": "https://hooks.slack.com/actions/T1DC2JH3J/397700885554/x",
    "actions": [ACTION],
}
CLICK = Click(
    id="1787368020.552233 U2CERLKJA",
    button=Button.RERUN,
    run=42,
    channel="team",
    place={"channel": "C0123456789", "ts": "1787367999.123456"},
    person="U2CERLKJA",
    actor="roadrunner (Slack U2CERLKJA)",
    team="T1DC2JH3J",
    reply_to="https://hooks.slack.com/actions/T1DC2JH3J/397700885554/x",
)
PATH = "/webhooks/slack"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class FakeClickBox:
    """Keeps clicks, or fails."""

    def __init__(self) -> None:
        self.taken: list[Click] = []
        self.error: Exception | None = None

    def take(self, click: Click) -> Future[None]:
        done: Future[None] = Future()
        if self.error is not None:
            done.set_exception(self.error)
        else:
            self.taken.append(click)
            done.set_result(None)
        return done


def channel(name: str = "team", secret: str = SECRET, kind: str = "slack-api") -> Channel:
    rules = ButtonRules(secret=Secret(secret), team="T1DC2JH3J", people=frozenset())
    return Channel(name=name, kind=kind, buttons=rules)


def form(payload: Mapping[str, Any] = PAYLOAD) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def proof(body: bytes, stamp: str = STAMP, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.digest(secret.encode(), f"v0:{stamp}:".encode() + body, "sha256").hex()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}", **FORM}


class Endpoint:
    """The endpoint with a fixed clock; remembers what was observed and taken."""

    def __init__(self, *channels: Channel, roots: Sequence[str] = ()) -> None:
        self.box = FakeClickBox()
        self.seen: list[tuple[str, int]] = []
        self.app = create_app(
            {},
            FakeInbox(),
            max_body=10,
            now=lambda: NOW,
            observe=lambda name, status, _: self.seen.append((name, status)),
            channels=channels or (channel(),),
            clicks=self.box,
            roots=roots,
        )

    def post(
        self, body: bytes, headers: Mapping[str, str], path: str = "/webhooks/slack", **how: Any
    ) -> TestResponse:
        return Client(self.app).open(path, method=how.pop("method", "POST"), data=body, headers=dict(headers), **how)


def test_the_documented_signature_is_good_for_five_minutes() -> None:
    headers = Headers(DOCUMENTED_PROOF.items())
    for seconds in (-300, 0, 300):
        slack.verify(headers, DOCUMENTED, SECRET, datetime.fromtimestamp(1531420618 + seconds, UTC))
    for seconds in (-301, 301):
        with pytest.raises(BadSignature):
            slack.verify(headers, DOCUMENTED, SECRET, datetime.fromtimestamp(1531420618 + seconds, UTC))


@pytest.mark.parametrize(
    ("roots", "path"),
    [
        ((), "/webhooks/slack"),
        ((), "/webhooks/slack/"),
        (("/ci", "/pilotage"), "/webhooks/slack"),
        (("/ci", "/pilotage"), "/ci/webhooks/slack"),
    ],
)
def test_a_proven_click_is_written_down_and_answered_with_nothing(roots: Sequence[str], path: str) -> None:
    endpoint = Endpoint(roots=roots)
    answer = endpoint.post(form(), proof(form()), path)

    assert (answer.status_code, answer.get_data()) == (200, b"")
    assert endpoint.box.taken == [CLICK]
    assert endpoint.seen == [("slack", 200)]


REFUSED: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "no proof": (form(), FORM, 401, "signature"),
    "no timestamp": (form(), {"X-Slack-Signature": proof(form())["X-Slack-Signature"], **FORM}, 401, "signature"),
    "another secret": (form(), proof(form(), secret="s3cret"), 401, "signature"),
    "another body": (form() + b"&x=1", proof(form()), 401, "signature"),
    "another time": (form(), proof(form()) | {"X-Slack-Request-Timestamp": str(int(STAMP) - 1)}, 401, "signature"),
    "an old one": (form(), proof(form(), str(int(STAMP) - 301)), 401, "signature"),
    "one of tomorrow": (form(), proof(form(), str(int(STAMP) + 301)), 401, "signature"),
    "no time": (form(), proof(form(), "soon"), 401, "signature"),
    "another version": (form(), proof(form()) | {"X-Slack-Signature": "v1=" + "0" * 64}, 401, "signature"),
    "too large": (b"x" * (MAX_CLICK + 1), proof(b"x" * (MAX_CLICK + 1)), 413, "too_large"),
    "json": (form(), proof(form()) | {"content-type": "application/json"}, 415, "content_type"),
    "compressed": (form(), proof(form()) | {"content-encoding": "gzip"}, 415, "content_type"),
    "no form": (b"payload", proof(b"payload"), 400, "malformed"),
    "no object": (form([]), proof(form([])), 400, "malformed"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_proven_click_is_turned_away(case: str) -> None:
    body, headers, status, reason = REFUSED[case]
    endpoint = Endpoint()
    answer = endpoint.post(body, headers)

    assert (answer.status_code, answer.get_json()["reason"]) == (status, reason)
    assert (endpoint.box.taken, endpoint.seen) == ([], [("slack", status)])
    assert SECRET not in answer.get_data(as_text=True)


def test_a_body_that_no_proof_belongs_to_is_not_read() -> None:
    class Unread:
        def read(self, *_: object) -> bytes:
            raise AssertionError("nobody asked for the body")

    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": "100"}
    assert Endpoint().post(b"", FORM, environ_overrides=environ).status_code == 401


def test_a_body_that_does_not_say_how_long_it_is_and_is_too_large_is_told_so() -> None:
    body = b"x" * (MAX_CLICK + 1)
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    assert Endpoint().post(body, proof(body), environ_overrides=environ).status_code == 413


def test_a_click_is_posted() -> None:
    answer = Endpoint().post(b"", FORM, method="GET")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("channels", [(replace(channel(), buttons=None),), (channel(kind="another"),)])
def test_without_buttons_there_is_nothing_to_click(channels: tuple[Channel, ...]) -> None:
    assert Endpoint(*channels).post(form(), proof(form())).status_code == 404


def test_a_database_that_is_away_is_said_so_that_the_person_sees_a_warning() -> None:
    endpoint = Endpoint()
    endpoint.box.error = Unavailable(Reason.DATABASE_UNAVAILABLE, "gone")
    answer = endpoint.post(form(), proof(form()))
    assert (answer.status_code, answer.get_json()["reason"]) == (503, "database_unavailable")


OF_NO_CONCERN = {
    "a form that was sent": PAYLOAD | {"type": "view_submission"},
    "a button of somebody else": PAYLOAD | {"actions": [ACTION | {"action_id": "vote"}]},
    "nothing": PAYLOAD | {"actions": []},
}


@pytest.mark.parametrize("case", OF_NO_CONCERN)
def test_what_is_no_button_of_ours_is_acknowledged_and_forgotten(case: str) -> None:
    endpoint, body = Endpoint(), form(OF_NO_CONCERN[case])
    assert endpoint.post(body, proof(body)).status_code == 200
    assert endpoint.box.taken == []


SPOILED = {
    "no person": PAYLOAD | {"user": {"name": "mina"}},
    "no place": PAYLOAD | {"container": {}},
    "no value": PAYLOAD | {"actions": [{**ACTION, "value": "42"}]},
    "a run that is none": PAYLOAD | {"actions": [{**ACTION, "value": '{"run": 0, "to": "team"}'}]},
    "a run as text": PAYLOAD | {"actions": [{**ACTION, "value": '{"run": "42", "to": "team"}'}]},
    "a run that is true": PAYLOAD | {"actions": [{**ACTION, "value": '{"run": true, "to": "team"}'}]},
    "a run too large": PAYLOAD | {"actions": [{**ACTION, "value": '{"run": 2147483648, "to": "team"}'}]},
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_click_that_says_too_little_is_malformed(case: str) -> None:
    with pytest.raises(Malformed):
        slack.parse(FORM, form(SPOILED[case]))


NAMES = {
    "as it is": ({"name": "mina"}, "mina (Slack U1)"),
    "the other one": ({"username": "mina"}, "mina (Slack U1)"),
    "none": ({}, "somebody (Slack U1)"),
    "blanks only": ({"name": " \n"}, "somebody (Slack U1)"),
    "lines and turns": ({"name": "mi\nna\u202eevil\x00"}, "mi na evil\ufffd (Slack U1)"),
    "as if it were another person": ({"name": "mina (Slack U2)"}, "mina Slack U2 (Slack U1)"),
    "long": ({"name": "x" * 500}, f"{'x' * 60} (Slack U1)"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_person_is_named_in_one_plain_line_with_the_id(case: str) -> None:
    user, actor = NAMES[case]
    found = slack.parse(FORM, form(PAYLOAD | {"user": {"id": "U1", **user}}))
    assert found is not None
    assert (found.actor, found.team) == (actor, "T1DC2JH3J"), "without a team of their own, that of the request"


def test_the_click_goes_to_the_destination_that_its_button_names_among_those_that_are_proven() -> None:
    endpoint = Endpoint(channel("other", "other-secret"), channel("first"), channel("team"))
    for to in ("team", "other", "gone"):
        body = form(PAYLOAD | {"actions": [ACTION | {"value": json.dumps({"run": 42, "to": to})}]})
        endpoint.post(body, proof(body))
    assert [click.channel for click in endpoint.box.taken] == ["team", "first", "first"]


def test_a_click_that_has_arrived_needs_no_thread_of_its_own() -> None:
    endpoint = Endpoint()
    at_once = endpoint.app.extensions[AT_ONCE]
    assert PATH in at_once.paths
    pending = at_once.begin(EnvironBuilder(PATH, method="POST", data=form(), headers=proof(form())).get_environ())
    at_once.flush()

    assert pending.written.done()
    assert (pending.word().status_code, endpoint.box.taken) == (200, [CLICK])
