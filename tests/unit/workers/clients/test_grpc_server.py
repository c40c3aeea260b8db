"""gRPC calls as the engine makes them: answered whole, in pieces and beside each other."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.grpc_client import Call, GrpcClient
from workers.clients.grpc_server import MAX_REQUEST, BrokenConnection, CallFailed, CallStatus, GrpcServer

HEALTH = "/grpc.health.v1.Health/Check"
ECHO, FAIL, LARGE = "/x.Y/Echo", "/x.Y/Fail", "/x.Y/Large"


def failing(_request: bytes) -> bytes:
    raise CallFailed(CallStatus.NOT_FOUND)


METHODS = {ECHO: lambda request: request, FAIL: failing, LARGE: lambda request: request * 300_000}


def talk(client: GrpcClient, server: GrpcServer) -> None:
    """Carry bytes to and fro until both are silent."""
    client.take(server.begin())
    while asked := client.to_send():
        client.take(server.take(asked))


def called(path: str, request: bytes = b"", prefix: bytes | None = None) -> Call:
    client = GrpcClient()
    stream = client.ask(path, request, prefix=prefix)
    talk(client, GrpcServer(METHODS))
    assert client.calls[stream].ended
    return client.calls[stream]


@pytest.mark.parametrize("request_", [b"", b"hello", b"x" * (MAX_REQUEST - 5)])
def test_a_call_gets_its_answer(request_: bytes) -> None:
    call = called(ECHO, request_)
    assert (call.message, call.status) == (request_, "0")


@pytest.mark.parametrize(
    ("path", "request_", "prefix", "status"),
    [
        (FAIL, b"", None, "5"),
        ("/x.Y/Unknown", b"", None, "12"),
        (ECHO, b"x" * (MAX_REQUEST - 4), None, "8"),
        (ECHO, b"x" * 5 * MAX_REQUEST, None, "8"),
        (ECHO, b"", b"", "3"),
        (ECHO, b"ab", b"\0\0\0\0\x03", "3"),
        (ECHO, b"ab", b"\x01\0\0\0\x02", "12"),
    ],
    ids=["fails", "is unknown", "is too large", "goes on", "has no message", "is cut off", "is compressed"],
)
def test_a_call_that_cannot_be_answered_says_why(
    path: str, request_: bytes, prefix: bytes | None, status: str
) -> None:
    call = called(path, request_, prefix)
    assert (bytes(call.answer), call.status) == (b"", status)


def test_the_server_is_well() -> None:
    assert called(HEALTH).message == b"\x08\x01"


def test_several_calls_are_answered_each() -> None:
    client = GrpcClient()
    streams = {client.ask(ECHO, bytes([number])): bytes([number]) for number in range(20)}
    talk(client, GrpcServer(METHODS))
    assert {stream: client.calls[stream].message for stream in streams} == streams


@pytest.mark.parametrize("window", [1_000, 65_535, 1_000_000])
def test_a_large_answer_is_sent_as_the_peer_takes_it(window: int) -> None:
    client, server = GrpcClient(window), GrpcServer(METHODS)
    stream = client.ask(LARGE, b"ab")
    talk(client, server)
    assert client.calls[stream].message == b"ab" * 300_000
    assert client.calls[stream].status == "0"


def test_a_call_that_is_given_up_harms_no_other() -> None:
    client, server = GrpcClient(window=1_000), GrpcServer(METHODS)
    client.take(server.begin())
    given_up = client.ask(LARGE, b"ab")
    client.take(server.take(client.to_send()))
    client.http.reset_stream(given_up)
    other = client.ask(ECHO, b"still here")
    client.take(server.take(client.to_send()))
    assert client.calls[other].message == b"still here"


def test_a_call_that_is_given_up_before_it_is_answered_harms_no_other() -> None:
    client, server = GrpcClient(), GrpcServer(METHODS)
    client.take(server.begin())
    given_up = client.ask(ECHO, b"never mind")
    asked = client.to_send()
    client.http.reset_stream(given_up)
    other = client.ask(ECHO, b"still here")
    client.take(server.take(asked + client.to_send()))
    assert client.calls[other].message == b"still here"


def test_bytes_may_arrive_one_by_one() -> None:
    client, server = GrpcClient(), GrpcServer(METHODS)
    client.take(server.begin())
    stream = client.ask(ECHO, b"slowly")
    for byte in client.to_send():
        client.take(server.take(bytes([byte])))
    assert client.calls[stream].message == b"slowly"


@given(st.binary(min_size=24, max_size=200))
def test_what_is_no_http_2_is_refused(data: bytes) -> None:
    server = GrpcServer(METHODS)
    server.begin()
    with pytest.raises(BrokenConnection):
        server.take(data)


@given(st.binary(max_size=200))
def test_nonsense_behind_a_good_beginning_is_answered_or_refused(data: bytes) -> None:
    client, server = GrpcClient(), GrpcServer(METHODS)
    server.begin()
    server.take(client.to_send())
    with contextlib.suppress(BrokenConnection):
        server.take(data)
