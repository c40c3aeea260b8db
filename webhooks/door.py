"""The decision on a request: what it must look like, whether it is genuine, and how it is answered; no I/O."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from flask import Response
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.wrappers import Request

from orchestrator import journal
from orchestrator.domain.apps import Hook
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.events import Delivery
from orchestrator.domain.inbox import Answer
from webhooks.forges import FORGES, Forge
from webhooks.headers import Headers
from webhooks.payload import FORM
from webhooks.problems import Turned
from webhooks.receive import Accepted, RefusedDelivery, announced, receive

RETRY_AFTER = 5
"""Seconds after which a forge may deliver again, when the inbox does not say."""
CHUNK = 64 * 1024
"""Bytes that are read at a time, so that an announced length alone takes no memory."""

_CONTENT_TYPES = ("application/json", FORM)

_log = journal.get(__name__)


class Clock(Protocol):
    """Our clock, with a time zone."""

    def __call__(self) -> datetime:
        """Return the time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that is turned away; ``delivery`` is to be written down with ``reason`` and ``detail``, if any is."""

    turned: Turned
    delivery: Delivery | None = None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Examines requests.

    :param hooks: the configured hooks by forge. :param max_body: bytes of a body; more is answered with 413.
    """

    hooks: Mapping[str, Hook]
    max_body: int
    now: Clock

    def examine(self, asked: Request, name: str) -> Accepted | Refusal:
        """Examine a request to ``/webhooks/<name>``; whoever calls writes down what comes of it."""
        row = FORGES.get(name)
        if row is None:  # what is sent to another path than that of a forge leaves no trace: nobody's delivery
            detail = f"There is no such forge; the hooks are /webhooks/{{{','.join(FORGES)}}}."
            return Refusal(turned=Turned(404, "forge", detail))
        headers, remote = Headers(asked.headers), asked.remote_addr or ""
        try:
            hook = self._hook(name)
            _check_form(asked)
            body = _read(asked, self.max_body)
        except Turned as turned:
            if asked.method != "POST":  # no delivery
                return Refusal(turned=turned)
            sent = announced(row, headers, asked.content_length or 0, remote)
            return _refused(turned, sent, turned.reason, turned.detail)
        result = receive(row, hook, headers, body, self.now(), remote=remote)
        if isinstance(result, RefusedDelivery):
            return _refused(_turn(row, result), result.delivery, result.reason, result.detail)
        return result

    def _hook(self, name: str) -> Hook:
        hook = self.hooks.get(name)
        if hook is None:
            raise Turned(404, "forge", f"No hook is configured for {name}; set `webhooks.{name}` and restart.")
        return hook


def taken(told: Answer) -> Response:
    """Log what came of a delivery and word the answer."""
    _log.info("webhook taken", delivery_id=told.body.get("delivery"), outcome=_outcome(told), reason=_why(told))
    return Response(json.dumps(told.body), status=told.status, content_type="application/json")


def not_taken(error: Unavailable) -> Turned:
    """Log that a genuine delivery could not be written down; the forge is asked to deliver it again."""
    _log.error("webhook not written down", reason=error.reason.value, detail=error.evidence)
    wait = str(math.ceil(error.retry_after or RETRY_AFTER))
    detail = "The delivery is genuine but could not be written down; deliver it again."
    return Turned(503, error.reason.value, detail, {"Retry-After": wait})


def not_remembered(error: Unavailable) -> None:
    """Log that a refusal could not be written down; the answer to the caller stays the same."""
    _log.error("refused webhook not written down", reason=error.reason.value, detail=error.evidence)


def _refused(turned: Turned, delivery: Delivery, reason: str, detail: str) -> Refusal:
    log = _log.bind(forge=delivery.hook, delivery=delivery.key)
    log.warning("webhook refused", reason=reason, detail=detail, remote=delivery.remote)
    return Refusal(turned=turned, delivery=delivery, reason=reason, detail=detail)


def _turn(row: Forge, result: RefusedDelivery) -> Turned:
    # RFC 9110 section 15.5.2: a 401 says which proof is wanted.
    wanted = {"WWW-Authenticate": f'Webhook header="{row.proof_header}"'} if result.status == 401 else {}
    return Turned(result.status, result.reason, f"The delivery was refused: {result.detail}.", wanted)


def _check_form(asked: Request) -> None:
    if asked.method != "POST":
        raise Turned(405, "method", "A webhook is delivered with POST.", {"Allow": "POST"})
    charset = asked.mimetype_params.get("charset", "utf-8").lower()
    if asked.mimetype not in _CONTENT_TYPES or charset not in ("utf-8", "utf8"):
        raise Turned(415, "content_type", "Set the hook's content type to application/json (UTF-8).")
    if asked.headers.get("Content-Encoding", "identity") != "identity":
        raise Turned(415, "content_encoding", "Deliver the body without compression.")


def _read(asked: Request, most: int) -> bytes:
    """Read the body, with or without a length, and never more than `most` bytes and one."""
    announced = asked.content_length
    if announced is not None and announced > most:
        raise _too_large(most)
    # Werkzeug takes exactly the limit for too much when the server ends the stream, hence the one.
    asked.max_content_length = most + 1
    try:
        body = b"".join(iter(lambda: asked.stream.read(CHUNK), b""))
    except RequestEntityTooLarge:
        raise _too_large(most) from None
    except BadRequest:
        body = b""
    if announced is not None and len(body) < announced:
        raise Turned(400, "malformed", "The connection ended before the body did; deliver it again.")
    return body


def _too_large(most: int) -> Turned:
    return Turned(413, "too_large", f"The body is larger than {most} bytes; let the hook send fewer events.")


def _outcome(told: Answer) -> str:
    """Name what became of a delivery, for the log."""
    return next((word for word in ("duplicate", "ignored", "pong") if word in told.body), "runs")


def _why(told: Answer) -> str | None:
    """Return the reason for which a delivery was ignored."""
    return told.body.get("ignored")
