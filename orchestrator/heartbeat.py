"""Heartbeat files: a process touches its file as long as its main loop turns, and a probe looks at the file's age.

Neither side speaks to a broker or a database: that one of them is away is no reason to restart a process.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

SERVICES = ("relay", "worker-build", "worker-deploy")
"""The processes that have a heartbeat; those that serve HTTP answer at ``/healthz`` instead."""
EVERY = 5.0
"""Seconds between two touches."""
MAX_AGE = 60.0
"""Seconds without a touch after which a process counts as hung. A broker that takes connections and never answers
holds a worker's main loop up for 20 seconds (measured), and is no reason to restart it."""


def file_of(state_dir: str | Path, service: str) -> Path:
    """Return where the heartbeat of a service is."""
    return Path(state_dir) / f"{service}.alive"


def age(file: Path) -> float | None:
    """Return the seconds since the last touch; None when there never was one."""
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except FileNotFoundError:
        return None


class Heartbeat:
    """Touches a file, at most every few seconds however often it is called. :raises OSError: it cannot be touched."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last: float | None = None

    def __call__(self) -> None:
        """Show that the main loop has turned."""
        now = time.monotonic()
        if self._last is None or now - self._last >= EVERY:
            self._last = now
            self._file.touch()


def found(arguments: Sequence[str]) -> bool:
    """Tell whether there is the heartbeat that ``pilotage alive`` is asked for, as far as that is told quickly.

    :param arguments: those of ``pilotage alive``. False: the command has to look itself, and to say what is wrong.
    """
    options = dict(zip(arguments[1::2], arguments[2::2], strict=False))
    if len(arguments) % 2 == 0 or arguments[0] not in SERVICES or not options.keys() <= {"--max-age", "--state-dir"}:
        return False
    folder = options.get("--state-dir") or os.environ.get("PILOTAGE_STATE_DIR") or "state"
    last = age(file_of(folder, arguments[0]))
    try:
        return last is not None and last <= float(options.get("--max-age", MAX_AGE))
    except ValueError:
        return False
