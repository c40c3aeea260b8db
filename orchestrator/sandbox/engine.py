"""A Docker engine for a machine that has none running: `dockerd` of our own, that leaves nothing behind.

The sandbox needs a real engine to build real images. One that answers is used as it is. Otherwise, with Docker
installed and as root, one is started with all its files in the state folder. It changes nothing about the machine's
network: it has no bridge, no packet filter rules and no forwarding of its own, and a bridge that another engine has
left or uses stays. A machine that has no overlay filesystem to offer, such as a container, gets copies instead.
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.docker import Engine

START_TIMEOUT = 30.0
"""Seconds that an engine gets to answer; containerd comes first and takes most of it."""
STOP_TIMEOUT = 20.0
"""Seconds that it gets to end by itself."""
_BRIDGE = "docker0"
_NO_RULES = ("--iptables=false", "--ip-forward=false", "--ip-masq=false")
_SIOCGIFADDR, _SIOCGIFNETMASK = 0x8915, 0x891B
_STORAGE: tuple[tuple[str, ...], ...] = ((), ("--storage-driver=vfs",))
_LONGEST_FOLDER = 60
"""Characters of a folder for sockets: their paths may have 107 (unix(7)), and containerd makes long ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where one engine keeps its things; ``run`` holds sockets and mounts, so it must be a short path."""

    data: Path
    run: Path
    log: Path

    @property
    def host(self) -> str:
        """The engine's address."""
        return f"unix://{self.run}/docker.sock"

    @property
    def pidfile(self) -> Path:
        """Where `dockerd` writes its process id."""
        return self.run / "dockerd.pid"


@contextmanager
def ensure_engine(state_dir: Path, host: str = "", attempts: Sequence[Sequence[str]] | None = None) -> Iterator[str]:
    """Give the ``DOCKER_HOST`` of an engine that answers while the block runs.

    An engine that we started is stopped at the end, with its containers and mounts; its images stay in `state_dir`
    for the next time. One that an earlier process of ours left running there is taken over.

    :param host: the engine to try first; "" = the machine's usual one.
    :param attempts: options of `dockerd` in the order in which they are tried; None = `harmless_attempts`.
    :raises Refused: ENGINE_REFUSED, there is none and we cannot start one: not root, or Docker is not installed.
    :raises Unavailable: ENGINE_UNAVAILABLE, it was started and does not answer; with the end of its log.
    """
    if answers(host):
        yield _address(host)
        return
    _require_means(host)
    home = home_of(state_dir)
    process: subprocess.Popen[bytes] | None = None
    try:
        if not answers(home.host):
            process = _start(home, harmless_attempts(_bridge()) if attempts is None else attempts)
        yield home.host
    finally:
        _stop(home, process)


def harmless_attempts(bridge: str | None) -> list[tuple[str, ...]]:
    """Return the options that leave the machine's network as it is.

    An engine told to have no bridge removes the usual one, and with it the network of another engine's containers
    (libnetwork, `removeDefaultBridgeInterface`). So where there is one, it is used and not managed. The other engine
    knows nothing of our containers: they get a part of its network, or both would give the same addresses.

    :param bridge: the bridge's address ("172.17.0.1/16"), "" = it has none; None = there is no bridge.
    """
    if bridge is None:
        return [("--bridge=none", *_NO_RULES, *storage) for storage in _STORAGE]
    part = (f"--fixed-cidr={_part(bridge)}",) if bridge else ()
    return [(f"--bridge={_BRIDGE}", *part, *_NO_RULES, *storage) for storage in _STORAGE]


def _part(bridge: str) -> str:
    network = ipaddress.ip_interface(bridge).network
    parts = list(network.subnets(new_prefix=max(24, network.prefixlen)))
    return str(random.choice(parts[1:] or parts))  # noqa: S311  # the first one is where engines begin


def _bridge() -> str | None:
    """Return the address of the usual bridge; see `harmless_attempts`, and netdevice(7)."""
    if _BRIDGE not in [name for _, name in socket.if_nameindex()]:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("256s", _BRIDGE.encode())
        try:
            answers = [fcntl.ioctl(asking, call, request) for call in (_SIOCGIFADDR, _SIOCGIFNETMASK)]
        except OSError:
            return ""
    address, mask = (socket.inet_ntoa(answer[20:24]) for answer in answers)
    return f"{address}/{mask}"


def answers(host: str) -> bool:
    """Tell whether an engine answers at `host` ("" = the usual one)."""
    try:
        Engine(host).ping()
    except PilotageError:
        return False
    return True


