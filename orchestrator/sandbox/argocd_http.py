"""How the stand-in of Argo CD speaks HTTP: what it takes for a token, and answers that are compressed unasked."""

import re
import zlib
from collections.abc import Iterator

from flask import Request, Response

_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+\Z", re.ASCII)
_PLAIN = ("/api/webhook", "/api/v1/sandbox/")
"""Paths below ``/api/`` that the server does not compress."""


def is_token(text: str) -> bool:
    """Tell whether a text looks like a token; any other counts as none."""
    return _JWT.match(text) is not None


def compressed(request: Request, answer: Response) -> Response:
    """Compress the answer for whoever takes gzip, also a stream; server-sent events never are."""
    is_api = request.path.startswith("/api/") and not request.path.startswith(_PLAIN)
    takes = "gzip" in request.headers.get("Accept-Encoding", "")
    if is_api and takes and request.headers.get("Accept") != "text/event-stream":
        answer.response = _packed(answer.iter_encoded())
        del answer.headers["Content-Length"]
        answer.headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return answer


def _packed(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for part in parts:  # each can be read at once: a stream may be silent for long afterwards
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
