"""One at a time among all processes of this machine: a lock on a file, freed by the kernel when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.clients.git_process import Checkpoint, unchecked

_STEP = 0.02
"""Seconds between two tries: there is no event to wait for when a lock of another process comes free."""
_CHECK_STEPS = 50
"""Tries between two calls of the checkpoint (about a second)."""


class LockBusy(Exception):
    """The lock did not come free in time."""


@contextmanager
def exclusive(path: Path, timeout: float, checkpoint: Checkpoint = unchecked) -> Iterator[None]:
    """Hold the lock at `path` (created if need be, never removed: a removed file would be locked twice).

    :param timeout: seconds to wait at the most.
    :raises LockBusy: another holder kept it for longer; whatever `checkpoint` raises ends the waiting too.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, time.monotonic() + timeout, checkpoint)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, deadline: float, checkpoint: Checkpoint) -> None:
    tries = 0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise LockBusy from error
        else:
            return
        tries += 1
        if tries % _CHECK_STEPS == 0:
            checkpoint()
        time.sleep(_STEP)
