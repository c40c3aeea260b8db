"""A session of a build: the engine asks for secrets over a connection that was turned around."""

import contextlib
import socket
from collections.abc import Iterator, Mapping

import pytest

from tests.support.grpc_client import Call, GrpcClient
from workers.clients.build_session import GET_SECRET, BuildSession
from workers.clients.protobuf import Fields, bytes_field

SECRETS = {"npm": b"s3cr3t", "key": b"-----BEGIN KEY-----\n" + b"x" * 400_000, "토큰": "한글".encode()}


class Pair:
    """Our end of a pair of sockets, as `Wire`, and the engine's end."""

    def __init__(self) -> None:
        self.ours, self.engine = socket.socketpair()
        self.engine.settimeout(10)
        self.headers: dict[str, str] = {}

    def upgrade(self, headers: Mapping[str, str]) -> "Pair":
        self.headers.update(headers)
        return self

    def receive(self, size: int) -> bytes:
        return self.ours.recv(size)

    def send(self, data: bytes) -> None:
        self.ours.sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.ours.shutdown(socket.SHUT_RDWR)

    def call(self, path: str, request: bytes) -> Call:
        """Call as the engine does, and wait for the end of the answer."""
        client = GrpcClient()
        stream = client.ask(path, request)
        while not client.calls[stream].ended:
            self.engine.sendall(client.to_send())
            client.take(self.engine.recv(65_536))
        return client.calls[stream]


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.ours.close()
    made.engine.close()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_handed_over(pair: Pair, name: str) -> None:
    with BuildSession(pair.upgrade, SECRETS):
        call = pair.call(GET_SECRET, bytes_field(1, name.encode()))
    assert Fields(call.message).bytes(1) == SECRETS[name]


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        (GET_SECRET, bytes_field(1, b"other"), "5"),
        (GET_SECRET, b"", "5"),
        (GET_SECRET, b"\x0a\x05ab", "3"),
        (GET_SECRET, bytes_field(1, b"\xff"), "3"),
        ("/moby.filesync.v1.Auth/Credentials", bytes_field(1, b"h.io"), "12"),
    ],
    ids=["of another name", "of no name", "nonsense", "no text", "another service"],
)
def test_nothing_else_is_handed_over(pair: Pair, path: str, request_: bytes, status: str) -> None:
    with BuildSession(pair.upgrade, SECRETS):
        call = pair.call(path, request_)
    assert (call.status, bytes(call.answer)) == (status, b"")


def test_the_engine_is_told_the_session_and_what_it_can_ask_for(pair: Pair) -> None:
    with BuildSession(pair.upgrade, SECRETS) as session:
        assert pair.headers["X-Docker-Expose-Session-Uuid"] == session.id
        assert pair.headers["X-Docker-Expose-Session-Grpc-Method"] == GET_SECRET
    assert "s3cr3t" not in str(pair.headers)


def test_the_connection_ends_with_the_build(pair: Pair) -> None:
    with BuildSession(pair.upgrade, SECRETS):
        pair.engine.recv(65_536)
    assert pair.engine.recv(1) == b""


def test_an_engine_that_goes_away_or_talks_nonsense_ends_the_session_quietly(pair: Pair) -> None:
    with BuildSession(pair.upgrade, SECRETS):
        pair.engine.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while pair.engine.recv(65_536):
            pass
