"""The log of a run: whole as text or JSON lines, or followed live (text, JSON lines, server-sent events)."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from flask import Response, request

from orchestrator.web.calls import Asked
from orchestrator.web.inputs import LogQuery
from orchestrator.web.models import MAX_ID
from orchestrator.web.problems import Problem
from orchestrator.web.streams import EVENTS, JSON_LINES, TEXT, Full, LogReader, Pen

MEDIA = (TEXT, JSON_LINES, EVENTS)
_FORMATS = {"text": TEXT, "ndjson": JSON_LINES}
"""What an address can name: a link and a plain ``curl`` set no header."""
_STREAM_HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}

_FULL = {
    Full.OWN: (429, "too-many-streams-of-one", "This token follows as many logs as one may at a time"),
    Full.ALL: (503, "too-many-streams", "This server follows as many logs as it can"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the reader asked for."""

    media: str
    follow: bool
    after: int


def get_log(asked: Asked, run_id: int) -> Response:
    """Answer with the log of a run, from memory that does not grow with it."""
    query: LogQuery = asked.query
    run = asked.site.queries.load(run_id)
    if run is None:
        raise Problem(404, "not-found", f"There is no run {run_id}.")
    wanted = _wanted(query)
    feed = LogReader(
        queries=asked.site.queries,
        settings=asked.site.settings,
        base=asked.site.base(),
        run=run_id,
        stage=query.stage or "",
        after=wanted.after,
        still_reads=partial(_still_reads, asked, request.environ.get("gunicorn.socket")),
    )
    pen = Pen(media=wanted.media, ansi=query.ansi == "1")
    if not wanted.follow:
        return Response(_bytes(feed.present(pen)), content_type=pen.content_type)
    return _followed(asked, feed, pen)


def _followed(asked: Asked, feed: LogReader, pen: Pen) -> Response:
    """Answer with a stream, if this process can hold one more."""
    streams, reader = asked.site.streams, asked.who and asked.who.id
    full = streams.enter(reader)
    if full is not None:
        status, kind, why = _FULL[full]
        detail = f"{why}; ask again, or read the log without `follow`."
        raise Problem(status, kind, detail, headers={"Retry-After": "10"})
    body = () if request.method == "HEAD" else _bytes(feed.followed(pen, streams))
    answer = Response(body, headers=_STREAM_HEADERS, content_type=pen.content_type)
    answer.call_on_close(lambda: streams.leave(reader))
    return answer


def _still_reads(asked: Asked, peer: socket.socket | None) -> bool:
    """Tell whether there is still somebody who may read. :param peer: None: the server does not say."""
    if peer is not None and _has_gone(peer):
        return False
    return asked.who is None or asked.site.guard.is_valid(asked.who)


def _has_gone(peer: socket.socket) -> bool:
    """Tell whether a peer has closed: while a log has no lines nothing is sent, and only that would show it."""
    try:
        return not socket.socket.recv(peer, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _wanted(query: LogQuery) -> _Wanted:
    media = _FORMATS[query.format] if query.format else _accepted()
    if media is None:
        raise Problem(406, "not-acceptable", f"A log can be had as {', '.join(MEDIA)}.")
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) <= len(str(MAX_ID)) else query.after
    return _Wanted(media=media, follow=query.follow == "1" or media == EVENTS, after=min(after, MAX_ID))


def _accepted() -> str | None:
    """Return the form that the header asks for; None: one that a log has not."""
    return request.accept_mimetypes.best_match(MEDIA) if request.accept_mimetypes else TEXT


def _bytes(parts: Iterator[str]) -> Iterator[bytes]:
    for part in filter(None, parts):  # to some servers, an empty part is the end
        yield part.encode("utf-8", "replace")
