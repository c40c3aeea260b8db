"""Handles one click on a button: proves it, has it written down, and answers; a worker does what it asks for."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NoReturn

from werkzeug import Response

from orchestrator import access, journal
from orchestrator.at_once import Pending, nothing_to_write
from orchestrator.domain.apps import Channel
from orchestrator.domain.clicks import Click, ClickBox
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.events import BadSignature, Malformed
from webhooks.body import SMALL, Room, check_size, read_body
from webhooks.chats import CHATS, Chat
from webhooks.handler import Observe
from webhooks.hook_request import HookRequest
from webhooks.payload import FORM
from webhooks.problems import TurnedAway, problem
from webhooks.signing import NoProof

MAX_CLICK = SMALL
"""Bytes of a click: it holds the message that was clicked."""

_log = journal.get(__name__)


class ClickHandler:
    """Answers the requests of chats.

    :param channels: those whose messages have buttons. :param box: takes clicks. :param now: our clock, with a time
        zone. :param observe: is told of each answer.
    """

    def __init__(
        self, channels: Sequence[Channel], box: ClickBox, now: Callable[[], datetime], observe: Observe
    ) -> None:
        self._channels = channels
        self._box = box
        self._now = now
        self._observe = observe

    def answer(self, environ: dict[str, Any], chat: str) -> Response:
        """Answer one WSGI request, after it is written down."""
        return self._begin(HookRequest(environ), chat)[1]()

    def begin(self, environ: dict[str, Any], chat: str) -> Pending:
        """Judge one WSGI request, and have it written down."""
        return Pending(*self._begin(HookRequest(environ), chat))

    def _begin(self, asked: HookRequest, name: str) -> tuple[Future[Any], Callable[[], Response]]:
        begun = time.monotonic()
        request_id = access.begin(asked.environ)
        told: Callable[[], None]
        try:
            written = self._take(asked, CHATS[name])
            told = partial(_written, written)
        except TurnedAway as turned:
            _log.warning("click turned away", reason=turned.reason, detail=turned.detail, remote=asked.remote)
            written, told = nothing_to_write(), partial(_turn, turned)
        return written, partial(self._word, told, asked.path, request_id, name, begun)

    def _word(self, told: Callable[[], None], path: str, request_id: str, name: str, begun: float) -> Response:
        try:
            told()
        except TurnedAway as turned:
            answer = problem(turned, path, request_id)
        else:
            answer = Response(status=200)  # without words: a chat may show them in place of the message
        answer.headers["X-Request-Id"] = request_id
        self._observe(name, answer.status_code, time.monotonic() - begun)
        return answer

    def _take(self, asked: HookRequest, chat: Chat) -> Future[Any]:
        channels = [channel for channel in self._channels if channel.kind == chat.kind]
        if not channels:
            detail = f"No destination of {chat.name} has buttons; set `buttons` in the configuration and restart."
            raise TurnedAway(404, "chat", detail)
        _check_form(asked)
        check_size(asked, MAX_CLICK)
        self._proven(asked, b"", chat, channels, whole=False)
        with Room(1).reserve() as reservation:
            body = read_body(asked, MAX_CLICK, reservation)
        proven = self._proven(asked, body, chat, channels, whole=True)
        try:
            click = chat.parse(asked.headers, body)
        except Malformed as error:
            raise TurnedAway(400, "malformed", f"The click was refused: {error}.") from None
        return self._box.take(_of(proven, click)) if click else nothing_to_write()

    def _proven(
        self, asked: HookRequest, body: bytes, chat: Chat, channels: Sequence[Channel], *, whole: bool
    ) -> list[Channel]:
        """Return the channels whose secret fits. :raises TurnedAway: 401, none does, or no body could make it so."""
        proven, failures = [], []
        for channel in channels:
            try:
                chat.verify(asked.headers, body, _secret(channel), self._now())
            except BadSignature as error:
                failures.append(error.with_traceback(None))
            else:
                proven.append(channel)
        if failures and not proven and (whole or all(isinstance(one, NoProof) for one in failures)):
            wanted = {"WWW-Authenticate": f'Webhook header="{chat.proof_header}"'}
            raise TurnedAway(401, "signature", f"The click was refused: {failures[0]}.", wanted)
        return proven


def _secret(channel: Channel) -> str:
    return channel.buttons.secret.reveal() if channel.buttons else ""


def _of(proven: Sequence[Channel], click: Click) -> Click:
    """Give the click to the channel whose message it is about, or else to one that can say that it is of no use."""
    known = (one for one in proven if click.channel in (one.name, *one.former_names))
    return replace(click, channel=next(known, proven[0]).name)


def _check_form(asked: HookRequest) -> None:
    if asked.method != "POST":
        raise TurnedAway(405, "method", "A click is posted.", {"Allow": "POST"})
    if asked.content_type()[0] != FORM or asked.headers.get("content-encoding", "identity") != "identity":
        raise TurnedAway(415, "content_type", f"A click is posted as {FORM}, without compression.")


def _written(written: Future[Any]) -> None:
    try:
        written.result()
    except Unavailable as error:
        _log.error("click not written down", reason=error.reason.value, detail=error.evidence)
        detail = "The click is genuine but could not be written down; click again."
        raise TurnedAway(503, error.reason.value, detail) from None


def _turn(turned: TurnedAway) -> NoReturn:
    raise turned
