"""A scripted HTTP server on loopback: what it answers is a table, what it was asked is a list."""

import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived; header names in lower case, the path still percent-encoded."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Reply:
    """One answer. ``parts`` are sent as chunks; ``wait`` is an event to wait for before anything is sent."""

    status: int = 200
    body: bytes | str | dict[str, Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    parts: Callable[[], Iterator[bytes]] | None = None
    wait: threading.Event | None = None

    def encoded(self) -> bytes:
        if isinstance(self.body, dict):
            return json.dumps(self.body).encode()
        return self.body.encode() if isinstance(self.body, str) else self.body


Script = Callable[[Asked], Reply]


@dataclass(slots=True)
class Loopback:
    """The running server: its address and what it was asked so far."""

    url: str
    asked: list[Asked] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the end of an answer waits 40 ms for the client's word on its head
    script: Script
    loopback: Loopback

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        asked = Asked(self.command, parts.path, query, headers, self.rfile.read(length))
        self.loopback.asked.append(asked)
        self._send(type(self).script(asked))

    def _send(self, reply: Reply) -> None:
        if reply.wait is not None:
            reply.wait.wait(30)
        try:
            self.send_response(reply.status)
            kind = "application/json" if isinstance(reply.body, dict) else "text/plain"
            for name, value in ({"Content-Type": kind} | reply.headers).items():
                self.send_header(name, value)
            if reply.parts is None:
                self.send_header("Content-Length", str(len(reply.encoded())))
                self.end_headers()
                self.wfile.write(reply.encoded())
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for part in reply.parts():
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_CONNECT = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate that nobody has signed for the host `name`; return ``cert.pem`` and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@contextmanager
def loopback(script: Script, tls: Path | None = None) -> Iterator[Loopback]:
    """Serve `script` on 127.0.0.1 while the block runs; `tls`: as ``localhost``, its ``cert.pem`` in that folder."""
    started = Loopback("")
    handler = type("Handler", (_Handler,), {"script": staticmethod(script), "loopback": started})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    started.url = f"http://127.0.0.1:{server.server_port}"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(tls, "localhost"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        started.url = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield started
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
