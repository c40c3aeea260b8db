"""The log of a stage at work: lines arrive from any thread and are stored in batches, without secrets."""

import threading
from collections.abc import Callable
from types import TracebackType

from orchestrator.domain.errors import Unavailable

INTERVAL = 0.25
"""Seconds between two writes; a line is visible to readers after at most this long."""
MAX_LINE = 4096
"""Characters of one line; the rest is cut."""
MAX_LINES = 200_000
"""Lines of one stage; more are not kept."""
MAX_SIZE = 64 * 1024 * 1024
"""Characters of one stage: so many lines of full length would take a dozen times as much of the disk."""
MAX_BATCH = 2000

Append = Callable[[list[str]], None]


class RunLog:
    """Collects lines and hands them to `append` about every quarter of a second; a context manager.

    :param append: stores lines; may raise `Unavailable`, then the lines are kept and tried again.
    :param mask: takes secrets out of a line.
    """

    def __init__(self, append: Append, mask: Callable[[str], str]) -> None:
        self._append = append
        self._mask = mask
        self._lines: list[str] = []
        self._count = self._size = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def line(self, text: str) -> None:
        """Take one or several lines. They are masked together: a secret may contain a line break."""
        for one in self._mask(text.replace("\0", "")).splitlines() or [""]:
            self._take(one)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._flush()

    def _take(self, text: str) -> None:
        with self._lock:
            if self._is_full():
                return
            fitting = _fit(text)
            self._lines.append(fitting)
            self._count += 1
            self._size += len(fitting)
            if self._is_full():
                self._lines.append(f"[log ends here: more than {MAX_LINES} lines or {MAX_SIZE} characters]")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="runlog", daemon=True)
                self._thread.start()

    def _is_full(self) -> bool:
        return self._count >= MAX_LINES or self._size >= MAX_SIZE

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            batch, self._lines = self._lines[:MAX_BATCH], self._lines[MAX_BATCH:]
        while batch:
            try:
                self._append(batch)
            except Unavailable:
                with self._lock:
                    self._lines = batch + self._lines
                return
            with self._lock:
                batch, self._lines = self._lines[:MAX_BATCH], self._lines[MAX_BATCH:]


def _fit(masked: str) -> str:
    """Cut a masked line to what is stored: half a secret would not have been recognised."""
    return masked if len(masked) <= MAX_LINE else masked[:MAX_LINE] + " [cut]"
