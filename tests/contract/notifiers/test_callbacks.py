"""Signed callbacks."""

import time
from dataclasses import replace

import pytest

from orchestrator.domain.apps import Channel, Secret
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.faults import HttpFault
from tests.support.contracts import contract, needs_contract
from tests.support.messages import SUCCEEDED, channel_to
from tests.support.telling import tell
from workers.clients.outbound import Posted
from workers.notifiers import webhook
from workers.notifiers.table import NOTIFIERS
from workers.notifiers.tools import NotifierTools


def test_a_callback_is_signed_and_named_so_that_a_repeat_is_recognised(chat: SandboxChat) -> None:
    channel = channel_to(chat, "webhook")
    tell(SUCCEEDED, channel)
    tell(SUCCEEDED, channel)

    [callback] = chat.callbacks.taken
    assert (callback.id, callback.type, callback.repeats) == (SUCCEEDED.id, "run.succeeded", 1)
    assert callback.data["app"] == "plate-web"
    assert (callback.data["actor"], callback.data["action"]) == ("", "")
    assert callback.data["stages"][1] == {"name": "build", "state": "succeeded", "seconds": 60.0}


def test_a_callback_says_who_did_what(chat: SandboxChat) -> None:
    tell(replace(SUCCEEDED, actor="mina", action="approved"), channel_to(chat, "webhook"))

    assert {"actor": "mina", "action": "approved"}.items() <= chat.callbacks.taken[0].data.items()


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
        NOTIFIERS["webhook"](SUCCEEDED, channel, "", NotifierTools(now=lambda: time.time() - 301))


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


def test_a_receiver_has_the_time_that_the_specification_asks_for() -> None:
    asked: dict[str, object] = {}

    def post(*_: object, **given: object) -> Posted:
        asked.update(given)
        return Posted(status=204)

    NOTIFIERS["webhook"](
        SUCCEEDED,
        Channel(name="ops", kind="webhook", secret=Secret("x")),
        "",
        NotifierTools(now=time.time, post=post),
    )
    assert asked["patience"] == 20.0


def test_a_receiver_that_is_gone_is_named_so() -> None:
    with pytest.raises(Refused, match="HTTP 410, the receiver wants no more callbacks"):
        NOTIFIERS["webhook"](
            SUCCEEDED,
            Channel(name="ops", kind="webhook", secret=Secret("x")),
            "",
            NotifierTools(now=time.time, post=lambda *_, **__: Posted(status=410)),
        )


@pytest.mark.parametrize("secret", ["", "  ", "whsec_", "whsec_not*base64", "whsec_키"])
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


@needs_contract
def test_signatures_are_those_of_the_contract_data() -> None:
    sample = contract("notify/samples/standard-webhook.json")
    headers = sample["headers"]
    ours = webhook.sign(
        sample["secret"], headers["webhook-id"], headers["webhook-timestamp"], sample["body"].encode()
    )
    assert ours == headers["webhook-signature"]
    [one] = [one for one in contract("forges/vectors.json")["vectors"] if "standard-webhooks" in one["scheme"]]
    ours = webhook.sign(one["secret"], one["webhook-id"], one["webhook-timestamp"], one["body"].encode())
    assert ours == one["expect"]
