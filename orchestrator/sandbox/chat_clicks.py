"""What Slack does when somebody clicks a button: it asks the app, for 3 seconds, and gives it an address for answers.

The rules are those of its guide to interactivity: the request is signed, and not sent again; an address for answers
takes five of them in half an hour.
"""

import hmac
import http.client
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus, urlencode, urlsplit

from orchestrator.sandbox.chat_slack import JSON, TEAM, Shown, SlackReply, SlackWorkspace

SIGNING_SECRET = "sandbox-only-not-a-real-signing-secret"  # noqa: S105 - opens nothing but this stand-in
PERSON = "U0SANDBOX01"
ACK = 3.0
"""Seconds in which the app is to answer; else the person sees a warning."""
USES, LIFETIME = 5, 1800.0
"""Answers that an address takes, and the seconds for which it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """What came of a click. ``status``: of the app's answer, 0: none in time. ``warned``: the person saw a warning.

    ``reply_to``: the address for answers.
    """

    status: int
    warned: bool
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisper:
    """What one person sees and nobody else."""

    person: str
    text: str


@dataclass(slots=True)
class _Address:
    channel: str
    ts: str
    person: str
    begun: float
    uses: int = 0


class SlackClicks:
    """The buttons of a workspace.

    :param slack: its messages. :param secret: what requests are signed with.
    :ivar request_url: the app's Request URL; "" = interactivity is off, and each click shows a warning.
    :ivar base_url: the beginning of addresses for answers.
    """

    def __init__(self, slack: SlackWorkspace, secret: str = SIGNING_SECRET) -> None:
        self._slack = slack
        self._secret = secret
        self.request_url = self.base_url = ""
        self._lock = threading.Lock()
        self._addresses: dict[str, _Address] = {}
        self._whispers: list[Whisper] = []

    @property
    def whispers(self) -> list[Whisper]:
        """Return what single persons were told, oldest first."""
        with self._lock:
            return list(self._whispers)

    def click(
        self, shown: Shown, button: str, *, person: str = PERSON, name: str = "mina", team: str = TEAM
    ) -> Acknowledged:
        """Click a button of a message as it is shown now. :raises LookupError: it has no such button."""
        return self.send(self.request(shown, button, person=person, name=name, team=team))

    def request(
        self, shown: Shown, button: str, *, person: str = PERSON, name: str = "mina", team: str = TEAM
    ) -> bytes:
        """Return the body of the request for a click, with an address of its own. Raises as `click`."""
        now = self._slack.find(shown.channel, shown.ts)
        found = next((one for one in _buttons(now) if one["action_id"] == button), None) if now else None
        if now is None or found is None:
            raise LookupError(f"the message has no button {button}")
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._addresses[key] = _Address(now.channel, now.ts, person, time.monotonic())
        user = {"id": person, "username": name, "name": name, "team_id": team}
        payload = _payload(now, found, user) | {"response_url": f"{self.base_url}/actions/{TEAM}/{key}"}
        return urlencode({"payload": json.dumps(payload)}).encode()

    def send(self, body: bytes, **headers: str) -> Acknowledged:
        """Send a request to the app as Slack does, once. :param headers: others than Slack's."""
        payload = json.loads(unquote_plus(body.decode().removeprefix("payload=")))
        reply_to = str(payload["response_url"])
        if not self.request_url:
            return Acknowledged(status=0, warned=True, reply_to=reply_to)
        sent = {"Content-Type": "application/x-www-form-urlencoded", **self.sign(body), **headers}
        status = _post(self.request_url, body, sent)
        return Acknowledged(status=status, warned=status != 200, reply_to=reply_to)

    def sign(self, body: bytes, at: float | None = None) -> dict[str, str]:
        """Return the headers that prove a body. :param at: seconds since 1970; None: now."""
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.digest(self._secret.encode(), f"v0:{stamp}:".encode() + body, "sha256").hex()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    def answer(self, key: str, body: Any, kind: str) -> SlackReply:
        """Take what is posted to an address for answers. :param kind: the media type that the sender gave."""
        if kind != JSON or not isinstance(body, dict):
            return _no(400, "invalid_payload")
        with self._lock:
            address = self._addresses.get(key)
            if address is None or time.monotonic() - address.begun > LIFETIME:
                return _no(404, "expired_url")
            if address.uses >= USES:
                return _no(404, "used_url")
            if problem := self._slack.problem(body):
                return _no(400, problem.partition("\n")[0])
            address.uses += 1
        return self._say(address, body)

    def _say(self, address: _Address, body: Mapping[str, Any]) -> SlackReply:
        if body.get("replace_original") is True:
            self._slack.edit(address.channel, address.ts, body)
        elif body.get("response_type", "ephemeral") == "ephemeral":
            with self._lock:
                self._whispers.append(Whisper(person=address.person, text=str(body.get("text") or "")))
        else:
            self._slack.incoming(dict(body), address.channel)
        return SlackReply(body={"ok": True})


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post once, and follow nothing; return the status, or 0 where none came within `ACK` seconds."""
    parts, begun = urlsplit(url), time.monotonic()
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=ACK)
    try:
        connection.request("POST", parts.path or "/", body, dict(headers))
        answer = connection.getresponse()
        answer.read()
        return answer.status if time.monotonic() - begun <= ACK else 0
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _buttons(shown: Shown) -> list[dict[str, Any]]:
    rows = [block for block in shown.blocks if block.get("type") == "actions"]
    return [{"block_id": row.get("block_id", "b1"), **button} for row in rows for button in row["elements"]]


def _payload(shown: Shown, button: Mapping[str, Any], user: Mapping[str, str]) -> dict[str, Any]:
    """Make what Slack tells of a click, as its reference of block_actions has it."""
    action = {name: button[name] for name in ("action_id", "block_id", "text", "value", "type")}
    message = {"type": "message", "ts": shown.ts, "text": shown.text, "blocks": list(shown.blocks)}
    place = {"type": "message", "message_ts": shown.ts, "channel_id": shown.channel, "is_ephemeral": False}
    return {
        "type": "block_actions",
        "user": dict(user),
        "api_app_id": "A0SANDBOX",
        "token": "deprecated",
        "container": place,
        "trigger_id": secrets.token_hex(16),
        "team": {"id": TEAM, "domain": "sandbox"},
        "channel": {"id": shown.channel, "name": "deploys"},
        "message": message,
        "actions": [action | {"action_ts": f"{time.time():.6f}"}],
    }


def _no(status: int, code: str) -> SlackReply:
    return SlackReply(status=status, body={"ok": False, "error": code})
