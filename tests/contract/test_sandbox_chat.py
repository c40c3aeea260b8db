"""The chat stand-in says yes and no as Slack and a careful receiver of callbacks do."""

import base64
import hmac
import time
from typing import Any

import pytest
import requests

from orchestrator.sandbox.chat import CHANNEL, SECRET, TOKEN, SandboxChat
from orchestrator.sandbox.chat_callbacks import Callbacks, key
from orchestrator.sandbox.chat_rules import block_problems
from orchestrator.sandbox.chat_slack import SlackReply, SlackWorkspace
from orchestrator.sandbox.faults import HttpFault, HttpFaults
from tests.support.chats import BUTTON
from tests.support.contracts import contract, needs_contract
from tests.support.messages import pings_in

_JSON = {"content-type": "application/json; charset=utf-8"}
_WORD = {"type": "plain_text", "text": "Sure?"}
CONFIRM = {"title": _WORD, "text": _WORD, "confirm": _WORD, "deny": _WORD}
TITLE = {"type": "plain_text", "text": "x" * 101}
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}


def call(chat: SandboxChat, method: str, token: str = TOKEN, **body: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.post(f"{chat.api_url}/{method}", json=body, headers=headers, timeout=10)
    assert answer.status_code in (200, 429)
    said: dict[str, Any] = answer.json()
    return said


def proof(body: bytes, *, name: str = "msg_1", at: int, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.digest(key(secret), f"{name}.{at}.".encode() + body, "sha256")
    signature = "v1a,AAAA v1," + base64.b64encode(digest).decode()
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": signature} | _JSON


def signed(chat: SandboxChat, body: bytes, **changes: str) -> int:
    headers = proof(body, at=int(time.time()), **changes)
    return requests.post(chat.callback_url, data=body, headers=headers, timeout=10).status_code


def test_an_incoming_webhook_answers_plain_ok(chat: SandboxChat) -> None:
    answer = requests.post(chat.webhook_url, json={"text": "hi", "blocks": [SECTION]}, timeout=10)

    assert (answer.status_code, answer.text) == (200, "ok")
    assert chat.slack.shown[0].text == "hi"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"not json", 400, "invalid_payload"),
        (b"[]", 400, "invalid_payload"),
        (b"{}", 400, "no_text"),
        (b'{"text": "x", "blocks": [{"type": "section"}]}', 400, "invalid_blocks"),
    ],
)
def test_an_incoming_webhook_answers_plain_codes(chat: SandboxChat, body: bytes, status: int, code: str) -> None:
    answer = requests.post(chat.webhook_url, data=body, headers=_JSON, timeout=10)

    assert (answer.status_code, answer.text) == (status, code)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/octet-stream"])
