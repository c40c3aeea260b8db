"""Waking runs that wait for Argo CD: one list per interval for all of them, and a stream that wakes earlier.

The watch never decides anything: it only has a run look again when its application has changed. What a list cannot
show (a compared revision that moves on without any other change) is found by having a few runs look in turn. So a
thousand waiting runs cost the same number of requests per interval as ten.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator import journal
from orchestrator.domain.errors import PilotageError
from orchestrator.services.waits import Waits
from workers.clients.argocd import ArgoClient, OnEvent
from workers.gitops.readiness import LIST_FIELDS, fingerprint
from workers.shapes import Json, mapping

log = journal.get(__name__)

POLL = 1.5
"""Seconds between two lists while runs wait and no stream is up."""
POLL_WITH_STREAM = 15.0
"""Seconds between two lists while the stream is up: it may drop events silently."""
IN_TURN = 2
"""Runs that look again with each list although nothing of theirs seems to have changed."""
LINGER = 60.0
"""Seconds that the stream stays up while no run waits: a quick rollout is over before a new one is."""
IDLE = 0.5
"""Seconds between two looks at whether any run waits."""

_Key = tuple[str, str]
"""An application's namespace and name."""


class ArgoWatch:
    """Watches one Argo CD server for all waiting runs. :param listed: is handed every list that it makes."""

    def __init__(
        self, client: ArgoClient, waits: Waits, listed: Callable[[Sequence[Json]], None] = lambda _: None
    ) -> None:
        self._client = client
        self._waits = waits
        self._listed = listed
        self._seen: dict[_Key, str] = {}
        self._known: set[int] = set()
        self._waited: set[int] = set()
        self._listed_at = 0.0
        self._waited_at = 0.0
        self._last = 0
        self._stream = _Stream(client, self._on_event)

    def once(self, stopping: threading.Event) -> float:
        """List once if it is time, and keep the stream up while runs wait."""
        waiting = self._waits.waiting()
        if not waiting:
            if time.monotonic() - self._waited_at >= LINGER:
                self._stream.stop()
            self._known.clear()
            return IDLE
        self._waited_at = time.monotonic()
        self._stream.start(stopping)
        new = {run_id for runs in waiting.values() for run_id in runs} - self._known
        interval = POLL_WITH_STREAM if self._stream.up else POLL
        if new or time.monotonic() - self._listed_at >= interval:
            self._list(waiting, new)
        return IDLE

    def _list(self, waiting: Mapping[str, list[int]], new: set[int]) -> None:
        """Wake the runs of applications that changed; one that did not wait at the last list is woken in any case.

        It may have looked before the change and begun to wait after it. A list that fails shows no change: then more
        runs look in turn, as many as if lists had come at their usual pace, and their own requests may well work.
        """
        self._listed_at = time.monotonic()
        prints: dict[_Key, str] = {}
        in_turn = IN_TURN
        try:
            prints = self._prints()
        except PilotageError as error:
            log.warning("applications not listed", reason=error.reason.value, detail=error.evidence)
            in_turn = IN_TURN * max(1, round((time.monotonic() - self._listed_at) / POLL))
        # By its name alone: which namespace is Argo CD's own nobody tells us, and a look too many does no harm.
        changed = {key[1] for key, print_ in prints.items() if self._seen.get(key, print_) != print_}
        ids = {run_id for runs in waiting.values() for run_id in runs}
        woken = {run_id for name in changed for run_id in waiting.get(name, [])} | new | (ids - self._waited)
        self._waits.wake(woken | self._in_turn(waiting, in_turn))
        # Only now: what is noted without its wake-up having been written would never be told.
        self._seen |= prints
        self._known |= ids
        self._waited = ids

    def _in_turn(self, waiting: Mapping[str, list[int]], most: int) -> set[int]:
        """Choose the next few runs, round and round."""
        ids = sorted(run_id for runs in waiting.values() for run_id in runs)
        later = [run_id for run_id in ids if run_id > self._last] or ids
        chosen = later[:most]
        self._last = chosen[-1] if chosen else 0
        return set(chosen)

    def _prints(self) -> dict[_Key, str]:
        applications = self._client.applications(LIST_FIELDS)
        self._listed(applications)
        return {_key(one): fingerprint(one) for one in applications}

    def _on_event(self, application: Mapping[str, Any]) -> None:
        self._waits.wake_application(_key(application)[1])


class _Stream:
    """The stream, in a thread of its own, for as long as runs wait."""

    _PAUSE = 2.0

    def __init__(self, client: ArgoClient, on_event: OnEvent) -> None:
        self._client = client
        self._on_event = on_event
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.up = False

    def start(self, stopping: threading.Event) -> None:
        """Start, unless it runs. One that was told to end notices that with its next event only, so it may go on."""
        self._stop.clear()
        if self._thread is None or not self._thread.is_alive():
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(stopping, self._stop), name="stream", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let it end."""
        self._stop.set()

    def _run(self, stopping: threading.Event, stop: threading.Event) -> None:
        while not (stop.is_set() or stopping.is_set()):
            try:
                self._client.stream(self._event, stop)
            except PilotageError as error:
                log.info("stream ended", reason=error.reason.value, detail=error.evidence)
            self.up = False
            stop.wait(self._PAUSE)

    def _event(self, application: dict[str, Any]) -> None:
        # Only now: it begins with all applications at once, and a proxy that holds them back shows nothing at all.
        self.up = True
        self._on_event(application)


def _key(application: Mapping[str, Any]) -> _Key:
    metadata = mapping(application.get("metadata"))
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))
