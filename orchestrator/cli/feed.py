"""Server-sent events of one run, followed for as long as it takes: through restarts, gaps and proxies."""

import json
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from orchestrator.cli.api import Api, Json, unreachable
from orchestrator.cli.errors import CliError
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.runs import FINAL

PATIENCE = 120.0
"""Seconds without any answer after which following is given up."""
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts to connect again; the last one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: its kind (``line``, ``state``, ``end``), its JSON data and its id (-1: none was sent)."""

    kind: str
    data: Json
    id: int = -1


def parse(lines: Iterable[bytes]) -> Iterator[Event]:
    """Read events off a stream (WHATWG HTML section 9.2.6); comments and events without JSON data are skipped."""
    fields: dict[str, list[str]] = {}
    for raw in lines:
        line = raw.decode("utf-8", "replace")
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        event = _event(fields)
        fields = {}
        if event is not None:
            yield event


def _event(fields: dict[str, list[str]]) -> Event | None:
    kind = fields.get("event", ["message"])[-1]
    try:
        data: Any = json.loads("\n".join(fields.get("data", []))) if "data" in fields else {}
        number = int(fields.get("id", ["-1"])[-1])
    except ValueError:
        return None
    if not isinstance(data, dict) or kind == "message":
        return None
    return Event(kind=kind, data=data, id=number)


class Feed:
    """Follows one run in a thread of its own, so that the reader can wait with a deadline and be interrupted.

    After each connection the run is read once, so no change between two connections is missed; when streams cannot
    be had at all, these reads are what the reader sees.

    :param after: number of the last log line that is not wanted again. :param stage: only this stage's lines.
    """

    def __init__(self, api: Api, run_id: int, after: int | None = None, stage: str = "") -> None:
        self._api = api
        self._run_id = run_id
        self._last = after
        self._stage = stage
        self._items: queue.Queue[Event | CliError] = queue.Queue(maxsize=10_000)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="feed", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send no more requests; an open connection ends with the server's next event."""
        self._closed.set()

    def next(self, timeout: float) -> Event | None:
        """Wait for the next event; None when there is none in time. :raises CliError: following is given up."""
        try:
            item = self._items.get(timeout=max(timeout, 0))
        except queue.Empty:
            return None
        if isinstance(item, CliError):
            raise item
        return item

    def _follow(self) -> None:
        failures = 0
        heard = time.monotonic()
        while True:
            try:
                if self._connection() or self._closed.is_set() or self._over():
                    return
                failures, heard = 0, time.monotonic()
            except CliError as error:
                self._items.put(error)
                return
            except Unavailable as error:
                if self._closed.is_set():
                    return
                failures += 1
                if self._still_there():
                    heard = time.monotonic()
                elif time.monotonic() - heard > PATIENCE:
                    self._items.put(unreachable(self._api.url, error))
                    return
            if self._closed.wait(PAUSES[min(failures, len(PAUSES) - 1)]):
                return

    def _connection(self) -> bool:
        """Follow one connection to its end; tell whether the run's end was seen."""
        params = {"follow": 1, "stage": self._stage, "after": self._last}
        lines = self._api.stream(f"/runs/{self._run_id}/logs", "text/event-stream", params, self._last)
        with closing(lines):
            self._still_there()
            for event in parse(lines):
                if event.kind == "line":
                    if self._last is not None and 0 <= event.id <= self._last:
                        continue
                    self._last = max(event.id, self._last or 0)
                self._items.put(event)
                if event.kind == "end":
                    return True
        return False

    def _over(self) -> bool:
        """Tell, after a connection that ended in order, whether nothing more can come.

        :raises Unavailable: the server cannot say now: it may have ended the connection because its database is away.
        """
        try:
            run = self._api.run(self._run_id)
        except CliError as error:
            if isinstance(error.__cause__, Unavailable):
                raise error.__cause__ from None
            raise
        self._items.put(Event(kind="state", data=run))
        if is_final(run):
            self._items.put(Event(kind="end", data={}))
            return True
        return False

    def _still_there(self) -> bool:
        """Read the run itself; tell whether the server answers at all."""
        try:
            self._items.put(Event(kind="state", data=self._api.run(self._run_id)))
        except CliError:
            return False
        return True


def is_final(run: Json) -> bool:
    """Tell whether nothing follows after a run's state."""
    return run.get("state") in FINAL
