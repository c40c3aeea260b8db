"""An OpenTelemetry collector for tests: takes OTLP over HTTP on loopback and keeps the spans."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """One span as it arrived; ids in hexadecimal digits, "" for no parent.

    ``process``: what sent it. ``text``: all that it tells.
    """

    trace: str
    id: str
    parent: str
    name: str
    begun: int
    ended: int
    failed: str
    process: str
    attributes: dict[str, Any]
    text: str


@dataclass
class Collector:
    """What has arrived so far. ``status``: how requests are answered."""

    url: str = ""
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def take(self, path: str, body: bytes) -> None:
        """Take one request."""
        self.requests.append(path)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _values(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_span(one, about) for one in scope.spans]


def _span(one: Any, about: dict[str, Any]) -> Span:
    return Span(
        trace=one.trace_id.hex(),
        id=one.span_id.hex(),
        parent=one.parent_span_id.hex(),
        name=one.name,
        begun=one.start_time_unix_nano,
        ended=one.end_time_unix_nano,
        failed=one.status.message,
        process=f"{about['service.name']} {about['pilotage.process']}",
        attributes=_values(one.attributes),
        text=str(one),
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector while the block lasts."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.take(self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
