"""Run a command whose temporary files are in memory where that has room for them; afterwards they are gone.

Usage: in_memory.py COMMAND [ARGUMENT]...

The tests make thousands of repositories and databases, and would wait for a disk a fifth of their time (measured).
Where `TMPDIR` is set, it stays as it is: ``TMPDIR=/tmp make test`` leaves the files of a failed test to look at.
"""

import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from building import end_in_order, run

MEMORY = Path("/dev/shm")  # noqa: S108  # no file of a fixed name is made there
NEEDED = 6 * 1024**3
"""Bytes; the tests use a third of it, and something is to be left for the processes."""


def main(command: list[str]) -> int:
    """Run the command and return its exit code."""
    end_in_order()
    use = "TMPDIR" not in os.environ and has_room(MEMORY)
    # A short name: paths of sockets, which have at most 107 bytes, are below it.
    made = tempfile.TemporaryDirectory(prefix="t", dir=MEMORY, ignore_cleanup_errors=True) if use else nullcontext()
    with made as folder:
        if folder:
            Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own, and has a folder below
        return run(command, {**os.environ, "TMPDIR": folder} if folder else None)


def has_room(folder: Path) -> bool:
    """Tell whether programs may be run from this folder and there is room in it, and in the memory behind it."""
    try:
        found = os.statvfs(folder)
        left = [found.f_bavail * found.f_frsize, *_memory_left()]
    except OSError:
        return False
    return not found.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK) and min(left) >= NEEDED


def _memory_left() -> list[int]:
    """Return the bytes that this machine has left, and this container where it has a limit (cgroup 2)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    left = [int(lines["MemAvailable"].split()[0]) * 1024]
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and limit.read_text().strip() != "max":
        left.append(int(limit.read_text()) - int(used.read_text()))
    return left


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
