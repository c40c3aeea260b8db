"""Handles one request: judges it, has it written down, and answers; the judging thread waits for no write."""

import json
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, NoReturn

from werkzeug import Response

from orchestrator import access, journal
from orchestrator.at_once import Pending, nothing_to_write
from orchestrator.domain.apps import Hook
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.events import Delivery
from orchestrator.domain.inbox import Answer, Inbox
from webhooks.body import LARGE, Reservation, Room, check_size, read_body
from webhooks.forges import FORGES, Forge
from webhooks.hook_request import HookRequest
from webhooks.payload import FORM
from webhooks.problems import RETRY_AFTER, TurnedAway, problem
from webhooks.receive import RefusedDelivery, VerifiedDelivery, announced, receive, unproven

_CONTENT_TYPES = ("application/json", FORM)

_log = journal.get(__name__)

Observe = Callable[[str, int, float], None]
"""Is told of each answer: the forge, the status, and the seconds that it took."""

_Told = tuple[Future[Any], Callable[[], Answer]]
"""What is being recorded, and a function that waits for it and returns the answer (or raises TurnedAway)."""


class WebhookHandler:
    """Answers the requests of forges.

    :param hooks: the configured hooks by forge. :param inbox: takes what arrives.
    :param max_body: bytes of a body; more is answered with 413. :param now: our clock, with a time zone.
    :param observe: is told of each answer.
    """

    def __init__(
        self, hooks: Mapping[str, Hook], inbox: Inbox, max_body: int, now: Callable[[], datetime], observe: Observe
    ) -> None:
        self._hooks = hooks
        self._inbox = inbox
        self._max_body = max_body
        self._now = now
        self._observe = observe
        self._room = Room(LARGE * max_body)

    def answer(self, environ: dict[str, Any], forge: str) -> Response:
        """Answer one WSGI request, after it is recorded."""
        _, word = self._begin(HookRequest(environ), forge)
        self.flush()
        return word()

    def flush(self) -> None:
        """Record the requests that were judged so far."""
        self._inbox.flush()

    def begin(self, environ: dict[str, Any], forge: str) -> Pending:
        """Judge one WSGI request, and note what is to be recorded."""
        return Pending(*self._begin(HookRequest(environ), forge))

    def _begin(self, asked: HookRequest, forge: str) -> tuple[Future[Any], Callable[[], Response]]:
        begun = time.monotonic()
        request_id = access.begin(asked.environ)
        try:
            written, told = self._take(asked, forge)
        except TurnedAway as turned:
            written, told = nothing_to_write(), partial(_turn, turned)
        return written, partial(self._word, told, asked.path, request_id, forge, begun)

    def _word(self, told: Callable[[], Answer], path: str, request_id: str, forge: str, begun: float) -> Response:
        try:
            known = told()
        except TurnedAway as turned:
            answer = problem(turned, path, request_id)
        else:
            answer = Response(json.dumps(known.body), status=known.status, content_type="application/json")
        answer.headers["X-Request-Id"] = request_id
        # Anybody can ask for any name: what is counted by name must be few.
        self._observe(forge if forge in FORGES else "unknown", answer.status_code, time.monotonic() - begun)
        return answer

    def _take(self, asked: HookRequest, name: str) -> _Told:
        row = _known(name)
        try:
            with self._room.reserve() as reservation:
                result = self._judge(row, asked, reservation)
        except TurnedAway as turned:
            if asked.method != "POST":  # what else comes is no delivery
                raise
            delivery = announced(row, asked.headers, asked.content_length or 0, asked.remote)
            return self._refuse(delivery, turned, turned.detail)
        if isinstance(result, RefusedDelivery):
            return self._refuse(result.delivery, _refusal(row, result), result.detail)
        return self._accept(result)

    def _judge(self, row: Forge, asked: HookRequest, reservation: Reservation) -> VerifiedDelivery | RefusedDelivery:
        hook, headers, remote = self._hook(row.name), asked.headers, asked.remote
        _check_form(asked)
        check_size(asked, self._max_body)
        refused = unproven(row, hook, headers, self._now(), asked.content_length or 0, remote)
        if refused is not None:
            return refused
        body = read_body(asked, self._max_body, reservation)
        return receive(row, hook, headers, body, self._now(), remote=remote)

    def _hook(self, name: str) -> Hook:
        hook = self._hooks.get(name)
        if hook is None:
            raise TurnedAway(404, "forge", f"No hook is configured for {name}; set `webhooks.{name}` and restart.")
        return hook

    def _accept(self, accepted: VerifiedDelivery) -> _Told:
        _bind(accepted.delivery)
        written = self._inbox.accept(accepted.delivery, accepted.parsed)
        return written, partial(_taken, written)

    def _refuse(self, delivery: Delivery, turned: TurnedAway, detail: str) -> _Told:
        """Log a refusal and have it recorded; if that fails, the answer stays the same."""
        _bind(delivery)
        _log.warning("webhook refused", reason=turned.reason, detail=detail, remote=delivery.remote)
        written = self._inbox.refuse(delivery, turned.reason, detail)
        return written, partial(_refused, written, turned)