def _address(host: str) -> str:
    """Return the address that "" stands for."""
    return host or os.environ.get("DOCKER_HOST", "") or "unix:///var/run/docker.sock"


def _require_means(host: str) -> None:
    missing = ""
    if os.geteuid() != 0:
        missing = "only root may start one: start Docker as root, or set DOCKER_HOST to one that runs"
    elif shutil.which("dockerd") is None or shutil.which("containerd") is None:
        missing = "none is installed: install the package docker.io, or set DOCKER_HOST to one that runs"
    if missing:
        raise Refused(
            Reason.ENGINE_REFUSED, f"no Docker engine answers{f' at {host}' if host else ''}, and {missing}"
        )


def home_of(state_dir: Path) -> Home:
    """Return the folders of the engine of `state_dir`, made when they are not there.

    :raises Refused: ENGINE_REFUSED, one of them belongs to another user.
    """
    folder = state_dir.resolve() / "engine"
    run = folder / "run"
    if len(str(run)) > _LONGEST_FOLDER:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        run = Path(f"/tmp/pilotage-engine-{name}")  # noqa: S108  # ours alone, see below; TMPDIR may be as long
    for path in (folder, run):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            raise Refused(Reason.ENGINE_REFUSED, f"{path} belongs to somebody else")
    return Home(data=folder / "data", run=run, log=folder / "dockerd.log")


def _start(home: Home, attempts: Sequence[Sequence[str]]) -> "subprocess.Popen[bytes]":
    for options in attempts:
        home.pidfile.unlink(missing_ok=True)
        process = _launch(home, options)
        if _wait_until_up(home, process):
            return process
        _stop(home, process)
    raise Unavailable(Reason.ENGINE_UNAVAILABLE, f"dockerd does not start: {_last_words(home.log)} ({home.log})")


def _launch(home: Home, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    home.run.mkdir(mode=0o700, exist_ok=True)
    namespace = f"pilotage-{hashlib.sha256(str(home.data).encode()).hexdigest()[:12]}"
    command = [
        "dockerd",
        f"--data-root={home.data}",
        f"--exec-root={home.run}/exec",
        f"--pidfile={home.pidfile}",
        f"--host={home.host}",
        f"--config-file={home.run}/daemon.json",
        f"--containerd-namespace={namespace}",  # the machine's containerd may be in use by another engine
        f"--containerd-plugins-namespace={namespace}-plugins",
        *options,
    ]
    (home.run / "daemon.json").write_text("{}\n")
    with home.log.open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _wait_until_up(home: Home, process: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    pause = Event()
    while time.monotonic() < deadline and process.poll() is None:
        if answers(home.host):
            return True
        pause.wait(0.2)
    return False


def _stop(home: Home, process: "subprocess.Popen[bytes] | None") -> None:
    """End the engine and its containerd, then take away the mounts that a hard end leaves."""
    for pid in (_pid(home.pidfile, "dockerd"), process.pid if process and process.poll() is None else 0):
        _end(pid, process)
    _end(_pid(home.run / "exec/containerd/containerd.pid", "containerd"), None)
    for mount in _mounts_below((home.data, home.run)):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True, timeout=10)
    if not _mounts_below([home.run]):
        shutil.rmtree(home.run, ignore_errors=True)


def _end(pid: int, process: "subprocess.Popen[bytes] | None") -> None:
    """Ask a process to end, and make it when it does not."""
    for sign, seconds in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, 5.0)):
        if not pid or not _alive(pid, process):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        pause = Event()
        while time.monotonic() < deadline and _alive(pid, process):
            pause.wait(0.1)


def _alive(pid: int, process: "subprocess.Popen[bytes] | None") -> bool:
    if process is not None and process.pid == pid:
        return process.poll() is None  # which also collects the process, that else would stay as a zombie
    return Path(f"/proc/{pid}").exists()


def _pid(pidfile: Path, name: str) -> int:
    """Return the process that a pid file names, if it is (still) the program `name`; else 0."""
    try:
        pid = int(pidfile.read_text().strip())
        command = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return 0
    return pid if command == name else 0


def _mounts_below(folders: Sequence[Path]) -> list[str]:
    """Return the mounts at and below `folders`, innermost first; dockerd mounts its data folder on itself."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    ours = [point for point in points if any(f"{point}/".startswith(f"{one}/") for one in folders)]
    return sorted(ours, reverse=True)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    telling = [line for line in lines if "level=error" in line or "level=fatal" in line or "failed to" in line]
    return (telling or lines or ["no output"])[-1][-300:]
