"""Packing the copies of repositories that have become slow to read, and removing those that nobody uses."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orchestrator import journal
from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import PilotageError
from workers.clients.git import SOURCE, Mirror, mirror_folder, mirrors_in
from workers.clients.git_keep import KeptCopy

STRAYS_EVERY = 3600.0
"""Seconds between two looks at the copies that no configuration names."""

log = journal.get(__name__)

Make = Callable[[], KeptCopy]
"""Opens a copy; raises a `PilotageError` where its configuration does not let it be used."""


class Tidier:
    """Tidies copies beside the work of this process, one after the other, each at most once a day.

    :param strays: lists the copies that no configuration names; asked once an hour.
    """

    def __init__(self, strays: Callable[[], Iterable[Make]] = tuple) -> None:
        self._strays = strays
        self._strays_due = time.monotonic() + STRAYS_EVERY
        self._busy = threading.Lock()

    def begin(self, copies: Iterable[Make]) -> None:
        """Tidy those of some copies that need it, and return at once; do nothing while that goes on already."""
        chores: list[Callable[[], None]] = [partial(tidy, copy) for copy in copies if _is_due(copy)]
        if time.monotonic() >= self._strays_due:
            chores.append(self._tidy_strays)
        if chores and self._busy.acquire(blocking=False):
            threading.Thread(target=self._do, args=(chores,), name="tidy", daemon=True).start()

    def _do(self, chores: Iterable[Callable[[], None]]) -> None:
        try:
            for chore in chores:
                chore()
        finally:
            self._busy.release()

    def _tidy_strays(self) -> None:
        self._strays_due = time.monotonic() + STRAYS_EVERY
        for copy in self._strays():
            tidy_stray(copy)


def copies_of(settings: Settings) -> dict[Path, Make]:
    """Return the copies that a configuration names, by their folders."""
    root = Path(settings.state_dir)
    accesses = (settings.gitops.access, *(app.source for app in settings.apps))
    folders = {mirror_folder(root, access.url): access for access in accesses}
    return {folder: partial(Mirror, access, folder) for folder, access in folders.items()}


def strays_of(settings: Settings) -> list[Make]:
    """Return the copies that no configuration names: those of submodules, and of apps that are gone."""
    named = copies_of(settings)
    found = sorted(mirrors_in(Path(settings.state_dir)))
    return [partial(KeptCopy, folder, SOURCE) for folder in found if folder not in named]


def tidy(copy: Make) -> None:
    """Pack one copy if it needs that; that it could not be done is only said."""
    with _said():
        copy().tidy()


def tidy_stray(copy: Make) -> None:
    """Remove a copy that no configuration names if nobody has used it for long, or `tidy` it."""
    with _said():
        stray = copy()
        if stray.forget():
            log.info("mirror removed", detail=f"{stray.folder.name}: unused for a month, and not configured")
        else:
            stray.tidy()


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