def test_what_is_not_said_to_be_json_is_read_by_nobody(chat: SandboxChat, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = requests.post(chat.webhook_url, data=b'{"text": "hi"}', headers=headers, timeout=10)
    assert (answer.status_code, answer.text) == (400, "invalid_payload")

    called = f"{chat.api_url}/chat.postMessage"
    bearer = headers | {"Authorization": f"Bearer {TOKEN}"}
    said = requests.post(called, data=b'{"channel": "deploys", "text": "hi"}', headers=bearer, timeout=10).json()
    assert said == {"ok": False, "error": "invalid_post_type" if kind else "missing_post_type"}
    assert chat.slack.shown == []

    proven = proof(b"{}", at=int(time.time())) | {"content-type": kind}
    assert requests.post(chat.callback_url, data=b"{}", headers=proven, timeout=10).status_code == 415
    assert chat.callbacks.taken == []


def test_a_channel_takes_one_message_a_second_whoever_sends_it() -> None:
    slack = SlackWorkspace(channels={CHANNEL: "deploys", "C2": "other"}, token=TOKEN)
    assert slack.incoming({"text": "one"}, CHANNEL).status == 200
    for late in (slack.incoming({"text": "two"}, CHANNEL), post(slack, CHANNEL)):
        assert (late.status, late.headers) == (429, {"Retry-After": "1"})
    assert post(slack, "C2").status == 200
    assert [one.text for one in slack.shown] == ["one", "x"]


def test_a_workspace_takes_fifty_edits_a_minute() -> None:
    slack = SlackWorkspace(channels={CHANNEL: "deploys"}, token=TOKEN)
    made = post(slack, CHANNEL).body
    assert isinstance(made, dict)
    edit = {"channel": CHANNEL, "ts": made["ts"], "text": "y"}
    edits = [slack.call("chat.update", edit, f"Bearer {TOKEN}") for _ in range(51)]
    assert [one.status for one in edits] == [200] * 50 + [429]
    assert 50 < int(edits[-1].headers["Retry-After"]) <= 60


def post(slack: SlackWorkspace, channel: str) -> SlackReply:
    return slack.call("chat.postMessage", {"channel": channel, "text": "x"}, f"Bearer {TOKEN}")


@pytest.mark.parametrize(("path", "status", "code"), [("T/B/x", 404, "no_service"), ("", 403, "invalid_token")])
def test_an_unknown_webhook_is_not_there(chat: SandboxChat, path: str, status: int, code: str) -> None:
    url = f"{chat.base_url}/services/{path}" if path else chat.webhook_url + "x"
    answer = requests.post(url, json={"text": "hi"}, timeout=10)

    assert (answer.status_code, answer.text) == (status, code)


def test_a_posted_message_can_be_edited_by_id_and_ts(chat: SandboxChat) -> None:
    made = call(chat, "chat.postMessage", channel="#deploys", text="one")
    assert made["channel"] == CHANNEL
    edited = call(chat, "chat.update", channel=made["channel"], ts=made["ts"], text="two")

    assert edited["ok"]
    assert [(one.text, one.edits) for one in chat.slack.shown] == [("two", 1)]


@pytest.mark.parametrize(
    ("method", "token", "body", "code"),
    [
        ("chat.postMessage", "", {"channel": CHANNEL, "text": "x"}, "not_authed"),
        ("chat.postMessage", "xoxb-no", {"channel": CHANNEL, "text": "x"}, "invalid_auth"),
        ("chat.postMessage", TOKEN, {"channel": "C0", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", TOKEN, {"channel": CHANNEL}, "no_text"),
        ("chat.postMessage", TOKEN, {"channel": CHANNEL, "text": 1}, "invalid_arguments"),
        ("chat.postMessage", TOKEN, {"channel": CHANNEL, "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", TOKEN, {"channel": CHANNEL, "text": "x", "thread_ts": "1.2"}, "thread_not_found"),
        ("chat.update", TOKEN, {"channel": "deploys", "ts": "1.2", "text": "x"}, "channel_not_found"),
        ("chat.update", TOKEN, {"channel": CHANNEL, "ts": "1.2", "text": "x"}, "message_not_found"),
        ("chat.update", TOKEN, {"channel": CHANNEL, "ts": 1.2, "text": "x"}, "message_not_found"),
        ("chat.delete", TOKEN, {}, "unknown_method"),
    ],
)
def test_the_web_api_answers_200_also_to_what_it_refuses(
    chat: SandboxChat, method: str, token: str, body: dict[str, Any], code: str
) -> None:
    assert call(chat, method, token, **body) == {"ok": False, "error": code}


def test_blocks_that_are_wrong_are_pointed_at(chat: SandboxChat) -> None:
    wrong = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    said = call(chat, "chat.postMessage", channel=CHANNEL, text="x", blocks=[SECTION, wrong])

    assert said["error"] == "invalid_blocks"
    assert said["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/1/text/text]"
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "section"},
        {"type": "section", "text": {"type": "mrkdwn", "text": ""}},
        {"type": "section", "text": "plain"},
        {"type": "section", "fields": []},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]},
        {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
        {"type": "context", "elements": []},
        {"type": "actions", "elements": []},
        {"type": "actions", "elements": [BUTTON | {"text": {"type": "plain_text", "text": "x" * 76}}]},
        {"type": "actions", "elements": [BUTTON | {"text": {"type": "mrkdwn", "text": "x"}}]},
        {"type": "actions", "elements": [BUTTON | {"type": "select"}]},
        {"type": "actions", "elements": [BUTTON | {"action_id": "x" * 256}]},
        {"type": "actions", "elements": [BUTTON | {"value": "x" * 2001}]},
        {"type": "actions", "elements": [BUTTON | {"style": "green"}]},
        {"type": "actions", "elements": [BUTTON | {"confirm": CONFIRM | {"title": TITLE}}]},
        {"type": "actions", "elements": [BUTTON, BUTTON]},
        {"type": "actions", "elements": [BUTTON], "block_id": "x" * 256},
        {"type": "actions", "elements": [BUTTON | {"action_id": str(number)} for number in range(26)]},
        {"type": "unheard of"},
        "not a block",
    ],
)
def test_a_wrong_block_is_found(block: Any) -> None:
    assert len(block_problems([block])) == 1


def test_there_may_be_fifty_blocks() -> None:
    assert block_problems([{"type": "divider"}] * 50) == []
    assert block_problems([{"type": "divider"}] * 51)
    assert block_problems({"type": "divider"})


def test_what_pings_is_found() -> None:
    assert pings_in("<!here> <@U1> <https://x|y> &lt;!here&gt;") == ["!here", "@U1"]


@needs_contract
def test_the_samples_are_accepted_and_answered_as_slack_does(chat: SandboxChat) -> None:
    assert block_problems(contract("notify/samples/slack-webhook-blocks.json")["blocks"]) == []
    request = contract("notify/samples/slack-chat.postMessage.request.json")
    answer = contract("notify/samples/slack-chat.postMessage.response-ok.json")
    made = call(chat, "chat.postMessage", **(request["body"] | {"channel": CHANNEL}))
    assert made.keys() == answer.keys()
    assert made["message"].keys() == answer["message"].keys()


def test_a_callback_is_believed_once(chat: SandboxChat) -> None:
    body = b'{"type": "run.failed", "data": {"run": 7}}'

    assert [signed(chat, body), signed(chat, body)] == [204, 204]
    assert [(one.type, one.data["run"], one.repeats) for one in chat.callbacks.taken] == [("run.failed", 7, 1)]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"secret": "another"}, 401),
        ({"name": "has.dots"}, 400),
        ({"name": ""}, 400),
    ],
)
def test_a_callback_that_proves_nothing_is_not_kept(chat: SandboxChat, changes: dict[str, Any], status: int) -> None:
    assert signed(chat, b"{}", **changes) == status
    assert chat.callbacks.taken == []


