"""A Git server over smart HTTP: ``git http-backend`` behind WSGI, for the sandbox's forge and for tests.

It serves a folder of bare repositories exactly as Git itself does (same protocol, same hooks, same refusals), asks
for basic authentication like a forge, tells observers about pushes, and misbehaves on request.
"""

import base64
import hmac
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

GITCONFIG = Path(__file__).parent / "gitconfig"
"""Git's configuration for all that is done here."""
BACKEND_TIMEOUT = 300.0
"""Seconds after which one request to ``git http-backend`` is given up."""
_ROUTE = re.compile(r"/(?P<repo>(?!.*(?:\.\.|//))[^\0]+\.git)/(?P<rest>info/refs|git-(?:upload|receive)-pack)\Z")
_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_CHUNK = 65536
_PROBE = 4
"""Bytes of the empty request by which a client tries its credentials before a large push."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to misbehave, for the next `times` requests that it fits.

    :param service: ``upload`` (fetch, ls-remote), ``receive`` (push) or "" for both.
    :param discovery: True: only the ``info/refs`` request; False: only the request that carries the data.
    :param delay: seconds to wait first.
    :param status: answer this HTTP status with `headers` and nothing else; 0: answer as usual.
    :param drop: ``before``: cut the connection at once; ``after``: do the work, then cut it without an answer.
    """

    service: str = ""
    discovery: bool = False
    delay: float = 0.0
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    drop: str = ""
    times: int = 1


