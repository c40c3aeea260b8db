"""Slack's Web API: one message per run, edited in place."""

import json
import time
from dataclasses import replace

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.clicks import Button
from orchestrator.domain.errors import Refused, Unanswered, Unavailable
from orchestrator.domain.messages import Message
from orchestrator.sandbox.chat import CHANNEL, SandboxChat
from orchestrator.sandbox.faults import HttpFault
from tests.support.messages import (
    FAILED,
    HUGE,
    NASTY,
    PROGRESSED,
    RULES,
    STARTED,
    SUCCEEDED,
    WAITING,
    channel_to,
    pings_in,
    spoiled,
)
from tests.support.telling import API_ERRORS, tell
from workers.notifiers.slack_api import look
from workers.notifiers.tools import NotifierTools


def test_a_run_is_one_message_that_is_edited_in_place(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api")
    reference = ""
    for message in (STARTED, WAITING, PROGRESSED, PROGRESSED, SUCCEEDED):
        reference = tell(message, channel, reference).reference

    [shown] = chat.slack.shown
    assert json.loads(reference) == {"channel": CHANNEL, "ts": shown.ts}
    assert shown.edits == 4
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


LOG = ("step 7/9", "  npm ERR! <!channel> <https://evil.example|click> @here ```", "\x1b\u202eexit 1 &")
"""A log that would ping, link and end its code block."""


def test_a_failure_that_is_the_first_message_has_its_log_in_a_thread_and_not_in_the_channel(
    chat: SandboxChat,
) -> None:
    channel, failed = channel_to(chat, "slack-api"), replace(FAILED, tail=LOG)
    first = tell(failed, channel)
    assert first.more
    second = tell(failed, channel, first.reference)
    assert not second.more
    tell(replace(failed, type="run.progressed"), channel, second.reference)

    parent, reply = chat.slack.shown
    assert (parent.edits, reply.thread_ts, reply.broadcast) == (1, parent.ts, False)
    assert "npm ERR!" not in f"{parent.text}{parent.blocks}"
    assert "npm ERR!" in f"{reply.blocks}"


def test_a_reply_whose_answer_is_lost_leads_to_no_second_message(chat: SandboxChat) -> None:
    channel, failed = channel_to(chat, "slack-api"), replace(FAILED, tail=LOG)
    first = tell(failed, channel)
    chat.faults.add(HttpFault(where="postMessage", drop="before"))
    with pytest.raises(Unanswered):
        tell(failed, channel, first.reference)
    tell(failed, channel, first.reference)

    assert [bool(one.thread_ts) for one in chat.slack.shown] == [False, True]


def test_the_log_of_a_failure_is_as_it_was_and_does_nothing(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api")
    tell(replace(FAILED, tail=LOG), channel, tell(STARTED, channel).reference)

    _, reply = chat.slack.shown
    log = reply.blocks[1]["text"]
    assert log["verbatim"] is True
    assert log["text"].splitlines() == [
        "```",
        "step 7/9",
        "  npm ERR! &lt;!channel&gt; &lt;https://evil.example|click&gt; @\u200bhere `\u200b`\u200b`",
        "  exit 1 &amp;",
        "```",
    ]
    assert pings_in(json.dumps(reply.blocks)) == []
    assert "npm ERR!" not in reply.text


@pytest.mark.parametrize("line", ["x" * 4096, HUGE, NASTY * 300, "`" * 4000], ids=["long", "huge", "nasty", "fences"])
def test_of_a_long_log_the_last_lines_fit(chat: SandboxChat, line: str) -> None:
    channel = channel_to(chat, "slack-api")
    tell(replace(FAILED, tail=(*[line] * 19, "the last words")), channel, tell(STARTED, channel).reference)

    text = chat.slack.shown[1].blocks[1]["text"]["text"]
    assert text.endswith("\nthe last words\n```")
    assert len(text) <= 3000
    assert text.count("```") == 2


def test_a_reply_whose_blocks_are_not_liked_says_the_rest(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api")
    reference = tell(STARTED, channel).reference
    chat.slack.fussy = True
    tell(replace(FAILED, tail=LOG), channel, reference)

    assert "ImagePullBackOff" in chat.slack.shown[1].text
    assert chat.slack.shown[1].blocks == ()


def test_an_edit_may_be_made_again_and_a_reply_may_not(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api")
    reference = tell(STARTED, channel).reference
    chat.faults.add(HttpFault(where="update", drop="after"))
    with pytest.raises(Unavailable) as caught:
        tell(FAILED, channel, reference)
    assert not isinstance(caught.value, Unanswered)

    chat.faults.add(HttpFault(where="postMessage", drop="after"))
    with pytest.raises(Unanswered):
        tell(FAILED, channel, reference)


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


def test_what_was_told_in_a_channel_that_is_out_of_reach_since_another_one_is_configured_is_told_there(
    chat: SandboxChat,
) -> None:
    chat.slack.channels["C2"] = "elsewhere"
    moved = replace(channel_to(chat, "slack-api"), target="C2")
    before = json.dumps({"channel": "C-of-another-workspace", "ts": "1.2"})
    assert json.loads(tell(FAILED, moved, before).reference)["channel"] == "C2"


def test_a_channel_that_is_configured_and_out_of_reach_is_not_asked_twice(chat: SandboxChat) -> None:
    gone = replace(channel_to(chat, "slack-api"), target="C-gone")
    with pytest.raises(Refused, match="channel_not_found"):
        tell(FAILED, gone, json.dumps({"channel": "C-gone", "ts": "1.2"}))


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


@pytest.mark.parametrize("body", ['{"message":"blocked"}', '{"error":{"code":403}}', '{"ok":"no"}'])
def test_what_a_proxy_says_in_slacks_place_is_not_a_no(chat: SandboxChat, body: str) -> None:
    chat.faults.add(HttpFault(status=403, body=body))

    with pytest.raises(Unavailable, match="team: HTTP 403, no answer of Slack's API"):
        tell(STARTED, channel_to(chat, "slack-api"))


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_instead_of_slacks_answer_is_not_a_no(chat: SandboxChat, status: int) -> None:
    chat.faults.add(HttpFault(status=status, body="<html>maintenance</html>"))

    with pytest.raises(Unavailable):
        tell(STARTED, channel_to(chat, "slack-api"))


def test_a_token_is_tried_without_a_message(chat: SandboxChat) -> None:
    channel = channel_to(chat, "slack-api", buttons=RULES)
    tools = NotifierTools(now=time.time)

    assert look(channel, tools) == "the token is that of pilotage in the workspace T0SANDBOX; nothing was sent"
    elsewhere = replace(channel, buttons=replace(RULES, team="T0ELSEWHERE"))
    assert look(elsewhere, tools).endswith("; but `buttons.team` is T0ELSEWHERE")
    with pytest.raises(Refused, match="invalid_auth"):
        look(replace(channel, secret=Secret("xoxb-wrong")), tools)
    assert chat.slack.shown == []


@pytest.mark.parametrize("message", [WAITING, FAILED], ids=["waiting", "failed"])
def test_buttons_keep_to_the_limits_whatever_the_names_are(chat: SandboxChat, message: Message) -> None:
    asking = replace(spoiled(message, HUGE), buttons=tuple(Button), note=HUGE)
    tell(asking, channel_to(chat, "slack-api", buttons=RULES))

    [shown] = chat.slack.shown
    assert [button["action_id"] for button in shown.blocks[-1]["elements"]] == list(Button)


@pytest.mark.parametrize("kind", ["slack", "slack-api"])
def test_there_are_no_buttons_where_nobody_may_click(chat: SandboxChat, kind: str) -> None:
    tell(replace(WAITING, buttons=tuple(Button)), channel_to(chat, kind))

    assert "actions" not in [block["type"] for block in chat.slack.shown[0].blocks]
