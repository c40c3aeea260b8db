"""Bodies of requests to the stand-in of Harbor, taken off the wire in pieces."""

from io import BytesIO

import pytest

from orchestrator.sandbox.harbor_registry import CHUNK
from orchestrator.sandbox.harbor_rules import HarborError
from orchestrator.sandbox.harbor_wire import BrokenRequest, RequestBody, frame

NEXT = b"GET / HTTP/1.1\r\n"


def wire(*pieces: bytes) -> BytesIO:
    return BytesIO(b"".join(frame(piece) for piece in pieces) + NEXT)


@pytest.mark.parametrize("pieces", [(b"",), (b"one", b""), (b"one", b"two" * 500_000, b"")])
def test_chunks_are_taken_up_to_the_last_and_no_further(pieces: tuple[bytes, ...]) -> None:
    stream = wire(*pieces)
    body = RequestBody(stream, None, chunked=True)
    taken = list(body)
    assert b"".join(taken) == b"".join(pieces)
    assert all(0 < len(piece) <= CHUNK for piece in taken)
    assert stream.read() == NEXT
    assert list(body) == []


def test_a_body_of_known_length_ends_there() -> None:
    stream = BytesIO(b"x" * (CHUNK + 5) + NEXT)
    assert [len(piece) for piece in RequestBody(stream, CHUNK + 5, chunked=False)] == [CHUNK, 5]
    assert stream.read() == NEXT


def test_no_length_and_no_chunks_is_no_body() -> None:
    body = RequestBody(BytesIO(NEXT), None, chunked=False)
    assert (list(body), body.declared, body.length) == ([], False, 0)


def test_extensions_and_trailers_of_chunks_are_skipped() -> None:
    stream = BytesIO(b"3;name=value\r\none\r\n0\r\nTrailer: x\r\n\r\n" + NEXT)
    assert RequestBody(stream, None, chunked=True).read(10) == b"one"
    assert stream.read() == NEXT


@pytest.mark.parametrize("sent", [b"", b"zz\r\n", b"-1\r\nx", b"5\r\nabc", b"2\r\nabc\r\n0\r\n\r\n"])
def test_what_is_not_chunked_is_broken(sent: bytes) -> None:
    with pytest.raises(BrokenRequest):
        RequestBody(BytesIO(sent), None, chunked=True).drain()


def test_a_client_that_goes_away_is_noticed() -> None:
    with pytest.raises(BrokenRequest):
        RequestBody(BytesIO(b"abc"), 4, chunked=False).read(10)


def test_a_body_is_read_up_to_a_limit_and_the_rest_can_be_drained() -> None:
    stream = wire(b"abc", b"defg", b"")
    body = RequestBody(stream, None, chunked=True)
    with pytest.raises(HarborError) as caught:
        body.read(5)
    assert caught.value.status == 413
    body.drain()
    assert stream.read() == NEXT


def test_a_body_can_be_cut_in_the_middle() -> None:
    pieces = iter(RequestBody(wire(b"abc", b"def", b""), None, chunked=True, cut=True))
    assert next(pieces) == b"abc"
    with pytest.raises(BrokenRequest):
        next(pieces)
