"""Slack's Web API with a bot token: one message per run, edited in place; a failure, with its log, in the thread."""

import json
from collections.abc import Set
from typing import Any

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import Refused, Unanswered, Unavailable
from orchestrator.domain.messages import Message, Sent
from orchestrator.domain.reasons import Reason
from workers.notifiers import slack_buttons, wording
from workers.notifiers.tools import NotifierTools
from workers.shapes import read_json

API = "https://slack.com/api"
"""Where Slack is, unless the channel's `url` names another place (GovSlack, a stand-in)."""
TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "request_timeout", "service_unavailable"}
)
"""Codes after which the same call may succeed; every other one is final."""
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
_ELSEWHERE = frozenset({"channel_not_found", "not_in_channel", "is_archived"})
"""What Slack says of a channel out of reach: the message may be in another one than that of now."""
_TOO_FANCY = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
_REPLY_IS_DUE = "reply_is_due"
"""Marks a reference whose message was posted with a failure in it, and has no reply yet."""
_JSON = {"Content-Type": "application/json; charset=utf-8"}


class _Gone(Exception):
    """The message that was to be edited is not there any more, or not ours."""


def send(message: Message, channel: Channel, previous: str, tools: NotifierTools) -> Sent:
    """Edit the run's message, or post one when there is none (any more); the reference is its channel id and ts.

    :param previous: ``{"channel", "ts"}`` of the run's message as JSON text, or "".
    :raises Refused: NOTIFY_REFUSED with Slack's code. :raises Unavailable: NOTIFY_UNAVAILABLE.
    :raises Unanswered: NOTIFY_UNAVAILABLE, and a message or a reply may be there already.
    """
    place = _place(previous)
    if place:
        try:
            return _go_on(place, message, channel, tools, posted=_REPLY_IS_DUE in _object(previous))
        except _Gone:
            pass
    made = _deliver("chat.postMessage", {"channel": channel.target}, message, channel, tools)
    place = {"channel": str(made.get("channel")), "ts": str(made.get("ts"))}
    if message.type == "run.failed" and message.tail:
        # On its own, with the place written down: what is lost now must not lead to a second message.
        return Sent(reference=json.dumps(place | {_REPLY_IS_DUE: True}), more=True)
    return Sent(reference=json.dumps(place))


def look(channel: Channel, tools: NotifierTools) -> str:
    """Say whose token a channel has; nothing is posted. :raises Refused, Unavailable: as `send`."""
    who = _checked(_call("auth.test", {}, channel, tools), channel)
    team, rules = str(who.get("team_id")), channel.buttons
    said = f"the token is that of {wording.plain(str(who.get('user')), 80)} in the workspace {team}; nothing was sent"
    return f"{said}; but `buttons.team` is {rules.team}" if rules and rules.team != team else said


def _go_on(place: dict[str, str], message: Message, channel: Channel, tools: NotifierTools, *, posted: bool) -> Sent:
    """Edit the message, and reply to it with a failure. :param posted: it was posted with this failure in it."""
    failed = message.type == "run.failed"
    if not (failed and posted):
        _edit(place, message, channel, tools)
    if failed:
        _reply(place, message, channel, tools, broadcast=not posted)
    return Sent(reference=json.dumps(place))


def _edit(place: dict[str, str], message: Message, channel: Channel, tools: NotifierTools) -> None:
    gone = _GONE if place["channel"] == channel.target else _GONE | _ELSEWHERE
    try:
        _deliver("chat.update", place, message, channel, tools, gone)
    except Unanswered as error:  # an edit that is made twice shows once
        raise Unavailable(error.reason, error.evidence, error.retry_after) from error


def _deliver(
    method: str,
    place: dict[str, str],
    message: Message,
    channel: Channel,
    tools: NotifierTools,
    gone: Set[str] = _GONE,
) -> dict[str, Any]:
    """Call with blocks; once more without them when Slack does not like them. Returns Slack's answer."""
    body = place | {"text": wording.text(message)}
    blocks = [*wording.blocks(message), *slack_buttons.buttons(message, channel)]
    fancy = {"blocks": blocks, "unfurl_links": False}
    answer = _call(method, body | fancy, channel, tools)
    if answer.get("error") in _TOO_FANCY:
        answer = _call(method, body | {"blocks": []}, channel, tools)
    return _checked(answer, channel, gone)


def _reply(
    place: dict[str, str], message: Message, channel: Channel, tools: NotifierTools, *, broadcast: bool
) -> None:
    """Say in the message's thread what failed and how its log ends: an edit makes no sound, a reply does."""
    where = {"channel": place["channel"], "thread_ts": place["ts"], "reply_broadcast": broadcast}
    body = where | {"text": wording.reply(message), "unfurl_links": False, "unfurl_media": False}
    answer = _call("chat.postMessage", body | {"blocks": wording.reply_blocks(message)}, channel, tools)
    if answer.get("error") in _TOO_FANCY:
        answer = _call("chat.postMessage", body, channel, tools)
    _checked(answer, channel)


def _call(method: str, body: dict[str, Any], channel: Channel, tools: NotifierTools) -> dict[str, Any]:
    """Call a method; Slack answers 200 also to what it refuses, with ``ok: false`` and a code."""
    headers = _JSON | {"Authorization": f"Bearer {channel.secret.reveal()}"}
    url = f"{(channel.url or API).rstrip('/')}/{method}"
    content = json.dumps(body, ensure_ascii=False).encode()
    answer = tools.post(url, content, headers, allow_private=channel.allow_private)
    said = _object(answer.body)
    if not isinstance(said.get("ok"), bool):  # a proxy may say no in JSON of its own
        words = f"{channel.name}: HTTP {answer.status}, no answer of Slack's API"
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, words, answer.retry_after)
    return said | {"error": str(said.get("error")), "retry_after": answer.retry_after}


def _checked(answer: dict[str, Any], channel: Channel, gone: Set[str] = _GONE) -> dict[str, Any]:
    if answer.get("ok") is True:
        return answer
    code = wording.plain(answer["error"], 100)
    if code in gone:
        raise _Gone
    if code in TRANSIENT:
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, f"{channel.name}: {code}", answer.get("retry_after"))
    raise Refused(Reason.NOTIFY_REFUSED, f"{channel.name}: {code}")


def _place(previous: str) -> dict[str, str]:
    """Read a reference; anything else counts as none."""
    place = _object(previous)
    known = all(isinstance(place.get(key), str) for key in ("channel", "ts"))
    return {"channel": place["channel"], "ts": place["ts"]} if known else {}


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        value = read_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
