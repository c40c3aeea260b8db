"""The real OCI registry behind the stand-in of Harbor: `docker-registry` on a socket that only its owner reaches."""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason

PROGRAM = "docker-registry"
START_TIMEOUT = 20.0
"""Seconds that the registry gets to answer."""
STOP_TIMEOUT = 10.0
"""Seconds that it gets to end by itself."""
READ_TIMEOUT = 120.0
"""Seconds of silence after which a request to it is given up; it hashes a whole layer in one."""
CHUNK = 256 * 1024
_LONGEST_SOCKET = 100
"""Characters of a socket's path (unix(7) allows 107)."""
_PR_SET_PDEATHSIG = 1
_TRAMPOLINE = (
    "import ctypes, os, signal, sys\n"
    "parent = int(sys.argv[1])\n"
    f"ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, signal.SIGTERM)\n"
    "os.getppid() == parent or sys.exit(1)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)
"""Becomes the registry after it has asked the kernel for a signal at its parent's death (prctl(2))."""


class RegistryProcess:
    """One registry that keeps its files in `folder`; without any access control of its own.

    :param secret: what the state of uploads is signed with; the same for every start in this folder.
    """

    def __init__(self, folder: Path, secret: str, program: str = PROGRAM) -> None:
        self._folder = folder
        self._program = program
        self._secret = secret
        self._socket = Path()
        self._own_folder = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        :raises Refused: REGISTRY_REFUSED, the program is not installed.
        :raises Unavailable: REGISTRY_UNAVAILABLE, it does not answer in time; with the end of its log.
        """
        if shutil.which(self._program) is None:
            raise Refused(
                Reason.REGISTRY_REFUSED, f"{PROGRAM} is not installed: install the package `docker-registry`"
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._place_socket()
        self._write_config()
        launched = threading.Event()
        self._keeper = threading.Thread(target=self._keep, args=(launched,), name="harbor-registry", daemon=True)
        self._keeper.start()
        launched.wait()
        if not self._answers():
            self.stop()
            raise Unavailable(Reason.REGISTRY_UNAVAILABLE, f"{self._program} does not start: {self._last_words()}")

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process and self._keeper:
            self._process.terminate()
            self._keeper.join(STOP_TIMEOUT)
            if self._keeper.is_alive():
                self._process.kill()
                self._keeper.join()
        self._process = self._keeper = None
        if self._socket.name:
            self._socket.unlink(missing_ok=True)
        if self._own_folder:
            shutil.rmtree(self._own_folder, ignore_errors=True)
            self._own_folder = ""

    def connect(self) -> "RegistryConnection":
        """Return a new connection to it; it connects with the first request."""
        return RegistryConnection(self._socket)

    @property
    def pid(self) -> int:
        """Its process id; 0 = it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def _place_socket(self) -> None:
        self._socket = self._folder.resolve() / "registry.sock"
        if len(str(self._socket)) > _LONGEST_SOCKET:
            self._own_folder = tempfile.mkdtemp(prefix="pilotage-harbor-", dir="/tmp")  # TMPDIR may be as long
            self._socket = Path(self._own_folder) / "registry.sock"
        self._socket.unlink(missing_ok=True)  # of a process that was killed

    def _write_config(self) -> None:
        folder, place = _quoted(self._folder.resolve() / "data"), _quoted(self._socket)
        (self._folder / "config.yml").write_text(
            "version: 0.1\n"
            "log: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}\n"
            f"http: {{net: unix, addr: {place}}}\n",
            encoding="utf-8",
        )

    def _keep(self, launched: threading.Event) -> None:
        """Start the process and wait for its end: it dies with the thread (not the process) that started it."""
        command = [self._program, "serve", str(self._folder / "config.yml")]
        if hasattr(ctypes.CDLL(None), "prctl"):
            command = [sys.executable, "-I", "-S", "-c", _TRAMPOLINE, str(os.getpid()), *command]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "REGISTRY_HTTP_SECRET": self._secret,
            "OTEL_TRACES_EXPORTER": "none",
        }
        try:
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        finally:
            launched.set()
        self._process.wait()

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        pause = threading.Event()
        while time.monotonic() < deadline and self.pid:
            connection = self.connect()
            try:
                connection.request("GET", "/v2/")
                return connection.getresponse().status == 200
            except OSError:
                pause.wait(0.02)  # there is no event for "the socket is there"
            finally:
                connection.close()
        return False

    def _last_words(self) -> str:
        log = self._folder / "log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return " ".join(text.split())[-300:] or "it says nothing"


def _quoted(path: Path) -> str:
    """Write a path as a YAML string."""
    return "'" + str(path).replace("'", "''") + "'"


class RegistryConnection(HTTPConnection):
    """A connection to the registry over its Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("registry", timeout=READ_TIMEOUT)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket (called by the base class with the first request)."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(READ_TIMEOUT)
        self.sock.connect(self._path)
