"""A callback to any address, signed by Standard Webhooks (specification 1.0: id, timestamp and body under HMAC)."""

import base64
import hmac
import json
from dataclasses import asdict

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.messages import Message, Sent
from orchestrator.domain.reasons import Reason
from workers.notifiers.tools import NotifierTools
from workers.notifiers.wording import plain

PREFIX = "whsec_"
"""How a Standard Webhooks secret begins; the rest is the key in base64."""
PATIENCE = 20.0
"""Seconds of silence before a callback is given up; the specification asks for 15 to 30."""
MAX_BODY = 20_000
"""Bytes of a body; the specification asks for less than 20 kB."""
_APART = frozenset({"id", "type", "at", "buttons", "note", "tail"})
"""What stands elsewhere in a callback, or is for people who read a chat."""
_LIMITS = (4000, 400, 80)
"""Characters that a text may have: the first of these with which the whole body is small enough."""


def send(message: Message, channel: Channel, previous: str, tools: NotifierTools) -> Sent:
    """Post the message as JSON; ``webhook-id`` is the same on every attempt, so that receivers can drop repeats.

    :raises Refused: NOTIFY_REFUSED, the receiver is gone (410), or the address or the secret is unusable.
    :raises Unavailable: NOTIFY_UNAVAILABLE, any other answer than 2xx, redirects included.
    """
    content = body(message)
    stamp = str(int(tools.now()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Pilotage",
        "webhook-id": message.id,
        "webhook-timestamp": stamp,
        "webhook-signature": sign(channel.secret.reveal(), message.id, stamp, content),
    }
    answer = tools.post(channel.url, content, headers, allow_private=channel.allow_private, patience=PATIENCE)
    said = f"{channel.name}: HTTP {answer.status}"
    if answer.status == 410:
        raise Refused(Reason.NOTIFY_REFUSED, f"{said}, the receiver wants no more callbacks")
    if not 200 <= answer.status < 300:
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, said, answer.retry_after)
    return Sent()


def body(message: Message) -> bytes:
    """Return the JSON that is sent and signed: ``{"type", "timestamp", "data": {...}}``, below `MAX_BODY` bytes."""
    contents = (_body(message, limit) for limit in _LIMITS)
    return next(content for content in contents if len(content) < MAX_BODY)


def _body(message: Message, limit: int) -> bytes:
    """Return the JSON with every text cut to `limit` characters."""
    data = {name: value for name, value in asdict(message).items() if name not in _APART}
    data |= {name: plain(value, limit) for name, value in data.items() if isinstance(value, str)}
    stages = [(plain(name, 40), plain(state, 40), took) for name, state, took in message.stages[:12]]
    data["stages"] = [{"name": name, "state": state, "seconds": took} for name, state, took in stages]
    value = {"type": message.type, "timestamp": message.at, "data": data}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def sign(secrets: str, message_id: str, stamp: str, content: bytes) -> str:
    """Return the signatures, one per secret: ``v1,<base64> v1,<base64>``.

    :param secrets: ``whsec_<base64>``, or several apart by spaces or commas while one replaces another; a secret
        without the prefix is used as it is, in UTF-8.
    :raises Refused: NOTIFY_REFUSED, there is no secret or it is not base64.
    """
    signed = f"{message_id}.{stamp}.".encode() + content
    keys = [_key(secret) for secret in secrets.replace(",", " ").split()]
    if not keys:
        raise Refused(Reason.NOTIFY_REFUSED, "the callback has no secret; an unsigned one proves nothing")
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:  # also of what is not ASCII
        key = b""
    if not key:
        raise Refused(Reason.NOTIFY_REFUSED, f"the callback's secret is not {PREFIX}<base64>")
    return key
