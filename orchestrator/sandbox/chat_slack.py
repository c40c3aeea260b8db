"""What Slack does with a message: channels, timestamps, threads, edits, and the ways in which it says no.

The codes are those of the incoming-webhook guide and of the reference of ``chat.postMessage`` and ``chat.update``.
"""

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.sandbox.chat_rules import TEXT_HARD, block_problems

MESSAGES = (1, 1.0)
"""Messages that one channel takes, in how many seconds."""
UPDATES = (50, 60.0)
"""Edits that the workspace takes, in how many seconds (tier 3)."""
JSON = "application/json"
TEAM = "T0SANDBOX"
"""The workspace's id."""
_KEPT_TEXT = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One message as people see it. ``ts`` is its name in the channel; ``edits`` counts its updates."""

    channel: str
    ts: str
    text: str
    blocks: tuple[Any, ...] = ()
    thread_ts: str = ""
    broadcast: bool = False
    edits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackReply:
    """What Slack answers: a JSON object, or plain text (incoming webhooks)."""

    status: int = 200
    body: Mapping[str, Any] | str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)


class SlackWorkspace:
    """The channels of one workspace.

    :param channels: channel id to name. :param token: what the bot presents. :param limited: keep to `MESSAGES` and
        `UPDATES`.
    :ivar fussy: answer ``invalid_blocks`` to every message with blocks.
    """

    def __init__(self, *, channels: Mapping[str, str], token: str, limited: bool = True) -> None:
        self.channels = dict(channels)
        self.token = token
        self.limited = limited
        self.fussy = False
        self._lock = threading.Lock()
        self._shown: dict[tuple[str, str], Shown] = {}
        self._calls: dict[str, deque[float]] = {}
        self._counter = itertools.count(1)

    @property
    def shown(self) -> list[Shown]:
        """Return every message, oldest first, each as it is after its edits."""
        with self._lock:
            return list(self._shown.values())

    def forget(self, ts: str) -> None:
        """Delete a message, as a person may."""
        with self._lock:
            self._shown = {key: one for key, one in self._shown.items() if one.ts != ts}

    def incoming(self, body: Any, channel: str, kind: str = JSON) -> SlackReply:
        """Take a post to an incoming webhook: 200 ``ok``, or 4xx with a code as plain text.

        :param kind: the media type that the sender gave.
        """
        if kind != JSON or not isinstance(body, dict):
            return SlackReply(status=400, body="invalid_payload")
        if problem := self.problem(body):
            return SlackReply(status=400, body="invalid_blocks" if problem.startswith("invalid_blocks") else problem)
        if wait := self._wait(channel, *MESSAGES):
            return SlackReply(status=429, body="rate_limited", headers=_after(wait))
        self._add(channel, body)
        return SlackReply()

    def call(self, method: str, body: Any, authorization: str, kind: str = JSON) -> SlackReply:
        """Take a call of the Web API: 200 with ``ok``, or 429. :param kind: the media type that the sender gave."""
        known: dict[str, Callable[[dict[str, Any]], SlackReply]] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
        }
        if method not in (*known, "auth.test"):
            return _refusal("unknown_method")
        if not authorization:
            return _refusal("not_authed")
        if authorization != f"Bearer {self.token}":
            return _refusal("invalid_auth")
        if method == "auth.test":
            who = {"team": "Sandbox", "team_id": TEAM, "user": "pilotage", "user_id": "U0SANDBOXBOT"}
            return SlackReply(body={"ok": True, **who, "bot_id": "B0SANDBOX"})
        if kind != JSON:
            return _refusal("invalid_post_type" if kind else "missing_post_type")
        if not isinstance(body, dict):
            return _refusal("invalid_json")
        if problem := self.problem(body):
            code, _, detail = problem.partition("\n")
            return _refusal(code, *detail.splitlines())
        return known[method](body)

    def _post(self, body: dict[str, Any]) -> SlackReply:
        channel = self._channel(body.get("channel"))
        if not channel:
            return _refusal("channel_not_found")
        if (thread := body.get("thread_ts")) and (channel, thread) not in self._shown:
            return _refusal("thread_not_found")
        if wait := self._wait(channel, *MESSAGES):
            return SlackReply(status=429, body=_no("ratelimited"), headers=_after(wait))
        return _accepted(self._add(channel, body))

    def _update(self, body: dict[str, Any]) -> SlackReply:
        channel, ts = body.get("channel"), body.get("ts")
        if channel not in self.channels:  # names are not enough here, unlike in chat.postMessage
            return _refusal("channel_not_found")
        if wait := self._wait("chat.update", *UPDATES):
            return SlackReply(status=429, body=_no("ratelimited"), headers=_after(wait))
        after = self.edit(channel, ts, body) if isinstance(ts, str) else None
        return _accepted(after) if after is not None else _refusal("message_not_found")

    def find(self, channel: str, ts: str) -> Shown | None:
        """Return a message as it is now; None: there is none."""
        with self._lock:
            return self._shown.get((channel, ts))

    def edit(self, channel: str, ts: str, body: Mapping[str, Any]) -> Shown | None:
        """Give a message another content, and return it; None: there is none."""
        with self._lock:
            before = self._shown.get((channel, ts))
            if before is None:
                return None
            text, blocks = str(body.get("text") or ""), tuple(body.get("blocks") or ())
            after = replace(before, text=text, blocks=blocks, edits=before.edits + 1)
            self._shown[channel, before.ts] = after
        return after

    def problem(self, body: dict[str, Any]) -> str:
        """Return the code of what is wrong with a message, details on further lines; "" when nothing is."""
        text, blocks = body.get("text"), body.get("blocks")
        if not text and not blocks and not body.get("attachments"):
            return "no_text"
        if text is not None and not isinstance(text, str):
            return "invalid_arguments"
        if len(text or "") > TEXT_HARD:
            return "msg_too_long"
        if blocks and self.fussy:
            return "invalid_blocks"
        problems = block_problems(blocks) if blocks is not None else []
        return "\n".join(["invalid_blocks", *problems]) if problems else ""

    def _channel(self, name: Any) -> str:
        return next((key for key, value in self.channels.items() if name in (key, value, f"#{value}")), "")

    def _wait(self, what: str, most: int, seconds: float) -> float:
        """Count a call; return the seconds to wait when there were too many, and it counts for nothing."""
        now = time.monotonic()
        with self._lock:
            calls = self._calls.setdefault(what, deque(maxlen=most))
            left = calls[0] + seconds - now if len(calls) == most else 0.0
            if self.limited and left > 0:
                return left
            calls.append(now)
        return 0.0

    def _add(self, channel: str, body: dict[str, Any]) -> Shown:
        with self._lock:
            ts = f"{int(time.time())}.{next(self._counter):06d}"
            shown = Shown(
                channel=channel,
                ts=ts,
                text=str(body.get("text") or ""),
                blocks=tuple(body.get("blocks") or ()),
                thread_ts=str(body.get("thread_ts") or ""),
                broadcast=bool(body.get("reply_broadcast")),
            )
            self._shown[channel, ts] = shown
        return shown


def _after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds))}


def _accepted(shown: Shown) -> SlackReply:
    message = {"type": "message", "text": shown.text[:_KEPT_TEXT], "ts": shown.ts}
    return SlackReply(body={"ok": True, "channel": shown.channel, "ts": shown.ts, "message": message})


def _no(code: str, *details: str) -> dict[str, Any]:
    body: dict[str, Any] = {"ok": False, "error": code}
    return body | ({"response_metadata": {"messages": list(details)}} if details else {})


def _refusal(code: str, *details: str) -> SlackReply:
    return SlackReply(body=_no(code, *details))