def _bind(delivery: Delivery) -> None:
    """Name the delivery in the log lines about this request."""
    journal.bind(forge=delivery.hook, delivery=delivery.key)


def _taken(written: Future[Answer]) -> Answer:
    """Return the answer, and add the outcome of the delivery to the request's log line."""
    try:
        told = written.result()
    except Unavailable as error:
        _log.error("webhook not written down", reason=error.reason.value, detail=error.evidence)
        raise _try_later(error) from None
    journal.bind(delivery_id=told.body.get("delivery"), outcome=_outcome(told), reason=_why(told))
    return told


def _refused(written: Future[None], turned: TurnedAway) -> NoReturn:
    try:
        written.result()
    except Unavailable as error:
        _log.error("refused webhook not written down", reason=error.reason.value, detail=error.evidence)
    raise turned


def _turn(turned: TurnedAway) -> NoReturn:
    raise turned


def _refusal(row: Forge, result: RefusedDelivery) -> TurnedAway:
    # RFC 9110 section 15.5.2: a 401 says which proof is wanted.
    wanted = {"WWW-Authenticate": f'Webhook header="{row.proof_header}"'} if result.status == 401 else {}
    return TurnedAway(result.status, result.reason, f"The delivery was refused: {result.detail}.", wanted)


def _known(name: str) -> Forge:
    """Find a forge. A request to any other path is not recorded: it is no delivery."""
    row = FORGES.get(name)
    if row is None:
        raise TurnedAway(404, "forge", f"There is no such forge; hooks end with /webhooks/{{{','.join(FORGES)}}}.")
    return row


def _check_form(asked: HookRequest) -> None:
    if asked.method != "POST":
        raise TurnedAway(405, "method", "A webhook is delivered with POST.", {"Allow": "POST"})
    media_type, parameters = asked.content_type()
    charset = parameters.get("charset", "utf-8").lower()
    if media_type not in _CONTENT_TYPES or charset not in ("utf-8", "utf8"):
        raise TurnedAway(415, "content_type", "Set the hook's content type to application/json (UTF-8).")
    if asked.headers.get("content-encoding", "identity") != "identity":
        raise TurnedAway(415, "content_encoding", "Deliver the body without compression.")


def _outcome(told: Answer) -> str:
    """Name the outcome of a delivery, for the log."""
    return next((word for word in ("duplicate", "ignored", "pong") if word in told.body), "runs")


def _why(told: Answer) -> str | None:
    """Return the reason for which a delivery was ignored."""
    return told.body.get("ignored")


def _try_later(error: Unavailable) -> TurnedAway:
    wait = str(math.ceil(error.retry_after or RETRY_AFTER))
    detail = "The delivery is genuine but could not be written down; deliver it again."
    return TurnedAway(503, error.reason.value, detail, {"Retry-After": wait})