@dataclass(slots=True)
class _Faults:
    """The faults still to happen; shared by the server's threads."""

    waiting: list[tuple[Fault, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, service: str, discovery: bool) -> Fault:
        """Return the first fault that fits this request, counted down; a harmless one if none does."""
        with self.lock:
            for index, (fault, left) in enumerate(self.waiting):
                if fault.service in ("", service) and fault.discovery == discovery:
                    self.waiting[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
        return Fault()


class GitHttpApp:
    """WSGI: ``/<path>.git/...`` of the bare repositories below `root`.

    :param users: user name to password; None: nobody is asked (and everybody may push).
    :ivar after_receive: called with the repository's path ("acme/web.git") after each accepted or refused push and
        before the client has its answer; compare the refs to see what moved.
    :ivar requests: method and path of every request so far, oldest first.
    """

    def __init__(self, root: Path, *, users: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.users = None if users is None else dict(users)
        self.after_receive: Callable[[str], None] | None = None
        self.requests: list[str] = []
        self._faults = _Faults()

    def create_repo(self, name: str, *, branch: str = "main") -> Path:
        """Create the bare repository ``<root>/<name>.git`` (an existing one is left alone) and return its path.

        :raises ValueError: the name is not made of plain path parts.
        """
        if not _NAME.match(name):
            raise ValueError(f"not a repository name: {name!r}")
        path = self.root / f"{name.removesuffix('.git')}.git"
        if not path.exists():
            command = ["git", "init", "-q", "--bare", f"--initial-branch={branch}", str(path)]
            subprocess.run(command, check=True, env=clean_env(), timeout=30)
        return path

    def refuse_pushes(self, name: str, words: str) -> None:
        """Let a ``pre-receive`` hook of the repository refuse every push with `words`; "" lifts it again."""
        hook = self.root / f"{name.removesuffix('.git')}.git" / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.unlink(missing_ok=True)
        if words:
            hook.write_text(f"#!/bin/sh\ncat >&2 <<'WORDS'\n{words}\nWORDS\nexit 1\n", encoding="utf-8")
            hook.chmod(0o755)

    def inject(self, fault: Fault) -> None:
        """Add a fault; faults happen in the order in which they were added."""
        with self._faults.lock:
            self._faults.waiting.append((fault, fault.times))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request of a Git client."""
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        self.requests.append(f"{environ['REQUEST_METHOD']} {path}")
        route = _ROUTE.match(path)
        if not route or not (self.root / route["repo"]).is_dir():
            return _plain(start_response, "404 Not Found")
        user = self.user(environ)
        if user is None:
            return _plain(start_response, "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="git"')])
        receive = "receive-pack" in route["rest"] or "service=git-receive-pack" in environ.get("QUERY_STRING", "")
        discovery = route["rest"] == "info/refs"
        fault = self._faults.take("receive" if receive else "upload", discovery)
        time.sleep(fault.delay)
        if fault.drop == "before":
            _hang_up(environ)
        if fault.status:
            return _plain(start_response, f"{fault.status} Injected", list(fault.headers))
        answer = self._backend(environ, path, user)
        if receive and not discovery:
            self._received(answer, route["repo"])
        if fault.drop == "after":
            answer.finish()
            answer.close()
            _hang_up(environ)
        start_response(answer.status, answer.headers)
        return answer

    def user(self, environ: "WSGIEnvironment") -> str | None:
        """Return who asks, or None if the credentials are wrong or missing."""
        if self.users is None:
            return "anonymous"
        scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        try:
            name, _, password = base64.b64decode(value).decode().partition(":")
        except ValueError:
            return None
        known = self.users.get(name)
        if scheme.lower() != "basic" or known is None:
            return None
        return name if hmac.compare_digest(known.encode(), password.encode()) else None

    def _received(self, answer: "_Answer", repo: str) -> None:
        """Wait until the push is done and tell the observer."""
        answer.finish()
        if self.after_receive and answer.request_size > _PROBE:
            self.after_receive(repo)

    def _backend(self, environ: "WSGIEnvironment", path: str, user: str) -> "_Answer":
        """Run ``git http-backend`` (CGI) for this request; a file as its input rules out a deadlock of pipes."""
        with TemporaryFile() as body:
            size = _spool(environ, body)
            env = clean_env() | {
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "REQUEST_METHOD": environ["REQUEST_METHOD"],
                "QUERY_STRING": environ.get("QUERY_STRING", ""),
                "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
                "CONTENT_LENGTH": str(size),
                "REMOTE_USER": user,
                "REMOTE_ADDR": environ.get("REMOTE_ADDR", "127.0.0.1"),
                "HTTP_CONTENT_ENCODING": environ.get("HTTP_CONTENT_ENCODING", ""),
                "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
            }
            process = subprocess.Popen(
                [_program()], env=env, stdin=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        return _Answer(process, size)


class _Answer:
    """What ``git http-backend`` says: status, headers, and the body as it comes."""

    def __init__(self, process: "subprocess.Popen[bytes]", request_size: int) -> None:
        self.request_size = request_size
        self._process = process
        self._watchdog = threading.Timer(BACKEND_TIMEOUT, process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._parts: Iterator[bytes] = iter(lambda: _stdout(process).read1(_CHUNK), b"")
        self.status = "200 OK"
        self.headers: list[tuple[str, str]] = []
        for line in iter(lambda: _stdout(process).readline().decode("latin-1").strip(), ""):
            name, _, value = line.partition(":")
            if name.lower() == "status":
                self.status = value.strip()
            else:
                self.headers.append((name, value.strip()))

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._parts
        finally:
            self.close()  # werkzeug does not come to it when a client that was killed has left its request unread

    def finish(self) -> None:
        """Read the whole body now, so that the work is done before anything is answered."""
        self._parts = iter(list(self._parts))
        self._process.wait()

    def close(self) -> None:
        """End the child, also when the client went away (WSGI calls this)."""
        self._watchdog.cancel()
        if self._process.poll() is None:
            self._process.terminate()
        _stdout(self._process).close()
        self._process.wait()


def _stdout(process: "subprocess.Popen[bytes]") -> Any:
    return process.stdout


def _spool(environ: "WSGIEnvironment", body: IO[bytes]) -> int:
    """Write the request's body to `body`, rewind it, and return its size in bytes."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        copyfileobj(stream, body, _CHUNK)
    else:
        left = int(environ.get("CONTENT_LENGTH") or 0)
        while left and (part := stream.read(min(left, _CHUNK))):
            left -= body.write(part)
    size = body.tell()
    body.seek(0)
    return size


def _plain(
    start_response: "StartResponse", status: str, headers: list[tuple[str, str]] | None = None
) -> Iterable[bytes]:
    """Answer with a status and its words."""
    body = status.encode() + b"\n"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *(headers or [])])
    return [body]


def _hang_up(environ: "WSGIEnvironment") -> None:
    """Cut the connection without an answer (the server's own way to say that the client is gone).

    :raises ConnectionAbortedError: always.
    """
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(2)
    raise ConnectionAbortedError("dropped on request")


@cache
def _program() -> str:
    """Find the program itself: started by ``git`` it takes twice as long."""
    told = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True, timeout=30)
    return str(Path(told.stdout.strip()) / "git-http-backend")


def clean_env() -> dict[str, str]:
    """Return our environment without Git's variables and without the user's and the system's configuration."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return env | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(GITCONFIG), "LC_ALL": "C"}


class _Quiet(WSGIRequestHandler):
    """No line per request on standard error."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's own name
        """Say nothing."""


@contextmanager
def serve(app: "WSGIApplication", host: str = "127.0.0.1", port: int = 0, *, name: str = "") -> Iterator[str]:
    """Serve a WSGI application from a thread of its own; give its base URL ("http://127.0.0.1:40123").

    :param port: 0: any free port. :param name: host in the base URL, where it is not `host` for those who call.
    """
    server = make_server(host, port, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="githttp", daemon=True)
    thread.start()
    try:
        yield f"http://{name or host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
