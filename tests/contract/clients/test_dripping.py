"""Servers that send a byte now and then: an answer has a time in all, and only what has no end has none."""

import io
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from orchestrator.domain.errors import Unanswered, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Http
from workers.clients.http_deadline import WHOLE, Timed

SILENCE = 0.1
"""Seconds that a client waits for the next byte."""
PACE = SILENCE / 10
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "the head": (HEAD + b"X-More: ", b"x"),
    "a body": (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "a body in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body without a length": (HEAD.replace(b"1.1", b"1.0") + b"\r\n", b" "),
    "the body of an error": (HEAD.replace(b"200 OK", b"503 No") + b"Content-Length: 100000\r\n\r\n", b" "),
}


@contextmanager
def dripping(first: bytes, then: bytes) -> Iterator[str]:
    """Answer the first connection with some bytes, and go on with others, one after the other, without end."""
    over = threading.Event()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            peer.recv(65536)
            peer.sendall(first)
            while not over.wait(PACE):
                peer.sendall(then)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("name", DRIPS)
def test_an_answer_that_drips_is_given_up(name: str) -> None:
    with dripping(*DRIPS[name]) as url, pytest.raises(Unavailable) as caught:
        Http(url, Reason.ARGOCD_UNAVAILABLE).request("GET", "/", read_timeout=SILENCE)
    assert caught.value.reason is Reason.ARGOCD_UNAVAILABLE
    assert isinstance(caught.value, Unanswered) is (name != "the body of an error"), "an error is an answer"


def test_a_stream_that_should_end_is_given_up() -> None:
    with dripping(*DRIPS["a body in chunks"]) as url:
        http = Http(url, Reason.ARGOCD_UNAVAILABLE)
        answer = http.request("GET", "/", read_timeout=SILENCE, stream=True)
        with pytest.raises(Unavailable):
            list(http.lines(answer, 1_000_000))


def test_a_stream_without_an_end_has_no_time_in_all() -> None:
    with dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n\n\r\n") as url:
        http = Http(url, Reason.ARGOCD_UNAVAILABLE)
        answer = http.request("GET", "/", read_timeout=60.0, endless=True)
        assert list(itertools.islice(http.lines(answer, 100), 3)) == [b"", b"", b""]
        assert answer.raw._original_response.timed.is_endless


class Pipe(io.RawIOBase):
    """Gives one byte at each reading; the clock goes on by a second then."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self.seconds += 1.0
        buffer[:1] = b"x"
        return 1


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


def timed(pipe: Pipe, silence: float | None) -> tuple[Timed, socket.socket]:
    sock = socket.socket()
    sock.settimeout(silence)
    return Timed(pipe, sock, steady=lambda: pipe.seconds), sock


def until_given_up(read: Callable[[], object]) -> int:
    for count in itertools.count():
        try:
            read()
        except TimeoutError:
            return count
    raise AssertionError


def test_each_byte_takes_from_the_time_in_all(pipe: Pipe) -> None:
    answer, sock = timed(pipe, 5.0)
    with sock, answer:
        assert until_given_up(lambda: answer.read(1)) == WHOLE * 5
        assert sock.gettimeout() == 1.0, "what was left for the last one"


@pytest.mark.parametrize(("silence", "lifted"), [(5.0, True), (None, False)])
def test_what_has_no_end_is_read_for_ever(pipe: Pipe, silence: float | None, lifted: bool) -> None:
    answer, sock = timed(pipe, silence)
    with sock, answer:
        if lifted:
            answer.lift()
        assert all(answer.read(1) for _ in range(1000))
        assert sock.gettimeout() == silence
