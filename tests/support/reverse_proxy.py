"""A reverse proxy that serves us under a path of its host, and others beside us."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding"})


@dataclass(slots=True)
class ReverseProxy:
    """What runs: its address with the path, and what it was asked that is not ours."""

    url: str = ""
    astray: list[str] = field(default_factory=list)


@contextmanager
def reverse_proxy(site: str, root: str, *, takes_off: bool) -> Iterator[ReverseProxy]:
    """Lead from ``root`` on a host of its own to ``site``. :param takes_off: the path is taken off, or passed on."""
    running, host = ReverseProxy(), urlsplit(site).netloc

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path != root and not path.startswith(f"{root}/"):
                running.astray.append(self.path)
                self.send_error(404)
                return
            asked = self.path.removeprefix(root) if takes_off else self.path
            self._lead(asked if asked.startswith("/") else f"/{asked}")

        def do_POST(self) -> None:
            self.do_GET()

        def _lead(self, asked: str) -> None:
            behind = HTTPConnection(host, timeout=60)
            try:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                behind.request(self.command, asked, body, dict(self.headers.items()) | {"Connection": "close"})
                answer = behind.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.end_headers()
                while part := answer.read1(65536):
                    self.wfile.write(part)
            except OSError:
                self.close_connection = True  # the browser has left, or the site
            finally:
                behind.close()

        def log_message(self, *_: object) -> None:
            """Write no line for each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        running.url = f"http://127.0.0.1:{server.server_port}{root}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        server.shutdown()
