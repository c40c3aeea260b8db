"""What holds for every kind of channel."""

import json
from dataclasses import replace

import pytest

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import RateLimited, Refused, Unanswered, Unavailable
from orchestrator.domain.messages import KINDS, Message
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.chat_rules import block_problems
from orchestrator.sandbox.faults import HttpFault
from tests.support.chats import Receiver
from tests.support.messages import ALL, FAILED, HUGE, NASTY, STARTED, channel_of, channel_to, pings_in, spoiled
from tests.support.telling import KIND_NAMES, tell
from webhooks.chats import CHATS
from webhooks.forges import FORGES
from workers.notifiers.table import ANSWERS, NOTIFIERS


def channel_at(receiver: Receiver, kind: str) -> Channel:
    """A channel of a kind that leads to a stand-in."""
    if isinstance(receiver, SandboxChat):
        return channel_to(receiver, kind)
    return channel_of(kind.removesuffix("-status"), receiver.base_url)


def test_every_kind_of_channel_has_a_notifier_and_defaults() -> None:
    assert NOTIFIERS.keys() == KINDS.keys()


def test_every_chat_that_tells_of_clicks_can_be_answered() -> None:
    assert {chat.kind for chat in CHATS.values()} == ANSWERS.keys()
    assert ANSWERS.keys() <= KINDS.keys()
    assert not CHATS.keys() & FORGES.keys(), "they share one folder of addresses"


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_every_state_arrives(receiver: Receiver, kind: str, message: Message) -> None:
    tell(message, channel_at(receiver, kind))

    assert [one.status for one in receiver.arrived] in ([200], [201], [204])
    assert "42" in receiver.arrived[0].body.decode()


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
    assert pings_in(everything) == []
    assert "@here" not in everything
    assert chat.slack.shown[0].blocks


def test_a_callback_stays_below_20_kb_whatever_is_in_it(chat: SandboxChat) -> None:
    tell(spoiled(FAILED, HUGE), channel_to(chat, "webhook"))

    assert len(chat.arrived[0].body) < 20_000
    assert chat.callbacks.taken[0].data["run"] == 42


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_channel_says_itself_how_long_to_wait(receiver: Receiver, kind: str) -> None:
    receiver.faults.add(
        HttpFault(status=429, headers={"Retry-After": "30"}, body='{"ok":false,"error":"ratelimited"}')
    )

    with pytest.raises(RateLimited) as caught:
        tell(STARTED, channel_at(receiver, kind))

    assert caught.value.retry_after == 30
    assert caught.value.reason is Reason.NOTIFY_UNAVAILABLE


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_channel_in_trouble_is_not_one_that_limits_us(receiver: Receiver, kind: str) -> None:
    receiver.faults.add(HttpFault(status=503, headers={"Retry-After": "5"}))

    with pytest.raises(Unavailable) as caught:
        tell(STARTED, channel_at(receiver, kind))

    assert not isinstance(caught.value, RateLimited | Unanswered)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_gateway_that_waited_in_vain_says_nothing_about_the_message(receiver: Receiver, kind: str) -> None:
    receiver.faults.add(HttpFault(status=504))

    with pytest.raises(Unanswered):
        tell(STARTED, channel_at(receiver, kind))


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_message_that_was_not_sent_cannot_have_arrived(receiver: Receiver, kind: str) -> None:
    channel = channel_at(receiver, kind)
    receiver.stop()

    with pytest.raises(Unavailable) as caught:
        tell(STARTED, channel)

    assert not isinstance(caught.value, Unanswered)


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_cut_connection_says_nothing_about_the_message(receiver: Receiver, kind: str, drop: str) -> None:
    receiver.faults.add(HttpFault(drop=drop))

    with pytest.raises(Unanswered) as caught:
        tell(STARTED, channel_at(receiver, kind))

    assert len(receiver.arrived) == 1
    assert "opensonlythesandbox" not in str(caught.value)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_loopback_is_refused_unless_it_is_allowed(receiver: Receiver, kind: str) -> None:
    channel = replace(channel_at(receiver, kind), allow_private=False)
    with pytest.raises(Refused) as caught:
        tell(STARTED, channel)

    assert caught.value.reason is Reason.NOTIFY_REFUSED
    assert receiver.arrived == []
