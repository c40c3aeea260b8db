"""Packing the copies of repositories that have become slow to read."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from orchestrator import journal
from orchestrator.domain.errors import PilotageError
from workers.clients.git_keep import KeptCopy

log = journal.get(__name__)

Make = Callable[[], KeptCopy]
"""Opens a copy; raises a `PilotageError` where its configuration does not let it be used."""


class Tidier:
    """Packs copies beside the work of this process, one after the other, each at most once a day."""

    def __init__(self) -> None:
        self._busy = threading.Lock()

    def begin(self, copies: Iterable[Make]) -> None:
        """Pack those of some copies that need it, and return at once; do nothing while that goes on already."""
        due = [copy for copy in copies if _is_due(copy)]
        if due and self._busy.acquire(blocking=False):
            threading.Thread(target=self._tidy, args=(due,), name="tidy", daemon=True).start()

    def _tidy(self, copies: Iterable[Make]) -> None:
        try:
            for copy in copies:
                tidy(copy)
        finally:
            self._busy.release()


def tidy(copy: Make) -> None:
    """Pack one copy if it needs that; that it could not be done is only said."""
    with _said():
        copy().tidy()


def _is_due(copy: Make) -> bool:
    with _said():
        if copy().needs_tidying():
            return True
    return False


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except PilotageError as error:
        log.warning("mirror not tidied", reason=error.reason.value, detail=error.evidence)
    except OSError as error:  # files that belong to somebody else, say
        log.warning("mirror not tidied", err_type=type(error).__name__, detail=str(error))
