"""Gunicorn's worker with threads, which needs none for requests that have arrived as a whole.

Its main thread waits for all connections and hands each request to a thread. Here it looks first at what has arrived,
without taking it: a plain request for one of the application's `AtOnce` paths is judged once all of it is there,
and answered when what belongs to it is written down. All else goes to a thread as ever.
"""

import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from selectors import EVENT_READ
from typing import Any

from orchestrator import access
from orchestrator.at_once import AT_ONCE, AtOnce, Reply
from orchestrator.cli import patience, whole
from orchestrator.cli.whole import Head

MOST = 64 * 1024
"""Bytes of a request, head and body. Pushes are smaller, but for a few; judging more would keep others waiting."""
REST = 1.0
"""Seconds in which the rest of a request is to come; then a thread waits for it, with more patience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A request at work. ``begun``: by the monotonic clock; ``context``: of the lines in the log about it."""

    conn: Any
    head: Head
    environ: dict[str, Any]
    word: Callable[[], Reply]
    context: Context
    begun: float


class Worker(patience.Worker):
    """The worker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ready: deque[_Call] = deque()
        self._coming: dict[Any, float] = {}

    @property
    def _at_once(self) -> AtOnce | None:
        return getattr(self.wsgi, "extensions", {}).get(AT_ONCE)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Take all that has arrived, then have written down together what came of it."""
        super().wait_for_and_dispatch_events(timeout)
        now = time.monotonic()
        for conn in [conn for conn, until in self._coming.items() if until < now]:
            self._on_rest(conn, conn.sock)
        if self._at_once is not None:
            self._at_once.flush()

    def enqueue_req(self, conn: Any) -> None:
        """Answer what a connection asks for: at once, by a thread, or as soon as it asks for something."""
        seen = _peek(conn)
        if seen is None:
            self._await(conn)
        elif (head := self._read(seen)) is not None and len(seen) < head.size <= MOST:
            self._await_rest(conn, head.size)
        else:
            self._take(conn, seen, head)

    def _read(self, seen: bytes) -> Head | None:
        return None if self._at_once is None else whole.read(seen, self._at_once.paths)

    def _take(self, conn: Any, seen: bytes, head: Head | None) -> None:
        if head is not None and head.size <= len(seen):
            self._guarded(conn, self._begin, conn, seen, head)
        else:
            super().enqueue_req(conn)

    def _await(self, conn: Any) -> None:
        """Have a new connection wait for its first bytes with the others, and not in a thread."""
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _await_rest(self, conn: Any, size: int) -> None:
        """Wait until `size` bytes are there, which the kernel looks after (socket(7), SO_RCVLOWAT)."""
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
        conn.sock.setblocking(False)
        self._coming[conn] = time.monotonic() + REST
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_rest, conn))

    def _on_rest(self, conn: Any, sock: socket.socket) -> None:
        """Take what has come, as it is: the rest, the connection's end, or nothing in time."""
        self.poller.unregister(sock)
        del self._coming[conn]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        seen = _peek(conn) or b""
        self._take(conn, seen, self._read(seen))

    def _begin(self, conn: Any, seen: bytes, head: Head) -> None:
        self.take_over(conn)
        conn.init()
        conn.sock.setblocking(False)  # this thread waits for nobody
        socket.socket.recv(conn.sock, head.size)
        begun, context = time.monotonic(), Context()
        environ = {**head.environ_with(seen), "REMOTE_ADDR": conn.client[0] if conn.client else ""}
        pending = context.run(self.wsgi.extensions[AT_ONCE].begin, environ)
        call = _Call(conn=conn, head=head, environ=environ, word=pending.word, context=context, begun=begun)
        pending.written.add_done_callback(lambda _: self._is_ready(call))

    def _is_ready(self, call: _Call) -> None:
        """Have a call answered by the main thread, which is waked once for all that are ready together."""
        self._ready.append(call)
        if len(self._ready) == 1:
            self.method_queue.defer(self._answer_all)

    def _answer_all(self) -> None:
        while self._ready:
            call = self._ready.popleft()
            self._guarded(call.conn, self._answer, call)

    def _answer(self, call: _Call) -> None:
        response = call.context.run(call.word)
        last = call.head.last or not self.alive or len(self.keepalived_conns) >= self.max_keepalived
        data = whole.answer(response, last)
        try:
            if socket.socket.send(call.conn.sock, data) < len(data):
                raise BrokenPipeError("the peer does not read its answers")
        finally:
            access.end(call.environ, response.status_code, round((time.monotonic() - call.begun) * 1000))
        if last:
            self._part(call.conn)
        else:
            self.finish_request(call.conn, _KEPT)

    def _guarded(self, conn: Any, do: Any, *args: Any) -> None:
        """Do something about a connection in the thread that all of them need: whatever it raises ends here."""
        try:
            do(*args)
        except OSError as error:  # the peer went away or does not read
            self.log.debug("Closing connection. %s", error)
            self._part(conn)
        except Exception as error:  # noqa: BLE001  # said in the log and to the caller, as gunicorn does in a thread
            self.handle_error(None, conn.sock, conn.client, error)
            self._part(conn)

    def _part(self, conn: Any) -> None:
        """Close a connection, by a thread: it waits until the peer has read its answer."""
        parted = self.tpool.submit(lambda: conn.sock.part(self.app.patience))
        parted.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))


def _peek(conn: Any) -> bytes | None:
    """Look at what a connection has brought; None: nothing as yet, and b"": nothing that is ours to look at."""
    if conn.parser is not None and conn.parser.unreader.buf.getvalue():  # read ahead by a thread
        return b""
    try:
        return socket.socket.recv(conn.sock, MOST, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


_KEPT: Future[bool] = Future()
_KEPT.set_result(True)
