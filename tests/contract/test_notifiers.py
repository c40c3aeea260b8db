"""Every notifier in the table against the chat stand-in: what arrives, and what each refusal becomes."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Channel, Secret
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.messages import KINDS, Message, Sent
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.chat import CHANNEL, SandboxChat
from orchestrator.sandbox.chat_rules import block_problems, unknown_escapes
from orchestrator.sandbox.faults import HttpFault
from tests.support.contracts import contract_files
from tests.support.messages import ALL, FAILED, HUGE, NASTY, PROGRESSED, STARTED, SUCCEEDED, channel_to, spoiled
from workers.notifiers import webhook
from workers.notifiers.table import NOTIFIERS
from workers.notifiers.tools import Tools

KIND_NAMES = sorted(NOTIFIERS)
WEBHOOK_ERRORS: list[tuple[int, str, type[Exception]]] = [
    (400, "invalid_payload", Refused),
    (400, "no_text", Refused),
    (403, "action_prohibited", Refused),
    (403, "invalid_token", Refused),
    (404, "channel_not_found", Refused),
    (404, "no_service", Refused),
    (404, "no_team", Refused),
    (410, "channel_is_archived", Refused),
    (429, "rate_limited", Unavailable),
    (500, "rollup_error", Unavailable),
    (502, "<html>bad gateway</html>", Unavailable),
    (520, "", Unavailable),
    (302, "", Refused),
    (200, '{"success":false,"error":"no"}', Refused),
]
API_ERRORS: list[tuple[str, type[Exception]]] = [
    ("channel_not_found", Refused),
    ("not_in_channel", Refused),
    ("is_archived", Refused),
    ("invalid_auth", Refused),
    ("token_revoked", Refused),
    ("missing_scope", Refused),
    ("msg_too_long", Refused),
    ("a_code_of_tomorrow", Refused),
    ("ratelimited", Unavailable),
    ("internal_error", Unavailable),
    ("fatal_error", Unavailable),
    ("service_unavailable", Unavailable),
]


@pytest.fixture
def chat() -> Iterator[SandboxChat]:
    started = SandboxChat()
    started.start()
    yield started
    started.stop()


def tell(message: Message, channel: Channel, previous: str = "") -> Sent:
    return NOTIFIERS[channel.kind].send(message, channel, previous, Tools(now=time.time))


def test_every_kind_of_channel_has_a_notifier_that_keeps_to_its_defaults() -> None:
    assert {name: notifier.kind for name, notifier in NOTIFIERS.items()} == KINDS


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_every_state_arrives(chat: SandboxChat, kind: str, message: Message) -> None:
    tell(message, channel_to(chat, kind))

    assert [one.status for one in chat.arrived] in ([200], [204])
    assert "42" in chat.arrived[0].body.decode()


@pytest.mark.parametrize("kind", ["slack", "slack-api"])
@pytest.mark.parametrize("text", [NASTY, HUGE], ids=["nasty", "huge"])
@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_words_of_users_neither_ping_nor_break_the_limits(
    chat: SandboxChat, kind: str, text: str, message: Message
) -> None:
    tell(spoiled(message, text), channel_to(chat, kind))

    body = chat.arrived[0].json()
    assert block_problems(body["blocks"]) == []
    assert len(body["text"]) < 4000
    everything = json.dumps(body, ensure_ascii=False)
    assert list(unknown_escapes(everything)) == []
    assert "@here" not in everything
    assert chat.slack.shown[0].blocks


def test_a_callback_stays_below_20_kb_whatever_is_in_it(chat: SandboxChat) -> None:
    tell(spoiled(FAILED, HUGE), channel_to(chat, "webhook"))

    assert len(chat.arrived[0].body) < 20_000
    assert chat.callbacks.taken[0].data["run"] == 42


# incoming webhooks


@pytest.mark.parametrize(("status", "code", "error"), WEBHOOK_ERRORS)
def test_an_incoming_webhook_that_says_no(chat: SandboxChat, status: int, code: str, error: type[Exception]) -> None:
    chat.faults.add(HttpFault(where="/services", status=status, body=code, times=2))

    with pytest.raises(error) as caught:
        tell(STARTED, channel_to(chat, "slack"))

    assert "opensonlythesandbox" not in str(caught.value)


def test_every_error_of_the_samples_is_in_the_table() -> None:
    known = {(status, code) for status, code, _ in WEBHOOK_ERRORS} | {(400, "invalid_blocks")}
    for path in contract_files("notify/samples/slack-webhook-errors.json"):
        assert {(item["http"], item["text"]) for item in json.loads(path.read_text())["items"]} <= known
    codes = {code for code, _ in API_ERRORS} | {"invalid_blocks"}
    for path in contract_files("notify/samples/slack-chat.postMessage.response-errors.json"):
        assert {item["body"]["error"] for item in json.loads(path.read_text())["items"]} <= codes


@pytest.mark.parametrize("kind", ["slack", "slack-api"])
def test_blocks_that_are_not_liked_are_left_out_once(chat: SandboxChat, kind: str) -> None:
    chat.slack.fussy = True

    tell(FAILED, channel_to(chat, kind))

    assert len(chat.arrived) == 2
    [shown] = chat.slack.shown
    assert shown.blocks == ()
    assert "Deploy failed: plate-web to stg" in shown.text


def test_blocks_are_left_out_only_once(chat: SandboxChat) -> None:
    chat.faults.add(HttpFault(status=400, body="invalid_blocks", times=9))

    with pytest.raises(Refused):
        tell(FAILED, channel_to(chat, "slack"))

    assert len(chat.arrived) == 2


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_channel_says_itself_how_long_to_wait(chat: SandboxChat, kind: str) -> None:
    chat.faults.add(HttpFault(status=429, headers={"Retry-After": "30"}, body='{"ok":false,"error":"ratelimited"}'))

    with pytest.raises(Unavailable) as caught:
        tell(STARTED, channel_to(chat, kind))

    assert caught.value.retry_after == 30
    assert caught.value.reason is Reason.NOTIFY_UNAVAILABLE


def test_slack_takes_one_message_a_second() -> None:
    chat = SandboxChat(limited=True)
    chat.start()
    try:
        tell(STARTED, channel_to(chat, "slack"))
        with pytest.raises(Unavailable) as caught:
            tell(SUCCEEDED, channel_to(chat, "slack"))
        assert caught.value.retry_after == 1
    finally:
        chat.stop()


# the Web API


def test_a_run_is_one_message_that_is_edited_in_place(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api")
    reference = ""
    for message in (STARTED, PROGRESSED, PROGRESSED, SUCCEEDED):
        reference = tell(message, channel, reference).reference

    [shown] = chat.slack.shown
    assert json.loads(reference) == {"channel": CHANNEL, "ts": shown.ts}
    assert shown.edits == 3
    assert "Deployed: plate-web to stg" in shown.text


def test_a_failure_is_told_again_in_the_thread_because_an_edit_makes_no_sound(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api")
    reference = tell(STARTED, channel).reference
    tell(FAILED, channel, reference)

    parent, reply = chat.slack.shown
    assert "Deploy failed" in parent.text
    assert (reply.thread_ts, reply.broadcast) == (parent.ts, True)
    assert "ImagePullBackOff" in reply.text


def test_a_failure_that_is_the_first_message_needs_no_thread(chat: SandboxChat) -> None:
    tell(FAILED, channel_to(chat, "slack-api"))

    assert len(chat.slack.shown) == 1


@pytest.mark.parametrize("previous", ["not json", "[]", '{"channel": "C1"}', '{"channel": "C1", "ts": 1.5}'])
def test_a_reference_that_cannot_be_read_counts_as_none(chat: SandboxChat, previous: str) -> None:
    sent = tell(STARTED, channel_to(chat, "slack-api"), previous)

    assert json.loads(sent.reference)["channel"] == CHANNEL


def test_a_message_that_somebody_deleted_is_posted_anew(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api")
    reference = tell(STARTED, channel).reference
    chat.slack.forget(json.loads(reference)["ts"])

    renewed = tell(SUCCEEDED, channel, reference).reference

    assert renewed != reference
    assert [one.ts for one in chat.slack.shown] == [json.loads(renewed)["ts"]]


@pytest.mark.parametrize("code", ["message_not_found", "cant_update_message", "edit_window_closed"])
def test_a_message_that_cannot_be_edited_is_posted_anew(chat: SandboxChat, code: str) -> None:
    channel = channel_to(chat, "slack-api")
    reference = tell(STARTED, channel).reference
    chat.faults.add(HttpFault(where="update", status=200, body=json.dumps({"ok": False, "error": code})))

    tell(SUCCEEDED, channel, reference)

    assert [one.edits for one in chat.slack.shown] == [0, 0]


@pytest.mark.parametrize(("code", "error"), API_ERRORS)
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
def test_an_http_200_of_the_web_api_can_be_a_no(
    chat: SandboxChat, code: str, error: type[Exception], method: str
) -> None:
    channel = channel_to(chat, "slack-api")
    reference = tell(STARTED, channel).reference if method == "chat.update" else ""
    chat.faults.add(HttpFault(where=method, status=200, body=json.dumps({"ok": False, "error": code})))

    with pytest.raises(error, match=f"team: {code}"):
        tell(SUCCEEDED, channel, reference)


def test_a_wrong_bot_token_is_final_and_not_shown(chat: SandboxChat) -> None:
    with pytest.raises(Refused, match="invalid_auth") as caught:
        tell(STARTED, channel_to(chat, "slack-api", secret=Secret("xoxb-wrong")))

    assert "xoxb-wrong" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_instead_of_slacks_answer_is_not_a_no(chat: SandboxChat, status: int) -> None:
    chat.faults.add(HttpFault(status=status, body="<html>maintenance</html>"))

    with pytest.raises(Unavailable):
        tell(STARTED, channel_to(chat, "slack-api"))


# signed callbacks


def test_a_callback_is_signed_and_named_so_that_a_repeat_is_recognised(chat: SandboxChat) -> None:
    channel = channel_to(chat, "webhook")
    tell(SUCCEEDED, channel)
    tell(SUCCEEDED, channel)

    [callback] = chat.callbacks.taken
    assert (callback.id, callback.type, callback.repeats) == (SUCCEEDED.id, "run.succeeded", 1)
    assert callback.data["app"] == "plate-web"
    assert callback.data["stages"][1] == {"name": "build", "state": "succeeded", "seconds": 60.0}


def test_a_callback_of_two_secrets_is_believed_by_holders_of_either(chat: SandboxChat) -> None:
    new = "whsec_bmV3ZXIta2V5LW9mLXRoZS1zYW5kYm94LWFib3V0LTMy"
    tell(SUCCEEDED, channel_to(chat, "webhook", secret=Secret(f"{new} {chat.callbacks.secrets[0]}")))

    assert len(chat.callbacks.taken) == 1


def test_a_callback_with_another_secret_is_not_believed(chat: SandboxChat) -> None:
    with pytest.raises(Unavailable, match="HTTP 401"):
        tell(SUCCEEDED, channel_to(chat, "webhook", secret=Secret("whsec_YW5vdGhlci1zZWNyZXQ=")))


def test_a_secret_without_the_prefix_is_used_as_it_is() -> None:
    chat = SandboxChat(secrets=["plain"])
    chat.start()
    try:
        tell(SUCCEEDED, channel_to(chat, "webhook", secret=Secret("plain")))
        assert len(chat.callbacks.taken) == 1
    finally:
        chat.stop()


def test_a_callback_that_is_too_old_is_not_believed(chat: SandboxChat) -> None:
    channel = channel_to(chat, "webhook")
    with pytest.raises(Unavailable, match="HTTP 401"):
        NOTIFIERS["webhook"].send(SUCCEEDED, channel, "", Tools(now=lambda: time.time() - 301))


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (204, None), (301, Unavailable), (404, Unavailable), (410, Refused), (500, Unavailable)],
)
def test_what_answers_of_a_receiver_mean(chat: SandboxChat, status: int, error: type[Exception] | None) -> None:
    chat.faults.add(HttpFault(status=status, headers={"Location": f"{chat.base_url}/callbacks"}))

    if error is None:
        tell(SUCCEEDED, channel_to(chat, "webhook"))
    else:
        with pytest.raises(error):
            tell(SUCCEEDED, channel_to(chat, "webhook"))

    assert len(chat.arrived) == 1


@pytest.mark.parametrize("secret", ["", "  ", "whsec_", "whsec_not*base64"])
def test_a_secret_that_proves_nothing_is_refused_before_anything_is_sent(chat: SandboxChat, secret: str) -> None:
    with pytest.raises(Refused):
        tell(SUCCEEDED, channel_to(chat, "webhook", secret=Secret(secret)))

    assert chat.arrived == []


def test_signatures_are_those_of_the_specification() -> None:
    signature = webhook.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_signatures_are_those_of_the_contract_data() -> None:
    for path in contract_files("notify/samples/standard-webhook.json"):
        sample: dict[str, Any] = json.loads(path.read_text())
        headers = sample["headers"]
        ours = webhook.sign(
            sample["secret"], headers["webhook-id"], headers["webhook-timestamp"], sample["body"].encode()
        )
        assert ours == headers["webhook-signature"]
    for path in contract_files("forges/vectors.json"):
        vectors = [one for one in json.loads(path.read_text())["vectors"] if "standard-webhooks" in one["scheme"]]
        for one in vectors:
            ours = webhook.sign(one["secret"], one["webhook-id"], one["webhook-timestamp"], one["body"].encode())
            assert ours == one["expect"]


# the network


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_cut_connection_says_nothing_about_the_message(chat: SandboxChat, kind: str, drop: str) -> None:
    chat.faults.add(HttpFault(drop=drop))

    with pytest.raises(Unavailable) as caught:
        tell(STARTED, channel_to(chat, kind))

    assert len(chat.arrived) == 1
    assert "opensonlythesandbox" not in str(caught.value)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_loopback_is_refused_unless_it_is_allowed(chat: SandboxChat, kind: str) -> None:
    channel = replace(channel_to(chat, kind), allow_private=False)
    with pytest.raises(Refused) as caught:
        tell(STARTED, channel)

    assert caught.value.reason is Reason.NOTIFY_REFUSED
    assert chat.arrived == []
