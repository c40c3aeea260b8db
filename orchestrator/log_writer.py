"""Writes the lines of the log: each with one call, so that the processes of a pool can share their standard output.

No thread waits for another one to write: whoever writes also writes what others have to say meanwhile. With a lock
around wording and writing, half of the webhooks' threads stood in line there (measured).
"""

import io
import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

_LAST_WORDS = 1.0
"""Seconds that the end of a process waits for a thread that is writing lines."""

_LINGER = 0.005
"""Seconds for which the helper lets lines gather; a process that is killed meanwhile (SIGKILL) loses them."""

_hurried = threading.local()


def never_wait() -> None:
    """Have the lines of this thread written by another one: many wait for this one, and a log may have no reader."""
    _hurried.yes = True


class Writer:
    """Writes lines to a text stream's descriptor; None: the process was started without one.

    One that cannot be written must not harm what it tells of.
    """

    def __init__(self, stream: Any) -> None:
        self._file = io.FileIO(os.devnull if stream is None else stream.fileno(), "wb", closefd=stream is None)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin with nothing to write; in a child, what was waiting is the parent's to write."""
        self._waiting: deque[bytes] = deque()
        self._writing = threading.Lock()
        self._more = threading.Event()
        self._helper: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Write a line, now or by the thread that is writing, or by a helper where this thread must not wait."""
        self._waiting.append(line + b"\n")
        if getattr(_hurried, "yes", False):
            self._have_written()
        else:
            self._write_waiting()

    def flush(self) -> None:
        """Write what is left, after the thread that is writing; one that finds no reader is not waited for."""
        end = time.monotonic() + _LAST_WORDS
        while self._writing.acquire(timeout=max(0.0, end - time.monotonic())):
            try:
                if not self._waiting or time.monotonic() >= end:
                    return
                with suppress(OSError):
                    self._put_by(end, self._next())
            finally:
                self._writing.release()

    def _have_written(self) -> None:
        if self._helper is None:
            helper = threading.Thread(target=self._help, name="journal", daemon=True)
            helper.start()
            self._helper = helper
        if not self._more.is_set():
            self._more.set()

    def _help(self) -> None:
        while self._more.wait():
            time.sleep(_LINGER)  # others follow: woken for each line it would take the interpreter from who hurries
            self._more.clear()
            self._write_waiting()

    def _write_waiting(self) -> None:
        while self._waiting and self._writing.acquire(blocking=False):
            try:
                with suppress(OSError):  # nothing can be said about a log that takes nothing
                    self._put(self._next())
            finally:
                self._writing.release()

    def _next(self) -> bytes:
        """Take whole lines, as many as a pipe takes at once without mixing them with those of another process."""
        taken = self._waiting.popleft() if self._waiting else b""
        while self._waiting and len(taken) + len(self._waiting[0]) <= select.PIPE_BUF:
            taken += self._waiting.popleft()
        return taken

    def _put_by(self, end: float, rest: bytes) -> None:
        """Write while there is a reader; what it has not taken by `end` is lost."""
        ready = select.poll()
        ready.register(self._file, select.POLLOUT)
        while rest and ready.poll(max(0.0, end - time.monotonic()) * 1000):
            rest = rest[self._file.write(rest[: select.PIPE_BUF]) :]

    def _put(self, rest: bytes) -> None:
        while rest:
            rest = rest[self._file.write(rest) :]
