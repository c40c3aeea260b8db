"""Keeps the leases of the runs that a process works on, and notices when they are to stop."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.domain.errors import Cancelled, LeaseLost, Unavailable
from orchestrator.services.execution import Assignment, Execution
from orchestrator.store.claims import HEARTBEAT

EVERY = 1.0
"""Seconds between two looks at whether a run is still wanted."""


class Watch:
    """Keeps the claim of one run alive and notices when the run is no longer wanted.

    It looks in a thread of its own, so that a database that is slow for one run does not let others' leases run out.
    """

    def __init__(self, execution: Execution, assignment: Assignment) -> None:
        self._execution = execution
        self._assignment = assignment
        self._renewed = time.monotonic()
        self._lost, self._unwanted = threading.Event(), threading.Event()
        self.over = threading.Event()
        """Nobody asks any more."""

    def checkpoint(self) -> None:
        """Go on, or raise ``LeaseLost`` or ``Cancelled``."""
        if self._lost.is_set():
            raise LeaseLost(f"run {self._assignment.run.id}")
        if self._unwanted.is_set():
            raise Cancelled(f"run {self._assignment.run.id}")

    def keep(self) -> None:
        """Look now and every second, until it is over."""
        self._look()
        while not self.over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        try:
            now = time.monotonic()
            if now - self._renewed >= HEARTBEAT:
                if not self._execution.heartbeat(self._assignment):
                    self._lost.set()
                self._renewed = now  # not before: what a database that was away did not take is tried again at once
            if self._execution.is_unwanted(self._assignment):
                self._unwanted.set()
        except Unavailable:
            pass  # the lease may run out meanwhile; then the fence keeps our report out


class Watcher:
    """Gives a thread to each watch that stays open for a second; most are closed before."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._new: list[Watch] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, assignment: Assignment) -> Iterator[Watch]:
        """Watch over a run that this process has claimed, during all stages that it looks at."""
        watch = Watch(self._execution, assignment)
        self._add(watch)
        try:
            yield watch
        finally:
            watch.over.set()

    def _add(self, watch: Watch) -> None:
        """Note a new watch; it gets a thread if it is still open in a second."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="watcher", daemon=True)
                thread.start()
                self._thread = thread
            self._new.append(watch)

    def _run(self) -> None:
        """Start threads for new watches that are still open, every second until there are no new ones."""
        while watches := self._next():
            for watch in watches:
                if not watch.over.is_set():
                    threading.Thread(target=watch.keep, name="watch", daemon=True).start()

    def _next(self) -> list[Watch]:
        time.sleep(EVERY)
        with self._lock:
            watches, self._new = self._new, []
            if not watches:
                self._thread = None
            return watches
