"""Requests that run side by side, so that their caller can check every second and end them all at once."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from workers.clients import http_deadline
from workers.clients.git_process import Checkpoint
from workers.clients.http import Response

ABREAST = 4
"""Requests at a time: small files are waiting mostly, large ones share the line anyway."""
_LOOK_UP = 1.0
"""Seconds between two calls of the checkpoint."""
_GOODBYE = 5.0
"""Seconds that all threads get to end when the work is over before its time. One that waits for the head of an answer
cannot be woken: it ends by itself, and what it would bring is dropped."""
_T = TypeVar("_T")


class CrewDismissed(Exception):
    """The work was ended meanwhile; nobody hears of it."""


class LfsCrew:
    """Threads that do the jobs of one fetch.

    :param checkpoint: called about every second in the caller's own thread; whatever it raises ends all jobs.
    :param deadline: a time of `time.monotonic`. :param too_late: makes the error for when it has passed.
    """

    def __init__(self, checkpoint: Checkpoint, deadline: float, too_late: Callable[[], Exception]) -> None:
        self._checkpoint = checkpoint
        self._deadline = deadline
        self._too_late = too_late
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._answers: list[Response] = []

    def run(self, jobs: Sequence[Callable[[], _T]], goodbye: Callable[[], None]) -> list[_T]:
        """Do all jobs and return what they return, in any order; the first error ends the others.

        :param goodbye: called in each thread at its end.
        """
        waiting: queue.SimpleQueue[Callable[[], _T]] = queue.SimpleQueue()
        done: queue.SimpleQueue[_T | Exception] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)

        def work() -> None:
            try:
                while not self._over.is_set():
                    done.put(_tried(waiting.get_nowait()))
            except queue.Empty:
                return
            finally:
                goodbye()

        threads = [threading.Thread(target=work, name="lfs", daemon=True) for _ in jobs[:ABREAST]]
        for thread in threads:
            thread.start()
        try:
            found = [self._next(done) for _ in jobs]
        except BaseException:
            self._dismiss()
            raise
        finally:
            until = time.monotonic() + _GOODBYE
            for thread in threads:
                thread.join(max(0.0, until - time.monotonic()))
        return found

    @contextmanager
    def reading(self, answer: Response) -> Iterator[None]:
        """Read an answer in a job: it is cut off when the work is ended. :raises CrewDismissed: it is already."""
        with self._lock:
            self._answers.append(answer)
            over = self._over.is_set()
        try:
            if over:
                raise CrewDismissed
            yield
        finally:
            with self._lock:
                self._answers.remove(answer)
            answer.close()

    def _next(self, done: "queue.SimpleQueue[_T | Exception]") -> _T:
        while True:
            self._checkpoint()
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._too_late()
            try:
                found = done.get(timeout=min(_LOOK_UP, left))
            except queue.Empty:
                continue
            if isinstance(found, Exception):
                raise found
            return found

    def _dismiss(self) -> None:
        with self._lock:
            self._over.set()
            for answer in self._answers:
                http_deadline.cut(answer.raw)


def _tried(job: Callable[[], _T]) -> _T | Exception:
    try:
        return job()
    except Exception as error:  # noqa: BLE001  # it is raised again in the caller's thread
        return error
