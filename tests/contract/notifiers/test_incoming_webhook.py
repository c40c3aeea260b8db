"""Slack's incoming webhooks."""

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.faults import HttpFault
from tests.support.contracts import contract, needs_contract
from tests.support.messages import FAILED, STARTED, SUCCEEDED, channel_to
from tests.support.telling import API_ERRORS, WEBHOOK_ERRORS, tell


@pytest.mark.parametrize(("status", "code", "error"), WEBHOOK_ERRORS)
def test_an_incoming_webhook_that_says_no(chat: SandboxChat, status: int, code: str, error: type[Exception]) -> None:
    chat.faults.add(HttpFault(where="/services", status=status, body=code, times=2))

    with pytest.raises(error) as caught:
        tell(STARTED, channel_to(chat, "slack"))

    assert "opensonlythesandbox" not in str(caught.value)


@needs_contract
def test_every_error_of_the_samples_is_in_the_table() -> None:
    known = {(status, code) for status, code, _ in WEBHOOK_ERRORS} | {(400, "invalid_blocks")}
    webhook_errors = contract("notify/samples/slack-webhook-errors.json")["items"]
    assert {(item["http"], item["text"]) for item in webhook_errors} <= known
    codes = {code for code, _ in API_ERRORS} | {"invalid_blocks"}
    api_errors = contract("notify/samples/slack-chat.postMessage.response-errors.json")["items"]
    assert {item["body"]["error"] for item in api_errors} <= codes


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


def test_slack_takes_one_message_a_second() -> None:
    chat = SandboxChat()
    chat.start()
    try:
        tell(STARTED, channel_to(chat, "slack"))
        with pytest.raises(Unavailable) as caught:
            tell(SUCCEEDED, channel_to(chat, "slack"))
        assert caught.value.retry_after == 1
    finally:
        chat.stop()
