"""The real HTTP server in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.contracts import ROOT


@contextmanager
def serving(script: str, *args: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a script that serves; give its process and the port on which it listens. ``log``: what it prints."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out:
        command = [sys.executable, "-c", script, *args]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield process, _port(process)
        finally:
            process.kill()
            process.wait(10)


def _port(process: subprocess.Popen[bytes]) -> int:
    """Find the port on which the process listens, once it does."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        sockets = set(_open_files(process.pid))
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                return int(fields[1].partition(":")[2], 16)
        time.sleep(0.05)
    raise RuntimeError("the server does not listen")


def _open_files(pid: int) -> Iterator[str]:
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it is closed by now
            yield os.readlink(one)
