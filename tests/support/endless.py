"""A Git server whose pack has no end."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.loopback import Asked, Reply, loopback

_CAPABILITIES = ("version 2\n", "ls-refs\n", "fetch=shallow\n", "object-format=sha1\n")
_TYPE = "application/x-git-upload-pack"


@contextmanager
def endless_server() -> Iterator[str]:
    """Serve a repository at an address: of its branch ``main`` files arrive without end."""
    with loopback(_answer) as server:
        yield f"{server.url}/endless.git"


def _answer(asked: Asked) -> Reply:
    if asked.method == "GET":
        said = _lines("# service=git-upload-pack\n") + _lines(*_CAPABILITIES)
        return Reply(200, said, {"Content-Type": f"{_TYPE}-advertisement"})
    kind = {"Content-Type": f"{_TYPE}-result"}
    if b"command=ls-refs" in asked.body:
        return Reply(200, _lines(f"{'b' * 40} refs/heads/main\n"), kind)
    return Reply(200, headers=kind, parts=_pack)


def _pack() -> Iterator[bytes]:
    yield _packet(b"packfile\n") + _packet(b"\1PACK" + struct.pack(">II", 2, 1_000_000))
    while True:
        yield _packet(b"\1" + _blob(os.urandom(60_000)))


def _blob(content: bytes) -> bytes:
    """Write an object of a pack: its type and size, seven bits at a time after the first four, and its content."""
    size, head = len(content) >> 4, [0x30 | len(content) & 0x0F]
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + zlib.compress(content, 0)


def _packet(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def _lines(*lines: str) -> bytes:
    return b"".join(_packet(line.encode()) for line in lines) + b"0000"
