"""What is taken for a plain request: nothing that gunicorn would read in another way, or not at all."""

import io
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Response

from orchestrator.cli import whole

PATH = "/webhooks/github"
BODY = b'{"a": 1}'
LINES = (b"Host: x", b"Content-Type: application/json", b"X-GitHub-Event: push", b"Content-Length: 8")


def request(*lines: bytes, first: bytes = b"POST /webhooks/github HTTP/1.1", body: bytes = BODY) -> bytes:
    return b"\r\n".join((first, *(lines or LINES), b"", b"")) + body


def test_a_plain_post_is_read() -> None:
    seen = request() + b"POST /next"
    head = whole.read(seen, {PATH})
    assert head is not None
    assert seen[head.start : head.size] == BODY
    assert not head.last
    environ = head.environ_with(seen)
    assert environ.pop("wsgi.input").read() == BODY
    assert {name: value for name, value in environ.items() if value and name.isupper()} == {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "8",
        "HTTP_HOST": "x",
        "HTTP_X_GITHUB_EVENT": "push",
    }


def test_a_head_says_how_much_is_to_come() -> None:
    head = whole.read(request(body=b""), {PATH})
    assert head is not None
    assert head.size == len(request())


@pytest.mark.parametrize(("word", "last"), [(b"close", True), (b"Close", True), (b"keep-alive", False)])
def test_a_connection_that_ends_says_so(word: bytes, last: bool) -> None:
    head = whole.read(request(*LINES, b"Connection: " + word), {PATH})
    assert head is not None
    assert head.last is last


NOT_PLAIN = {
    "another method": request(first=b"PUT /webhooks/github HTTP/1.1"),
    "another path": request(first=b"POST /webhooks/gitlab HTTP/1.1"),
    "a query": request(first=b"POST /webhooks/github?a=1 HTTP/1.1"),
    "a path spelled in another way": request(first=b"POST /webhooks/%67ithub HTTP/1.1"),
    "an absolute address": request(first=b"POST http://x/webhooks/github HTTP/1.1"),
    "an older version": request(first=b"POST /webhooks/github HTTP/1.0"),
    "no host": request(*LINES[1:]),
    "no length": request(*LINES[:3]),
    "two lengths": request(*LINES, b"Content-Length: 8"),
    "two lengths that differ": request(*LINES, b"content-length: 9"),
    "a length with a sign": request(*LINES[:3], b"Content-Length: +8"),
    "a length in a list": request(*LINES[:3], b"Content-Length: 8, 8"),
    "a length in words": request(*LINES[:3], b"Content-Length: 0x8"),
    "a large body": request(*LINES[:3], b"Content-Length: 100000"),
    "chunks": request(*LINES, b"Transfer-Encoding: chunked"),
    "chunks alone": request(*LINES[:3], b"Transfer-Encoding: chunked"),
    "a question first": request(*LINES, b"Expect: 100-continue"),
    "other encodings": request(*LINES, b"TE: trailers"),
    "lines after the body": request(*LINES, b"Trailer: X-A"),
    "another protocol": request(*LINES, b"Connection: Upgrade", b"Upgrade: h2c"),
    "a header twice": request(*LINES, b"X-A: 1", b"x-a: 2"),
    "a header with an underscore": request(*LINES, b"X_A: 1"),
    "a name with a blank": request(*LINES, b"X-A : 1"),
    "a folded line": request(*LINES, b"X-A: 1", b" 2"),
    "an empty value": request(*LINES, b"X-A: "),
    "a control character": request(*LINES, b"X-A: 1\x00"),
    "a bare line feed": request().replace(b"\r\n", b"\n"),
    "letters of other languages": request(*LINES, "X-A: 나".encode()),
    "a head that is not complete": request()[:60],
    "a long head": request(*LINES, b"X-A: " + b"a" * 8190),
    "many lines": request(*LINES, *(b"X-%d: 1" % number for number in range(100))),
    "nothing": b"",
    "something else": b"\x16\x03\x01\x02\x00\x01\x00",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_gunicorn(name: str) -> None:
    assert whole.read(NOT_PLAIN[name], {PATH}) is None


def by_gunicorn(seen: bytes) -> dict[str, Any] | None:
    """Read a request as gunicorn does; None where it refuses."""
    config = Config()
    config.set("forwarder_headers", "")
    try:
        asked = next(RequestParser(config, iter([seen]), ("192.0.2.1", 1)))
        _, environ = create(asked, io.BytesIO(), ("192.0.2.1", 1), ("192.0.2.2", 80), config)
        environ["body"] = environ["wsgi.input"].read()
    except (ParseException, NoMoreData, StopIteration):
        return None
    return environ


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A request with some bytes replaced, put in or left out, of those that have a meaning."""
    seen = request(*LINES, b"X-A: b", b"Connection: close")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(seen)))
        piece = draw(
            st.sampled_from((b"\r", b"\n", b"\r\n", b":", b" ", b"\t", b",", b"_", b"-", b"1", b"\x00", b"%"))
        )
        seen = seen[:at] + piece + seen[at + draw(st.integers(0, 2)) :]
    return seen


@given(changed())
def test_what_is_read_is_what_gunicorn_reads(seen: bytes) -> None:
    head = whole.read(seen, {PATH})
    if head is None or head.size > len(seen):
        return
    theirs, ours = by_gunicorn(seen), head.environ_with(seen)
    assert theirs is not None
    assert ours.pop("wsgi.input").read() == theirs["body"]
    names = {name for name in theirs if name.startswith("HTTP_")} | {"CONTENT_TYPE", "CONTENT_LENGTH", "PATH_INFO"}
    assert {name: ours.get(name) for name in names} == {name: theirs.get(name, "") for name in names}
    assert {name for name in ours if name.startswith("HTTP_")} <= names


def test_an_answer_is_one_message() -> None:
    said = whole.answer(Response(b"{}", 202, {"X-A": "b"}, content_type="application/json"), last=True)
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert (first, body) == ("HTTP/1.1 202 ACCEPTED", b"{}")
    assert {"Connection: close", "Content-Length: 2", "Content-Type: application/json", "X-A: b"} <= set(lines)
