"""How long a client may keep a thread of the HTTP server waiting; gunicorn's threads would wait for ever."""

import contextlib
import errno
import math
import select
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from orchestrator import journal

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limit:
    """Seconds that a thread waits for a peer, and one more for every `rate` bytes that have moved.

    So a byte now and then does not buy time, and what is large may take long on a slow line.
    """

    seconds: float
    rate: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What we wait for. Only time in which a thread waits counts, not that between the lines of a followed log."""

    head: Limit = Limit(5.0, 64 * 1024)
    """The request's line and headers: few bytes, as a rule in one piece. As long as for the first of them."""
    body: Limit = Limit(10.0, 64 * 1024)
    """The body: 25 MiB have seven minutes, and no forge waits for longer than a quarter of one."""
    answer: Limit = Limit(60.0, 8 * 1024)
    """Until the peer has taken our answer."""
    parting: Limit = Limit(1.0)
    """Until the peer has closed after our last answer; it can read that only if we take what it still sends."""


@dataclass(slots=True)
class _Wait:
    """What is left of a limit. ``error``: its class and number; gunicorn takes some of them for a peer that went."""

    limit: Limit
    error: type[OSError] = TimeoutError
    number: int = errno.ETIMEDOUT
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.limit.seconds

    def until(self, event: int, peer: socket.socket) -> None:
        """Wait for a peer, and count the time; a shorter timeout that was set counts, too.

        :raises OSError: `error`, it took too long.
        """
        asked = peer.gettimeout()
        poll = select.poll()
        poll.register(peer, event)
        begun = time.monotonic()
        ready = poll.poll(max(0.0, self.left if asked is None else min(asked, self.left)) * 1000)
        self.left -= time.monotonic() - begun
        if not ready:
            raise self.error(self.number, "the peer is too slow")

    def moved(self, size: int) -> None:
        """Earn time by bytes that came or went."""
        self.left += size / self.limit.rate


class Peer(socket.socket):
    """A connection that keeps a thread waiting only as long as it may; gunicorn's own, taken over.

    For the kernel it never blocks: what can be had at once takes one call, and only for what cannot a thread waits.
    Python's own timeouts take four more, and at each of them another thread gets its turn (measured: with 50 senders
    that cost more than all that is done for a delivery).
    """

    def __init__(self, plain: socket.socket) -> None:
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        super().setblocking(False)
        self._timeout: float | None = None

    def setblocking(self, flag: bool, /) -> None:
        """Note whether somebody who asks for bytes waits for them."""
        self._timeout = None if flag else 0.0

    def settimeout(self, value: float | None, /) -> None:
        """Note for how many seconds somebody waits at the most who asks for bytes."""
        self._timeout = value

    def gettimeout(self) -> float | None:
        """Return what was noted."""
        return self._timeout

    def await_request(self, patience: Patience) -> None:
        """Wait for a request from now on; if none comes, nothing is logged."""
        self._coming = _Wait(patience.head, ConnectionResetError, errno.ECONNRESET)
        self._going = _Wait(patience.answer, BrokenPipeError, errno.EPIPE)

    def await_body(self, patience: Patience) -> None:
        """Wait for the body from now on; whoever reads it is told by TimeoutError that it comes too slowly."""
        self._coming = _Wait(patience.body)

    def part(self, patience: Patience) -> None:
        """Say that nothing follows, and wait until the peer has closed or the time is up."""
        self._coming, self._timeout = _Wait(patience.parting), None
        end = time.monotonic() + patience.parting.seconds  # for one that sends so fast that nobody ever waits
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_WR)
            while self.recv(_PIECE) and time.monotonic() < end:
                pass

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive. :raises OSError: the wait is over; which one, see above."""
        while True:
            try:
                data = super().recv(bufsize, flags)
            except BlockingIOError:
                self._wait(self._coming, select.POLLIN)
            else:
                self._coming.moved(len(data))
                return data

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send what the kernel takes; return how many bytes. :raises BrokenPipeError: the peer does not take any."""
        while True:
            try:
                sent = super().send(data, flags)
            except BlockingIOError:
                self._wait(self._going, select.POLLOUT)
            else:
                self._going.moved(sent)
                return sent

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything. :raises BrokenPipeError: the peer does not take it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest, flags) :]

    def _wait(self, wait: _Wait, event: int) -> None:
        """Wait, unless it was said that nobody does. To be called where the kernel has said that it has nothing."""
        if self._timeout == 0:
            raise BlockingIOError(errno.EAGAIN, "nobody waits for it")
        wait.until(event, self)


class _Framed:
    """What reads a body for gunicorn, with errors that frameworks know: its own are no mistake of the application."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        """Read. :raises ValueError: the chunks are not as HTTP says. :raises OSError: it ends early or is slow."""
        try:
            data: bytes = self._reader.read(size)
        except ParseException as error:
            raise ValueError(str(error)) from None
        return data


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's worker with threads, with the patience of its `Httpd`."""

    def handle(self, conn: Any) -> Any:
        """Handle what a connection asks for, in a thread."""
        kept = self.attend(conn)
        if not kept:  # gunicorn does this for two seconds in the one thread that takes new connections
            conn.sock.part(self.app.patience)
        return kept

    def attend(self, conn: Any) -> Any:
        """Answer what a connection asks for; tell whether it is kept, else somebody has to part with it."""
        journal.bind_only()  # nothing of what the thread did before
        self.take_over(conn)
        return super().handle(conn)

    def take_over(self, conn: Any) -> None:
        """Begin to wait for a request of a connection."""
        if not isinstance(conn.sock, Peer):
            conn.sock = Peer(conn.sock)
        conn.sock.await_request(self.app.patience)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request: its head has come."""
        conn.sock.await_body(self.app.patience)
        req.body.reader = _Framed(req.body.reader)
        return super().handle_request(req, conn)
