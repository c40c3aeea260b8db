"""Connections whose answers have to come in time, head and body: a byte now and then buys none.

The time limit of a socket is one of silence: it begins anew with each byte, so that a server that drips could hold a
stage up for days.
"""

import io
import math
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

WHOLE = 4
"""An answer may take as many times the silence that is allowed in it."""


class Timed(io.RawIOBase):
    """The bytes of one answer, for a time in all.

    :param raw: what arrives at `sock`, whose time limit is that of a silence. :param steady: tells seconds.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, steady: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._steady = steady
        self._silence = sock.gettimeout() or math.inf
        self._until = steady() + WHOLE * self._silence

    def lift(self) -> None:
        """Let the rest take any time; only silence counts from now on."""
        self._until = math.inf

    @property
    def is_endless(self) -> bool:
        """Whether it may take any time."""
        return self._until == math.inf

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Wait for some bytes. :raises TimeoutError: there are none in time."""
        left = min(self._silence, self._until - self._steady())
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(None if left == math.inf else left)
        return self._raw.readinto(buffer)

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._raw.fileno()

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class TimedResponse(HTTPResponse):
    """An answer that is read from `timed`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.timed = Timed(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self.timed)


class _Plain(HTTPConnection):
    response_class = TimedResponse


class _Secure(HTTPSConnection):
    response_class = TimedResponse


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


POOLS = {"http": _PlainPool, "https": _SecurePool}
"""The pools of such connections, by scheme, as urllib3's managers take them."""


def lift(answer: Any) -> None:
    """Let the rest of an answer, whose head has come, take any time. :param answer: urllib3's."""
    answer._original_response.timed.lift()


def cut(answer: Any) -> None:
    """Wake the thread that waits for more of an answer; it gets an error. :param answer: urllib3's."""
    with suppress(OSError, ValueError, RuntimeError):  # already closed, or read to its end
        answer.shutdown()
