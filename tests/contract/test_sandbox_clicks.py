"""The chat stand-in sends clicks, and takes answers to them, as Slack does and never more leniently."""

import hmac
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import pytest
import requests
from flask import Flask, Response, request

from orchestrator.sandbox import chat_clicks
from orchestrator.sandbox.chat import CHANNEL, TOKEN, SandboxChat
from orchestrator.sandbox.chat_clicks import PERSON, SIGNING_SECRET, Whisper
from orchestrator.sandbox.chat_slack import Shown
from orchestrator.sandbox.githttp import serve
from tests.support.chats import BUTTON
from tests.support.contracts import contract, needs_contract

ROW = {"type": "actions", "block_id": "run-42", "elements": [BUTTON]}


class ClickedApp:
    """An app that notes what comes, and answers as a test says."""

    def __init__(self) -> None:
        self.status = 200
        self.answering = threading.Event()
        self.answering.set()
        self.came: list[tuple[bytes, dict[str, str]]] = []

    def flask(self) -> Flask:
        app = Flask("app", static_folder=None)
        app.add_url_rule("/slack", "slack", self._take, methods=["POST"])
        return app

    def _take(self) -> Response:
        self.came.append((request.get_data(), {name.lower(): value for name, value in request.headers.items()}))
        self.answering.wait(10)
        return Response("", self.status, {"Location": "/elsewhere"} if self.status == 302 else {})


@pytest.fixture
def app(chat: SandboxChat) -> Iterator[ClickedApp]:
    made = ClickedApp()
    with serve(made.flask()) as url:
        chat.clicks.request_url = f"{url}/slack"
        yield made


@pytest.fixture
def shown(chat: SandboxChat) -> Shown:
    body = {"channel": CHANNEL, "text": "Deploy failed", "blocks": [ROW]}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.post(f"{chat.api_url}/chat.postMessage", json=body, headers=headers, timeout=10).json()["ok"]
    return chat.slack.shown[-1]


def answer(reply_to: str, **body: Any) -> tuple[int, Any]:
    said = requests.post(reply_to, json=body, timeout=10)
    return said.status_code, said.json()


def test_a_click_is_signed_over_its_raw_bytes(chat: SandboxChat, app: ClickedApp, shown: Shown) -> None:
    assert not chat.clicks.click(shown, "rerun").warned

    [(body, headers)] = app.came
    signed = b"v0:" + headers["x-slack-request-timestamp"].encode() + b":" + body
    assert headers["x-slack-signature"] == "v0=" + hmac.digest(SIGNING_SECRET.encode(), signed, "sha256").hex()
    assert headers["content-type"] == "application/x-www-form-urlencoded"


@needs_contract
def test_a_click_has_what_the_sample_has(chat: SandboxChat, app: ClickedApp, shown: Shown) -> None:
    chat.clicks.click(shown, "rerun")
    payload = json.loads(unquote_plus(app.came[0][0].decode().removeprefix("payload=")))
    sample = contract("notify/samples/slack-interactive.payload.json")

    assert payload.keys() == sample.keys()
    for name in ("user", "container", "team", "channel"):
        assert payload[name].keys() == sample[name].keys(), name
    assert payload["actions"][0].keys() == sample["actions"][0].keys()
    assert payload["message"].keys() >= sample["message"].keys()


@pytest.mark.parametrize("status", [201, 302, 401, 500])
def test_any_answer_but_200_shows_a_warning_and_is_not_asked_for_again(
    chat: SandboxChat, app: ClickedApp, shown: Shown, status: int
) -> None:
    app.status = status
    seen = chat.clicks.click(shown, "rerun")

    assert (seen.status, seen.warned, len(app.came)) == (status, True, 1)


def test_an_app_that_takes_too_long_shows_a_warning(
    chat: SandboxChat, app: ClickedApp, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chat_clicks.ACK == 3.0
    monkeypatch.setattr(chat_clicks, "ACK", 0.05)
    app.answering.clear()
    warned = chat.clicks.click(shown, "rerun").warned
    app.answering.set()
    assert warned


def test_without_interactivity_a_click_shows_a_warning(chat: SandboxChat, shown: Shown) -> None:
    assert chat.clicks.click(shown, "rerun").warned


def test_a_button_that_is_not_there_cannot_be_clicked(chat: SandboxChat, app: ClickedApp, shown: Shown) -> None:
    with pytest.raises(LookupError):
        chat.clicks.click(shown, "approve")
    chat.slack.edit(CHANNEL, shown.ts, {"text": "over"})
    with pytest.raises(LookupError):
        chat.clicks.click(shown, "rerun")
    assert app.came == []


def test_an_answer_replaces_the_message_or_is_for_one(chat: SandboxChat, app: ClickedApp, shown: Shown) -> None:
    reply_to = chat.clicks.click(shown, "rerun").reply_to
    assert answer(reply_to, replace_original=True, text="working") == (200, {"ok": True})
    assert answer(reply_to, text="only for you") == (200, {"ok": True})
    assert answer(reply_to, response_type="in_channel", text="for all") == (200, {"ok": True})

    assert [one.text for one in chat.slack.shown] == ["working", "for all"]
    assert chat.slack.shown[0].blocks == ()
    assert chat.clicks.whispers == [Whisper(person=PERSON, text="only for you")]


def test_an_address_takes_five_answers_in_half_an_hour(
    chat: SandboxChat, app: ClickedApp, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = chat.clicks.click(shown, "rerun").reply_to
    fresh = chat.clicks.click(shown, "rerun").reply_to
    codes = [answer(used, text="x")[0] for _ in range(6)]
    assert codes == [200] * 5 + [404]
    assert answer(used, text="x")[1]["error"] == "used_url"
    assert answer(f"{used}x", text="x")[1]["error"] == "expired_url"
    assert chat_clicks.LIFETIME == 1800
    monkeypatch.setattr(chat_clicks, "LIFETIME", -1.0)
    assert answer(fresh, text="x") == (404, {"ok": False, "error": "expired_url"})


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"data": b"{}"}, "invalid_payload"),
        ({"json": []}, "invalid_payload"),
        ({"json": {}}, "no_text"),
        ({"json": {"text": "x", "blocks": [{"type": "section"}]}}, "invalid_blocks"),
    ],
)
def test_an_answer_is_checked_like_a_message_and_is_no_use_of_the_address(
    chat: SandboxChat, app: ClickedApp, shown: Shown, sent: dict[str, Any], code: str
) -> None:
    reply_to = chat.clicks.click(shown, "rerun").reply_to
    for _ in range(6):
        said = requests.post(reply_to, **sent, timeout=10)
        assert (said.status_code, said.json()["error"]) == (400, code)
    assert answer(reply_to, text="x")[0] == 200


def test_a_token_is_told_which_workspace_it_is_of(chat: SandboxChat) -> None:
    def ask(token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(f"{chat.api_url}/auth.test", headers=headers, timeout=10).json()

    assert (ask(TOKEN)["ok"], ask(TOKEN)["team_id"]) == (True, "T0SANDBOX")
    assert ask("xoxb-no") == {"ok": False, "error": "invalid_auth"}
