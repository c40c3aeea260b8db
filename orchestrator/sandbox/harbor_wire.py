"""Requests and answers of the registry's API as they come over the wire: bodies in pieces, never as a whole."""

import secrets
import uuid
from collections.abc import Iterable, Iterator
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from orchestrator.sandbox.harbor_registry import CHUNK
from orchestrator.sandbox.harbor_rules import JSON_TYPE, HarborError, has_session

MAX_LINE = 1024
"""Bytes of the line that begins a chunk."""
HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
"""Headers that belong to one connection (RFC 9110 section 7.6.1)."""
Headers = Iterable[tuple[str, str]]


class BrokenRequest(ConnectionError):
    """The client went away in the middle of its request, or does not speak HTTP."""


class RequestBody:
    """The body of one request, its framing taken off.

    :param length: value of ``Content-Length``; None = none. :param chunked: it comes in chunks.
    :param cut: break off in the middle, as a lost connection does.
    """

    def __init__(self, stream: BufferedIOBase, length: int | None, chunked: bool, cut: bool = False) -> None:
        self.length = None if chunked else length or 0
        self.declared = chunked or length is not None
        self._stream = stream
        self._left = 0 if chunked else length or 0
        self._chunked = chunked
        self._cut = cut

    def __iter__(self) -> Iterator[bytes]:
        """Give out the pieces, each at most `CHUNK` bytes.

        :raises BrokenRequest: it does not come to its end.
        """
        while self._left or (self._chunked and self._next_chunk()):
            piece = self._take(min(self._left, CHUNK))
            self._left -= len(piece)
            if self._chunked and not self._left and self._line():
                raise BrokenRequest("a chunk is longer than it says")
            yield piece
            if self._cut:
                raise BrokenRequest("dropped on request")

    def read(self, limit: int) -> bytes:
        """Return the whole body.

        :param limit: bytes that it may have.
        :raises HarborError: REQUEST_ENTITY_TOO_LARGE. :raises BrokenRequest: it does not come to its end.
        """
        content = bytearray()
        for piece in self:
            content += piece
            if len(content) > limit:
                raise HarborError("REQUEST_ENTITY_TOO_LARGE", "request entity too large")
        return bytes(content)

    def drain(self) -> None:
        """Read and forget what is left, so that the next request can be read from the connection."""
        for _ in self:
            pass

    def _next_chunk(self) -> bool:
        try:
            self._left = int(self._line().partition(b";")[0], 16)
        except ValueError:
            raise BrokenRequest("not a chunk") from None
        if self._left < 0:
            raise BrokenRequest("not a chunk")
        if self._left == 0:
            while self._line():
                pass  # trailers
            self._chunked = False
        return self._left > 0

    def _take(self, most: int) -> bytes:
        try:
            piece = self._stream.read1(most)
        except OSError as error:
            raise BrokenRequest("the client went away") from error
        if not piece:
            raise BrokenRequest("the client went away")
        return piece

    def _line(self) -> bytes:
        try:
            return self._stream.readline(MAX_LINE).strip()
        except OSError as error:
            raise BrokenRequest("the client went away") from error


class RegistryCall:
    """One request to the registry's API and its answer.

    :param cut: break off in the middle of its body.
    """

    def __init__(self, handler: BaseHTTPRequestHandler, cut: bool = False) -> None:
        self._handler = handler
        self.method = handler.command
        self.headers = handler.headers
        self.url = handler.path
        self.answered = False
        parts = urlsplit(handler.path)
        self.path = unquote(parts.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        chunked = "chunked" in self.header("Transfer-Encoding").lower()
        length = self.header("Content-Length")
        self.body = RequestBody(handler.rfile, int(length) if length.isdigit() else None, chunked, cut)

    def header(self, name: str) -> str:
        """Return a header of the request; "" = it is not there."""
        return str(self.headers.get(name, ""))

    def reply(self, status: int, headers: Headers = (), content: bytes = b"") -> None:
        """Answer with `content`, of which a HEAD shows the length only."""
        self.body.drain()
        self._begin(status, [*headers, ("Content-Length", str(len(content)))])
        if self.method != "HEAD":
            self._handler.wfile.write(content)

    def refuse(self, error: HarborError, headers: Headers = ()) -> None:
        """Answer with an error; as in Harbor, HEAD shows its status only."""
        content = b"" if self.method == "HEAD" else error.body
        self.reply(error.status, [("Content-Type", JSON_TYPE), *headers], content)

    def pass_on(self, answer: HTTPResponse) -> None:
        """Answer with what the registry answered, piece by piece."""
        self.body.drain()
        headers = passed_headers(answer)
        framed = answer.length is not None or self.method == "HEAD" or answer.status in (204, 304)
        self._begin(answer.status, headers if framed else [*headers, ("Transfer-Encoding", "chunked")])
        out: Any = self._handler.wfile
        while piece := answer.read(CHUNK):
            out.write(piece if framed else frame(piece))
        if not framed:
            out.write(frame(b""))
        if answer.length:  # the registry broke off; the client must not wait for the rest
            raise BrokenRequest("the registry's answer is not complete")

    def _begin(self, status: int, headers: Headers) -> None:
        handler = self._handler
        self.answered = True
        handler.send_response_only(status)
        for name, value in [*headers, *house_headers(self.header("Cookie"))]:
            handler.send_header(name, value)
        if handler.close_connection:
            handler.send_header("Connection", "close")
        handler.end_headers()


def passed_headers(answer: HTTPResponse) -> list[tuple[str, str]]:
    """Return the headers of the registry's answer that are meant for the client."""
    return [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]


def frame(piece: bytes) -> bytes:
    """Make a piece a chunk (RFC 9112 section 7.1); an empty one is the last."""
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def house_headers(cookie: str) -> list[tuple[str, str]]:
    """Return the headers of each answer of Harbor: the request id and, for a client without one, a session cookie."""
    headers = [("X-Request-Id", str(uuid.uuid4()))]
    if not has_session(cookie):
        headers.append(("Set-Cookie", f"sid={secrets.token_hex(16)}; Path=/; HttpOnly"))
    return headers
