"""Watching over the runs that a process works on: their leases, and whether somebody wants them to stop."""

import threading
import time

from orchestrator import journal
from orchestrator.domain.errors import Cancelled, LeaseLost, Unavailable
from orchestrator.services.execution import Assignment, Execution
from orchestrator.store.claims import HEARTBEAT

log = journal.get(__name__)

EVERY = 1.0
"""Seconds between two looks at whether a run is still wanted."""


class Watch:
    """What is known of one run at work; a context manager, from whose end on nobody asks any more."""

    def __init__(self, watcher: "Watcher", assignment: Assignment) -> None:
        self._watcher = watcher
        self._assignment = assignment
        self._renewed = time.monotonic()
        self._lost = self._unwanted = False

    def __enter__(self) -> "Watch":
        self._watcher.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.drop(self)

    def checkpoint(self) -> None:
        """Go on, or raise ``LeaseLost`` or ``Cancelled``."""
        if self._lost:
            raise LeaseLost(f"run {self._assignment.run.id}")
        if self._unwanted:
            raise Cancelled(f"run {self._assignment.run.id}")

    def look(self, execution: Execution) -> None:
        """Renew the lease if it is time, and ask whether the run is wanted. Raises nothing."""
        try:
            if time.monotonic() - self._renewed >= HEARTBEAT:
                self._renewed = time.monotonic()
                self._lost = self._lost or not execution.heartbeat(self._assignment)
            self._unwanted = self._unwanted or execution.is_unwanted(self._assignment)
        except Unavailable:
            pass  # the lease may run out meanwhile; then the fence keeps our report out
        except Exception:  # the shell of a watch: one that breaks must not end the others
            log.exception("watch broke", run=self._assignment.run.id)


class Watcher:
    """Looks after all watches of a process with one thread, which is there for as long as there are any.

    Most looks at a run are over sooner than a thread of their own would have begun.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._watches: set[Watch] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, assignment: Assignment) -> Watch:
        """Return a watch over a run that this process has claimed."""
        return Watch(self, assignment)

    def add(self, watch: Watch) -> None:
        """Look after a watch from now on."""
        with self._lock:
            self._watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
                self._thread.start()

    def drop(self, watch: Watch) -> None:
        """Look after a watch no longer."""
        with self._lock:
            self._watches.discard(watch)

    def _run(self) -> None:
        while watches := self._next():
            for watch in watches:
                watch.look(self._execution)

    def _next(self) -> tuple[Watch, ...]:
        time.sleep(EVERY)
        with self._lock:
            if not self._watches:
                self._thread = None
            return tuple(self._watches)
