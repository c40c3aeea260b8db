"""Builds that are refused, or end while their context is on the way to the engine."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git_processes import cancel
from tests.support.loopback import Asked, Reply, loopback
from workers.clients import docker
from workers.clients.docker import Engine
from workers.clients.engine_requests import CallControl


class _Takes(BaseHTTPRequestHandler):
    """Takes a context, and says nothing before it has all of it."""

    protocol_version = "HTTP/1.1"
    began: threading.Event
    gone: threading.Event
    connections: list[socket.socket]

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.connection)

    def do_GET(self) -> None:
        self._say(json.dumps({"ApiVersion": "1.41", "Version": "20.10.24"}).encode())

    def do_POST(self) -> None:
        if self.path.startswith("/v1.41/build?"):
            while self.rfile.readline():
                self.began.set()
            self.gone.set()
            self.close_connection = True
        else:
            self._say(b"")

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def taking_engine() -> Iterator[tuple[str, type[_Takes]]]:
    handler = type("Handler", (_Takes,), {"began": threading.Event(), "gone": threading.Event(), "connections": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()
        for connection in handler.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def build(
    host: str,
    context: Iterator[bytes],
    *,
    deadline: float,
    builder: str = "buildkit",
    checkpoint: Callable[[], None] = lambda: None,
    dockerfile: str = "FROM scratch\n",
    pull: bool = False,
) -> str:
    return Engine(host).build(
        context,
        dockerfile=dockerfile.encode(),
        tag="a/b:1",
        build=Build(builder=builder, pull=pull),
        labels={},
        registry=Registry(url="http://127.0.0.1:9"),
        control=CallControl(on_line=lambda _: None, checkpoint=checkpoint, deadline=deadline),
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_build_that_is_cancelled_before_its_context_is_there_leaves_the_engine(builder: str) -> None:
    """Else the engine would keep what it has, and a thread of ours would wait for an answer, for the build's time."""
    over = threading.Event()

    def context() -> Iterator[bytes]:
        while not over.wait(0.01):
            yield b"x\n"

    with taking_engine() as (host, seen):

        def checkpoint() -> None:
            if seen.began.is_set():
                raise Cancelled("a person")

        try:
            with pytest.raises(Cancelled):
                build(host, context(), deadline=50, builder=builder, checkpoint=checkpoint)
            assert seen.gone.wait(10)
            assert "engine-stream" not in {thread.name for thread in threading.enumerate()}
        finally:
            over.set()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("builder", "reason"), [("buildkit", Reason.ENGINE_UNAVAILABLE), ("classic", Reason.BUILD_TIMEOUT)]
)
def test_an_engine_that_begins_no_step_is_not_the_build_s_fault(
    monkeypatch: pytest.MonkeyPatch, builder: str, reason: Reason
) -> None:
    """The classic builder is silent while it unpacks the context."""
    monkeypatch.setattr(docker, "BEGINS", 1.0)
    with taking_engine() as (host, _), pytest.raises(PilotageError) as caught:
        build(host, iter([b"tar\n"]), deadline=3, builder=builder)
    assert caught.value.reason is reason
    if reason is Reason.ENGINE_UNAVAILABLE:
        assert caught.value.evidence == "it has taken the build and begun none of its steps for 1 s"


@pytest.mark.timeout(60)
def test_a_build_that_has_begun_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step may say nothing for an hour; and some proxies hold back what an engine says, but not its headers."""
    monkeypatch.setattr(docker, "BEGINS", 0.5)

    def script(asked: Asked) -> Reply:
        if asked.path == "/version":
            return Reply(body={"ApiVersion": "1.41", "Version": "20.10.24"})
        return Reply(parts=say_later)

    def say_later() -> Iterator[bytes]:
        time.sleep(2)
        yield b'{"aux": {"ID": "sha256:0f"}}\n'

    with loopback(script) as server:
        assert build(server.url.replace("http://", "tcp://"), iter([b"tar"]), deadline=10) == "sha256:0f"


@pytest.mark.timeout(60)
def test_a_context_that_is_long_on_the_way_is_no_engine_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "BEGINS", 0.5)

    def context() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b"x\n"

    with taking_engine() as (host, _), pytest.raises(Refused) as caught:
        build(host, context(), deadline=3)
    assert caught.value.reason is Reason.BUILD_TIMEOUT


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (403, Refused, Reason.ENGINE_REFUSED),
        (413, Refused, Reason.ENGINE_REFUSED),
        (503, Unavailable, Reason.ENGINE_UNAVAILABLE),
    ],
)
def test_what_a_proxy_in_front_of_the_engine_says_is_no_mistake_in_the_dockerfile(
    status: int, kind: type[PilotageError], reason: Reason
) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path == "/version":
            return Reply(body={"ApiVersion": "1.41", "Version": "20.10.24"})
        return Reply(status, "<html><body><h1>Request forbidden by administrative rules.</h1></body></html>")

    with loopback(script) as server, pytest.raises(kind, match=f"HTTP {status}, not of the engine") as caught:
        build(server.url.replace("http://", "tcp://"), iter([b"tar"]), deadline=10)
    assert caught.value.reason is reason


@pytest.mark.timeout(60)
@pytest.mark.parametrize("pull", [True, False])
def test_no_number_of_base_images_outlasts_the_time_of_the_build(pull: bool) -> None:
    """A Dockerfile can name thousands; or one, each time for another platform."""

    def script(asked: Asked) -> Reply:
        if asked.path == "/version":
            return Reply(body={"ApiVersion": "1.41", "Version": "20.10.24"})
        time.sleep(0.05)
        return Reply(body={"Os": "linux", "Architecture": "amd64"} if asked.method == "GET" else b"")

    copies = "".join(f"COPY --from=base:{number} / /\n" for number in range(60))
    with loopback(script) as server:
        host = server.url.replace("http://", "tcp://")
        with pytest.raises(Refused) as caught:
            build(host, iter([b"tar"]), deadline=1, dockerfile=f"FROM scratch\n{copies}", pull=pull)
    assert caught.value.reason is Reason.BUILD_TIMEOUT
    assert not any(asked.path.endswith("/build") for asked in server.asked)


@pytest.mark.timeout(60)
def test_a_build_is_cancelled_between_its_base_images() -> None:
    with loopback(lambda _: Reply(body={"ApiVersion": "1.41", "Version": "20.10.24"})) as server:
        host = server.url.replace("http://", "tcp://")
        with pytest.raises(Cancelled):
            build(host, iter([b"tar"]), deadline=10, dockerfile="FROM base:1\n", checkpoint=cancel)
    assert not any("/images/" in asked.path for asked in server.asked)