@pytest.mark.parametrize(("age", "status"), [(300, 204), (301, 401), (-300, 204), (-301, 401)])
def test_a_callback_may_be_five_minutes_away_from_the_clock(age: int, status: int) -> None:
    callbacks = Callbacks([SECRET])
    told, _ = callbacks.receive(proof(b"{}", at=1_700_000_000 - age), b"{}", 1_700_000_000.0)
    assert (told, len(callbacks.taken)) == (status, status == 204)


def test_a_callback_that_is_not_json_is_not_kept(chat: SandboxChat) -> None:
    assert signed(chat, b"no") == 400


def test_a_secret_that_is_not_base64_is_a_mistake_of_whoever_set_it() -> None:
    with pytest.raises(ValueError, match="base64"):
        key("whsec_*")


def test_the_page_shows_messages_and_runs_nothing(chat: SandboxChat) -> None:
    assert "No message yet" in requests.get(chat.base_url, timeout=10).text
    made = call(chat, "chat.postMessage", channel=CHANNEL, text="&lt;b&gt; <script>x</script>")
    call(chat, "chat.postMessage", channel=CHANNEL, text="reply", thread_ts=made["ts"])
    page = requests.get(chat.base_url, timeout=10).text

    assert "&lt;b&gt; &lt;script&gt;" in page
    assert "<script>" not in page
    assert "class=reply" in page


def test_a_fault_lasts_for_its_seconds_and_says_how_long(chat: SandboxChat) -> None:
    chat.faults.add(HttpFault(where="/services", status=429, times=0, seconds=60))
    answers = [requests.post(chat.webhook_url, json={"text": "x"}, timeout=10) for _ in range(2)]

    assert [one.status_code for one in answers] == [429, 429]
    assert 55 < int(answers[0].headers["Retry-After"]) <= 60
    chat.faults.clear()
    assert requests.post(chat.webhook_url, json={"text": "x"}, timeout=10).status_code == 200


def test_a_fault_may_eat_the_answer_of_what_was_done(chat: SandboxChat) -> None:
    chat.faults.add(HttpFault(drop="after"))
    with pytest.raises(requests.ConnectionError):
        requests.post(chat.webhook_url, json={"text": "x"}, timeout=10)

    assert [one.text for one in chat.slack.shown] == ["x"]
    assert chat.arrived[0].status == 0


def test_faults_happen_in_order_and_only_where_they_fit() -> None:
    faults = HttpFaults()
    post, any_two = HttpFault(method="POST"), HttpFault(where="/a", times=2)
    faults.add(post)
    faults.add(any_two)

    taken = [faults.take(*request) for request in (("GET", "/b"), ("POST", "/a"), ("GET", "/a"), ("GET", "/a"))]
    assert taken == [None, post, any_two, any_two]
    assert faults.take("POST", "/a") is None
