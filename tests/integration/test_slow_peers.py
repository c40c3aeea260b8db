"""Peers that are slow or say nothing, at the real HTTP server: others are answered, and the honest ones, too."""

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.cli.patience import Limit, Patience, Peer
from tests.support.hooks import own_case
from tests.support.servers import serving

SERVE = """
import sys
import threading
import time
from orchestrator.cli.httpd import Httpd
from orchestrator.cli.patience import Limit, Patience
from tests.support.hooks import FakeInbox, make_app

hooks = make_app(FakeInbox())

given_up = threading.Event()

def large():
    try:
        while True:
            yield b"x" * 65536
    finally:
        given_up.set()

def ticks():
    for _ in range(8):
        time.sleep(0.25)
        yield b"tick"

def app(environ, start_response):
    if environ["PATH_INFO"] == "/large":
        start_response("200 OK", [])
        return large()
    if environ["PATH_INFO"] == "/given-up":
        start_response("200 OK" if given_up.wait(10) else "500 Still", [])
        return []
    if environ["PATH_INFO"] == "/ticks":
        start_response("200 OK", [])
        return ticks()
    return hooks(environ, start_response)

app.extensions = hooks.extensions
parting = Limit(float(sys.argv[1]))
patience = Patience(head=Limit(1.0), body=Limit(1.0, 10_000), answer=Limit(1.0, 10**7), parting=parting)
Httpd(lambda: app, "127.0.0.1:0", patience=patience).run()
"""
"""Every limit is a second, but for the one of those who do not close: it is given, in seconds."""
CROWD = 140
"""More connections than the server has threads."""
CASE = own_case("github", "push-branch")
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
CLOSE = b"Connection: close\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(SERVE, "5", log=tmp_path_factory.mktemp("server") / "log") as (_, port):
        assert ask(port, GET % (b"/healthz", CLOSE)).startswith(b"HTTP/1.1 200")
        yield port


@pytest.fixture
def patient_port(tmp_path: Path) -> Iterator[int]:
    """Where those who do not close are waited for longer than a test lasts."""
    with serving(SERVE, "600", log=tmp_path / "log") as (_, port):
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def ask(port: int, request: bytes) -> bytes:
    with connect(port) as peer:
        peer.sendall(request)
        return rest(peer)


def is_well(peer: socket.socket, more: bytes = b"") -> bool:
    """Ask for the state and read the answer, and no further."""
    peer.sendall(GET % (b"/healthz", more))
    answer = b""
    while not answer.endswith(b"}\n") and (part := peer.recv(65536)):
        answer += part
    return answer.startswith(b"HTTP/1.1 200")


def rest(peer: socket.socket) -> bytes:
    """Read until the server has closed."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := peer.recv(65536):
            parts.append(part)
    return b"".join(parts)


def is_given_up(peer: socket.socket) -> bool:
    """Tell whether the server has closed a connection altogether, so that it takes nothing any more."""
    peer.sendall(b"x")
    return peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def post(length: int) -> bytes:
    headers = {**CASE.headers(), "Host": "x", "Content-Length": str(length)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhooks/github HTTP/1.1\r\n{lines}\r\n".encode()


UNFINISHED = {"a head": post(1_000)[:-2], "a body": post(1_000) + b"{"}


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_crowd_that_does_not_end_what_it_begins_does_not_stop_the_others(name: str, port: int) -> None:
    with ExitStack() as crowd:
        for _ in range(CROWD):
            crowd.enter_context(connect(port)).sendall(UNFINISHED[name])
        assert ask(port, GET % (b"/healthz", CLOSE)).startswith(b"HTTP/1.1 200")


def test_a_body_that_comes_by_the_byte_is_told_so(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(post(1_000))
        peer.settimeout(0.1)
        answer = b""
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                peer.sendall(b" ")
                answer = peer.recv(65536)
                break
        peer.settimeout(5)
        answer += rest(peer)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"reason": "slow"' in answer


def test_a_head_that_comes_by_the_byte_is_not_waited_for(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(UNFINISHED["a head"])
        peer.settimeout(0.1)
        for _ in range(50):
            with contextlib.suppress(TimeoutError):
                peer.sendall(b"X-A: b\r\n")
                assert peer.recv(1) == b""
                return
    pytest.fail("it is waited for")


def test_a_connection_that_brings_nothing_is_closed(port: int) -> None:
    with connect(port) as peer:
        assert peer.recv(1) == b""


def test_a_body_that_keeps_coming_may_take_longer(port: int) -> None:
    body = CASE.body + b" " * (40_000 - len(CASE.body))
    with connect(port) as peer:
        peer.sendall(post(len(body)) + body[:1_000])
        for at in range(1_000, len(body), 3_000):
            time.sleep(0.15)
            peer.sendall(body[at : at + 3_000])
        assert peer.recv(65536).startswith(b"HTTP/1.1 401")  # the blanks are not signed


def test_an_answer_that_nobody_takes_is_given_up(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(GET % (b"/large", b""))
        assert ask(port, GET % (b"/given-up", CLOSE)).startswith(b"HTTP/1.1 200")


def test_an_answer_that_takes_its_time_is_not_cut_off(port: int) -> None:
    assert ask(port, GET % (b"/ticks", CLOSE)).count(b"tick") == 8


def test_a_connection_that_is_kept_is_kept_between_requests(port: int) -> None:
    with connect(port) as peer:
        for pause in (1.5, 0):
            assert is_well(peer)
            time.sleep(pause)


LAST = {
    "of a thread": GET % (b"/healthz", CLOSE),
    "at once": post(len(CASE.body)).replace(b"\r\n\r\n", b"\r\n" + CLOSE + b"\r\n") + CASE.body,
    "at once, refused": post(2).replace(b"\r\n\r\n", b"\r\n" + CLOSE + b"\r\n") + b"{}",
}


@pytest.mark.parametrize("name", LAST)
def test_those_who_do_not_close_do_not_stop_the_others(name: str, patient_port: int) -> None:
    with ExitStack() as crowd:
        peers = [crowd.enter_context(connect(patient_port)) for _ in range(5)]
        for peer in peers:
            peer.sendall(LAST[name])
        assert all(rest(peer) for peer in peers)
        assert ask(patient_port, GET % (b"/healthz", CLOSE)).startswith(b"HTTP/1.1 200")
        assert not any(is_given_up(peer) for peer in peers), "the others had to wait until then"


def test_somebody_who_is_refused_with_a_large_body_can_read_why(port: int) -> None:
    body = b" " * 5_000_000
    head = (
        f"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    assert ask(port, f"{head}\r\n\r\n".encode() + body).startswith(b"HTTP/1.1 401")


def test_somebody_who_sends_on_without_end_is_parted_with(port: int) -> None:
    class Flood(Peer):
        def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
            return b"x" * bufsize

    with Flood(connect(port)) as peer:
        peer.part(Patience(parting=Limit(0.05)))


def test_what_nobody_waits_for_is_not_waited_for(port: int) -> None:
    with Peer(connect(port)) as peer:
        peer.await_request(Patience())
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        peer.settimeout(0.01)
        with pytest.raises(ConnectionResetError, match="too slow"):
            peer.recv(1)
