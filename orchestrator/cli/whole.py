"""Requests in the plainest form of HTTP/1.1 (RFC 9112), and their answers; no I/O.

Whatever is not plain is none of ours: None sends it to a thread, where gunicorn judges it with all its rules.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from gunicorn.util import http_date

from orchestrator.at_once import Reply

_HEAD = re.compile(rb"POST (/[!-~]*) HTTP/1\.1\r\n((?:[A-Za-z0-9-]+: *[!-~](?:[ -~]*[!-~])?\r\n)+)\r\n")
_LINE = re.compile(r"([^:]+): *([^\r]+)\r\n")
_MOST = 8190
"""Bytes of a head, and lines below: gunicorn's bounds of one line and of the number of lines."""
_LINES = 100
_LENGTH = re.compile(r"[0-9]{1,5}")
_FRAMING = frozenset({"HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE", "HTTP_TRAILER", "HTTP_TE"})


@dataclass(frozen=True, slots=True)
class Head:
    """What a request begins with.

    ``environ``: as in PEP 3333, without the body; ``start``: bytes of the head; ``size``: of head and body;
    ``last``: no request follows.
    """

    environ: dict[str, Any]
    start: int
    size: int
    last: bool

    def environ_with(self, seen: bytes) -> dict[str, Any]:
        """Return the environ with its body. :param seen: the connection's next bytes: `size`, or more."""
        return {**self.environ, "wsgi.input": BytesIO(seen[self.start : self.size])}


def read(seen: bytes, paths: Collection[str]) -> Head | None:
    """Read the head of a plain POST to one of `paths`. :param seen: a connection's next bytes."""
    head = _HEAD.match(seen, 0, _MOST)
    if head is None or (path := head[1].decode("ascii")) not in paths:
        return None
    lines = _LINE.findall(head[2].decode("ascii"))
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in lines}
    if len(headers) < len(lines) or len(lines) > _LINES or "HTTP_HOST" not in headers or headers.keys() & _FRAMING:
        return None
    length, connection = headers.pop("HTTP_CONTENT_LENGTH", ""), headers.get("HTTP_CONNECTION", "").lower()
    if not _LENGTH.fullmatch(length) or connection not in ("", "close", "keep-alive"):
        return None
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "",
        "SERVER_PORT": "",
        "wsgi.url_scheme": "http",
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": length,
    }
    return Head({**environ, **headers}, head.end(), head.end() + int(length), connection == "close")


def answer(response: Reply, last: bool) -> bytes:
    """Format the answer as gunicorn does. :param last: the connection is closed after it."""
    own = f"Server: gunicorn\r\nDate: {http_date()}\r\nConnection: {'close' if last else 'keep-alive'}\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    return f"HTTP/1.1 {response.status}\r\n{own}{lines}\r\n".encode("latin-1") + response.get_data()
