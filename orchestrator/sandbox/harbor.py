"""Stand-in of Harbor for a laptop without one: its REST API and token service before a real OCI registry.

The Docker engine pushes to it and pulls from it over plain HTTP on 127.0.0.1, which engines allow by themselves. What
it is not: replication, retention, garbage collection, signatures, webhooks and pages are not there.
"""

import contextlib
import fcntl
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from orchestrator.domain.errors import PilotageError, Refused
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.faults import HttpFault, HttpFaults
from orchestrator.sandbox.harbor_api import HarborApi, make_app
from orchestrator.sandbox.harbor_auth import Accounts
from orchestrator.sandbox.harbor_proxy import BAD_GATEWAY, Proxy, Upstream
from orchestrator.sandbox.harbor_registry import RegistryProcess
from orchestrator.sandbox.harbor_rules import JSON_TYPE, HarborError, Immutable, ProjectPolicy
from orchestrator.sandbox.harbor_scanner import Scanner, ScanResult, Vulnerability
from orchestrator.sandbox.harbor_store import HarborStore
from orchestrator.sandbox.harbor_wire import BrokenRequest, RegistryCall

__all__ = ["HttpFault", "Immutable", "ProjectPolicy", "SandboxHarbor", "ScanResult", "Vulnerability"]

IDLE = 600.0
"""Seconds after which a silent client is given up."""
_BUSY = {429: "TOO_MANY_REQUEST", 500: "UNKNOWN"}


