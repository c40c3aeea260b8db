"""Log lines for readers: read in bounded parts, formatted, and followed until the run is over."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.domain.ansi import inert, plain
from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.runs import Run
from orchestrator.services.queries import Queries
from orchestrator.services.views import rfc3339, run_view
from orchestrator.store.logs import Line
from orchestrator.store.rows import moment

TEXT = "text/plain"
JSON_LINES = "application/x-ndjson"
EVENTS = "text/event-stream"

STREAMS = "pilotage.streams"
"""Name in ``app.extensions`` of the `Streams`; whoever serves the app calls its ``close`` before stopping."""
MAX_STREAMS = 64
"""Logs that one process follows at a time; each takes a thread of the server."""
MAX_OF_ONE = MAX_STREAMS // 2
"""Logs that one token follows at a time in one process, so that no one keeps all others from reading."""
LOOK = 0.2
"""Seconds between two looks at the log."""
STATE_LOOKS = 5
"""Looks at the log between two readings of the run's state, which is also read whenever lines came."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that proxies and readers know that we are there."""
LIFETIME = 600.0
"""Seconds after which a stream ends; the reader comes back with Last-Event-ID. Lets deploys of Pilotage drain."""
RETRY = 1000
"""Milliseconds that a reader waits before it comes back."""
RECHECK = 5.0
"""Seconds after which a revoked token no longer reads, and who has gone holds no place any more."""


class Full(StrEnum):
    """Why there is no place: the process has none, or the reader has as many as one may have."""

    ALL = "all"
    OWN = "own"


class Streams:
    """Counts the logs that this process follows, and stops them. :param each: places that one reader may have."""

    def __init__(self, limit: int = MAX_STREAMS, each: int = MAX_OF_ONE) -> None:
        self._limit = limit
        self._each = each
        self._held: Counter[object] = Counter()
        self._counting = threading.Lock()
        self._closing = threading.Event()

    def enter(self, reader: object) -> Full | None:
        """Take a place for a reader, or say why there is none. Each that was taken is given back with `leave`."""
        with self._counting:
            if self._held[reader] >= self._each:
                return Full.OWN
            if self._held.total() >= self._limit:
                return Full.ALL
            self._held[reader] += 1
            return None

    def leave(self, reader: object) -> None:
        """Give a reader's place back."""
        with self._counting:
            self._held[reader] -= 1
            self._held += Counter()  # without those who have none any more

    def close(self) -> None:
        """Have all streams end soon: the process is about to stop."""
        self._closing.set()

    def pause(self, seconds: float) -> bool:
        """Wait; True when it is time to end."""
        return self._closing.wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """Formats lines, states and pauses for one media type. ``ansi``: escape sequences stay in."""

    media: str
    ansi: bool = False

    @property
    def content_type(self) -> str:
        """The answer's content type."""
        return self.media if self.media == JSON_LINES else f"{self.media}; charset=utf-8"

    def lines(self, lines: list[Line]) -> str:
        """Format lines, in one piece."""
        return "".join(map(self._line, lines))

    def state(self, view: dict[str, Any]) -> str:
        """Format a change of the run; "" where only lines are wanted."""
        return f"event: state\ndata: {_json(view)}\n\n" if self.media == EVENTS else ""

    def heartbeat(self) -> str:
        """Format a sign of life; "" where it would be taken for a line."""
        return ": still here\n\n" if self.media == EVENTS else ""

    def end(self) -> str:
        """Format the end."""
        return "event: end\ndata: {}\n\n" if self.media == EVENTS else ""

    def retry(self) -> str:
        """Format how soon the reader is to come back."""
        return f"retry: {RETRY}\n\n" if self.media == EVENTS else ""

    def _line(self, line: Line) -> str:
        text = line.text if self.ansi else plain(line.text)
        if self.media == TEXT:
            return f"{text}\n"
        data = _json({"n": line.n, "stage": line.stage, "at": rfc3339(moment(line.at)), "text": text})
        return f"{data}\n" if self.media == JSON_LINES else f"id: {line.n}\nevent: line\ndata: {data}\n\n"


class _Left(Exception):
    """Nobody reads any more who may."""


@dataclass(slots=True, kw_only=True)
class LogReader:
    """One reader of one run's log. ``after``: the number of the last line that was read; it moves on.

    ``checked``: when it was last looked who reads, by the monotonic clock.
    """

    queries: Queries
    settings: Settings
    base: str
    run: int
    stage: str
    after: int
    still_reads: Callable[[], bool]
    checked: float = field(default_factory=time.monotonic)

    def present(self, pen: Pen) -> Iterator[str]:
        """Yield what is there now."""
        while lines := self._next():
            yield pen.lines(lines)

    def followed(self, pen: Pen, streams: Streams) -> Iterator[str]:
        """Yield what is there and what comes, until the run or the lifetime is over or nobody reads who may."""
        try:
            yield from self._followed(pen, streams)
        except Unavailable:
            yield pen.retry()  # the database may be back when the reader is
        except _Left:
            return

    def _followed(self, pen: Pen, streams: Streams) -> Iterator[str]:
        heard = started = time.monotonic()
        told: Run | None = None
        yield pen.retry()
        for look in _forever():
            came = False
            run = self.queries.load(self.run) if look % STATE_LOOKS == 0 else told
            for lines in self._arrived(pen):
                came = True
                yield lines
            if came and not (run and run.state.final):
                run = self.queries.load(self.run)
                yield from self._arrived(pen)  # a state is told after the lines that led to it
            if run is not None and _visible(run) != _visible(told):
                told = run
                yield pen.state(run_view(run, self.settings, base=self.base))
            now = time.monotonic()
            if run is None or (run.state.final and not came):
                yield pen.end()
                return
            self._recheck(now)
            if came:
                heard = now
            elif now - heard > HEARTBEAT:
                heard = now
                yield pen.heartbeat()
            if now - started > LIFETIME or streams.pause(LOOK):
                yield pen.retry()
                return

    def _arrived(self, pen: Pen) -> Iterator[str]:
        """Yield what is there now; who reads slower than lines come is never done. :raises _Left: see `_recheck`."""
        for lines in self.present(pen):
            yield lines
            self._recheck(time.monotonic())

    def _recheck(self, now: float) -> None:
        """Look now and then who reads. :raises _Left: nobody any more who may."""
        if now - self.checked > RECHECK:
            self.checked = now
            if not self.still_reads():
                raise _Left

    def _next(self) -> list[Line]:
        lines = self.queries.lines(self.run, after=self.after, stage=self.stage)
        if lines:
            self.after = lines[-1].n
        return lines


def _visible(run: Run | None) -> object:
    """Return what a reader would see change: the states of the run and its stages."""
    if run is None:
        return None
    stages = tuple((one.state, one.reason, one.detail, one.attempt, one.finished_at) for one in run.stages)
    return (run.state, run.reason, run.detail, run.cancel_requested, run.superseded_by, stages)


def _forever() -> Iterator[int]:
    look = 0
    while True:
        yield look
        look += 1


def _json(value: dict[str, Any]) -> str:
    return inert(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
