"""What a process claims before it starts anything: the state folder, and the address that it listens on."""

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli.errors import CliError, Code, system_words

LOCK = "up.lock"
_PATIENCE = 3.0
"""Seconds to wait for the holder of the folder to end: at a restart that may be the earlier process."""
_BACKLOG = 2048
"""Connections that wait while the web starts, or starts again; gunicorn's own number."""
_OTHER = "or set another server.state_dir (PILOTAGE_STATE_DIR)"
_CAUSES = {
    errno.EADDRINUSE: "another program uses it; stop that, or set another server.bind",
    errno.EACCES: "this user may not use that port; set a server.bind with a port from 1024 on",
    errno.EADDRNOTAVAIL: "it is no address of this machine; correct server.bind",
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What one ``pilotage up`` has claimed; a claim ends with the last process that has it open.

    :param folder: the open lock file of the state folder; whoever has the listener or runs the broker has it too.
    :param listener: bound, and listening already.
    """

    folder: int
    listener: socket.socket

    def drop(self) -> None:
        """Close both in a forked child that needs neither: it may outlive the others and would keep them claimed."""
        os.close(self.folder)
        self.listener.close()


def make_state_folder(folder: Path, *, written: bool) -> None:
    """Make the state folder where it is missing. :raises CliError: that is not possible, or it cannot be written.

    :param written: ask for the right to write at once; whoever has another database may need nothing of the folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        said = system_words(error)
        raise CliError(
            f"The state folder {folder} cannot be made ({said}); make it, {_OTHER}.", Code.FAILED
        ) from error
    if written and not os.access(folder, os.W_OK | os.X_OK):
        said = f"This user (uid {os.getuid()}) may not write the state folder {folder}; make the user its owner"
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            said = f"The state folder {folder} is on a disk that is read-only; have that writable again"
        raise CliError(f"{said}, {_OTHER}.", Code.FAILED)


@contextlib.contextmanager
def claimed(state_dir: Path, bind: str) -> Iterator[Claims]:
    """Hold folder and address while the block lasts. :raises CliError: somebody else has one of them."""
    folder = _lock(state_dir)
    try:
        with listen(bind) as listener:
            yield Claims(folder, listener)
    finally:
        os.close(folder)


def listen(bind: str) -> socket.socket:
    """Return a socket that listens at `bind`, ``host:port``. :raises CliError: that is not possible, and why."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    listener = socket.socket(_family(host))
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        cause = _CAUSES.get(error.errno or 0, f"{error.strerror}; correct server.bind")
        raise CliError(f"Cannot answer on {bind}: {cause}.", Code.USAGE) from error
    return listener


def _family(host: str) -> socket.AddressFamily:
    """Return what gunicorn would choose: IPv6 when it is written as such, IPv4 for all else."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).version == 6:
            return socket.AF_INET6
    return socket.AF_INET


def holder(state_dir: Path) -> int | None:
    """Return the process id of the ``pilotage up`` that works in a state folder; None: there is none, or none yet.

    :raises OSError: this user may not look.
    """
    try:
        with (state_dir / LOCK).open("rb") as folder:
            fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        owner = (state_dir / LOCK).read_bytes().partition(b"\n")[0]
        return int(owner) if owner else None
    return None


def _lock(state_dir: Path) -> int:
    """Lock the state folder and return the open lock file, with our process id in it for people."""
    make_state_folder(state_dir, written=True)
    folder = os.open(state_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _PATIENCE
    while not _try(folder, state_dir):
        if time.monotonic() > deadline:
            owner = os.pread(folder, 20, 0).decode("ascii", "replace").strip()
            os.close(folder)
            raise CliError(
                f"Another `pilotage up` (process {owner}) works in the state folder {state_dir}; "
                "stop that one, or set another server.state_dir.",
                Code.USAGE,
            )
        time.sleep(0.05)  # flock(2) can wait, but not for a limited time
    ours = f"{os.getpid()}\n".encode()
    try:
        os.pwrite(folder, ours, 0)  # at once: somebody may be reading it
        os.ftruncate(folder, len(ours))
    except OSError as error:
        os.close(folder)
        said = f"The state folder {state_dir} cannot be written ({error.strerror}); make room there"
        raise CliError(f"{said}, {_OTHER}.", Code.FAILED) from error
    return folder


def _try(folder: int, state_dir: Path) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(folder)
        sentence = (
            f"The state folder {state_dir} cannot be locked ({error.strerror}); put it on a disk of this machine."
        )
        raise CliError(sentence, Code.USAGE) from error
    return True