class SandboxHarbor:
    """One Harbor with its projects and robots; keeps images, projects and scans in `state_dir` for the next start.

    :param robots: account name to secret: ``robot$pilotage`` may use every project and create some,
        ``robot$shop+pilotage`` only ``shop``, ``admin`` everything.
    :param projects: names of the projects to begin with; one that is there already is left as it is.
    :param clock: seconds since 1970.
    :ivar faults: requests that go wrong (`HttpFault`). A status of 5xx or 429 without a body gets the one that Harbor
        has for it; ``drop="during"`` cuts the connection in the middle of the request's body.
    :ivar scanner: what scans find and how long they take (`Scanner.find`, ``pending``, ``running``, ``available``).
    :ivar accounts: `Accounts.grant` takes rights away or gives some, ``token_life`` is how long tokens live.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        robots: Mapping[str, str],
        projects: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = _key(state_dir / "key")
        self.faults = HttpFaults()
        self.scanner = Scanner()
        self._store = HarborStore(state_dir / "harbor.json", clock)
        self.accounts = Accounts(robots, key, self._store, clock)
        for name in projects:
            with contextlib.suppress(HarborError):
                self._store.create_project(name, ProjectPolicy())
        self._registry = RegistryProcess(state_dir / "registry", key.hex())
        self._lock_file = state_dir / "lock"
        self._folder_lock: IO[bytes] | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Start the registry and the server, and return the base URL.

        :param port: 0 = any free one; images are named by it, so a sandbox that lives on keeps its port.
        :raises Refused: REGISTRY_REFUSED, the program `docker-registry` is not installed, or another process has a
            Harbor in this folder. :raises Unavailable: REGISTRY_UNAVAILABLE, it does not start.
        :raises OSError: the port is taken.
        """
        self._take_folder()
        api = HarborApi(self._store, self.accounts, self.scanner, lambda: self._registry.pid > 0)
        proxy = Proxy(self._store, self.accounts, self.scanner, self._registry)
        try:
            with socket.create_server((host, port)) as listening:
                self._registry.start()
                self._server = _Server(host, listening, make_app(api), proxy, self.faults)
        except (OSError, PilotageError):
            self.stop()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="harbor", daemon=True)
        self._thread.start()
        return f"http://{host}:{self._server.port}"

    def stop(self) -> None:
        """Stop the server, cut its connections, and stop the registry."""
        if self._server and self._thread:
            self._server.close_all()
            self._thread.join(5)
        self._server = self._thread = None
        self._registry.stop()
        if self._folder_lock:
            self._folder_lock.close()
            self._folder_lock = None

    def __enter__(self) -> "SandboxHarbor":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL; "" = it does not run."""
        return f"http://{self._server.host}:{self._server.port}" if self._server else ""

    @property
    def read_only(self) -> bool:
        """Whether Harbor refuses every change (maintenance, garbage collection); can be set."""
        return self._store.read_only

    @read_only.setter
    def read_only(self, value: bool) -> None:
        self._store.read_only = value

    def policy(self, project: str) -> ProjectPolicy:
        """Return how a project behaves.

        :raises KeyError: there is no such project.
        """
        found = self._store.project(project)
        if found is None:
            raise KeyError(project)
        return found.policy

    def change(self, project: str, **policy: Any) -> None:
        """Change how a project behaves: any field of `ProjectPolicy`, as ``change("shop", quota=10_000_000)``.

        :raises KeyError: there is no such project. :raises TypeError: there is no such field.
        """
        self._store.set_policy(project, replace(self.policy(project), **policy))

    def grant(self, robot: str, actions: Collection[str]) -> None:
        """Set what a robot may do, such as ``pull``, ``push`` and ``scan:create``; see `Accounts.grant`."""
        self.accounts.grant(robot, actions)

    def _take_folder(self) -> None:
        self._folder_lock = self._lock_file.open("wb")
        try:
            fcntl.flock(self._folder_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._folder_lock.close()
            self._folder_lock = None
            raise Refused(
                Reason.REGISTRY_REFUSED, f"another Harbor stand-in uses {self._lock_file.parent}; stop it first"
            ) from error


class _Server(ThreadedWSGIServer):
    """One thread per connection; knows its connections, so that none outlives it."""

    def __init__(self, host: str, listening: socket.socket, app: Any, proxy: Proxy, faults: HttpFaults) -> None:
        port = int(listening.getsockname()[1])
        super().__init__(host, port, app, _Handler, fd=listening.fileno())
        self.proxy = proxy
        self.faults = faults
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection from its first request to its last."""
        with self._lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)

    def close_all(self) -> None:
        """Stop listening and cut every connection."""
        self.closing.set()
        self.shutdown()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(WSGIRequestHandler):
    """Hands ``/v2/`` to the proxy, which keeps connections and reads bodies in pieces, and the rest to Flask."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE
    server: _Server

    def setup(self) -> None:
        """Open the connection to the registry that serves this one."""
        super().setup()
        self._upstream: Upstream = self.server.proxy.open()

    def finish(self) -> None:
        """Close it."""
        self._upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def run_wsgi(self) -> None:
        """Answer one request, or let it go wrong."""
        path = unquote(urlsplit(self.path).path)
        fault = self.server.faults.take(self.command, path) or HttpFault()
        self.server.closing.wait(fault.delay)
        if fault.drop == "before":
            self._hang_up()
            return
        kept = self.wfile
        if fault.drop == "after":
            self.wfile = _Nowhere()  # type: ignore[assignment]
        try:
            self._answer(path, fault)
        except BrokenRequest:
            self._hang_up()
        finally:
            self.wfile = kept
        if fault.drop:
            self._hang_up()

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's own name
        """Say nothing."""

    def _answer(self, path: str, fault: HttpFault) -> None:
        call = RegistryCall(self, cut=fault.drop == "during")
        if fault.status:
            content, kind = _failure(fault)
            call.reply(fault.status, [("Content-Type", kind), *fault.headers.items()], content)
        elif path == "/v2" or path.startswith("/v2/"):
            self.server.proxy.handle(call, self._upstream)
        else:
            super().run_wsgi()
            self.close_connection = True

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class _Nowhere(RawIOBase):
    """Takes an answer that nobody is to get."""

    def write(self, data: Any) -> int:
        """Forget the data."""
        return len(data)


def _failure(fault: HttpFault) -> tuple[bytes, str]:
    """Return the body of an injected failure and its type: Harbor's own words, or the web server's in front of it."""
    if fault.body:
        return fault.body.encode(), JSON_TYPE
    if fault.status in _BUSY:
        message = "internal server error" if fault.status == 500 else "too many requests"
        error = HarborError(_BUSY[fault.status], message)
        return error.body, JSON_TYPE
    return BAD_GATEWAY.replace(b"502", str(fault.status).encode()), "text/html"


def _key(file: Path) -> bytes:
    """Return the key of this Harbor, the same for every start in its folder."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_bytes(secrets.token_bytes(32))
    return file.read_bytes()
