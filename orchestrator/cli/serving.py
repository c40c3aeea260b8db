"""Gunicorn's worker with threads, which uses none for a request that has arrived completely.

Its main thread waits for all connections and hands each request to a thread. Here it looks first at what has arrived,
without taking it: a plain request for one of the application's `AtOnce` paths is judged once all of it is there,
and answered when what belongs to it is written down. Probes have threads of their own; all else goes to a thread as
ever.
"""

import errno
import json
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from orchestrator import access, journal, log_writer
from orchestrator.at_once import AT_ONCE, AtOnce, Pending
from orchestrator.cli import patience, whole
from orchestrator.cli.whole import Head
from orchestrator.domain.wording import ended
from orchestrator.rooted import ROOTS

MOST = 64 * 1024
"""Bytes of a request, head and body. Nearly all pushes are smaller; a larger one would keep others waiting."""
REST = 1.0
"""Seconds, and up to one more, in which the rest of a request is to come; then a thread waits for it, as patiently as
for any."""
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_FULL_FOR = 1.0
"""Seconds for which no new connection is tried where the system has no room for one."""
_PROBE = r"GET (?:{roots})/(?:healthz|readyz)[? ][^\0]*?\r\n\r\n"
_PROBERS = 4
"""Threads for probes alone: all others may wait for a database that is away, for which nobody is to restart us."""
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EAGAIN)


@dataclass(slots=True, kw_only=True)
class _Call:
    """A request at work. ``begun``: by the monotonic clock; ``context``: of the lines in the log about it."""

    conn: Any
    last: bool
    environ: dict[str, Any]
    context: Context = field(default_factory=Context)
    begun: float = field(default_factory=time.monotonic)

    def end(self, status: int) -> None:
        """Write the request's line."""
        self.context.run(access.end, self.environ, status, round((time.monotonic() - self.begun) * 1000))


class _Threads(ThreadPoolExecutor):
    """A pool whose first thread is there from the beginning: where the system has no more, work waits for its own."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.submit(int)

    def _adjust_thread_count(self) -> None:
        """Start a thread for what was taken; else the process, with all that it is at, would end over the lack."""
        with suppress(RuntimeError):
            super()._adjust_thread_count()


class WebWorker(patience.PatientWorker):
    """Gunicorn's worker as Pilotage runs it: judges hooks in its main thread, answers all else in others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_once: AtOnce | None = None
        self._probe = _probe(())
        self._coming: dict[Any, float] = {}
        self._ready: list[tuple[_Call, Pending]] = []
        self._lock = threading.Lock()
        self._stop_by = math.inf
        self._room_again = math.inf

    def init_process(self) -> None:
        """Begin, in the process that serves."""
        self._probers = _Threads(_PROBERS, "probe")
        util.write_error = _write_problem  # what gunicorn answers by itself: it has no setting for that
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Return the threads for requests."""
        return _Threads(self.cfg.threads)

    def load_wsgi(self) -> None:
        """Load the application, and find its part for whole requests and where it is served."""
        super().load_wsgi()
        parts = getattr(self.wsgi, "extensions", {})
        self._at_once, self._probe = parts.get(AT_ONCE), _probe(parts.get(ROOTS, ()))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Turn away what cannot be read as a request; our line about it and the answer have an id in common."""
        if journal.bound("request_id") is None:
            access.begin({})
        super().handle_error(req, client, addr, exc)

    def run(self) -> None:
        """Serve until told to stop; this thread waits for nobody, and so not for a reader of the log."""
        log_writer.never_wait()
        super().run()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Take all requests that have arrived, then have their results recorded together."""
        super().wait_for_and_dispatch_events(timeout)
        now = time.monotonic()
        if now >= self._room_again:
            self._room_again, self.worker_connections = math.inf, self.cfg.worker_connections
        for conn in [conn for conn, until in self._coming.items() if until < now]:
            self._on_rest(conn, conn.sock)
        if not self.alive:
            self._hurry(now)
        if self._at_once is not None:
            self._flush(self._at_once)

    def _flush(self, app: AtOnce) -> None:
        try:
            app.flush()
        except RuntimeError as error:  # no more threads are to be had; the next round tries again
            self.log.error("What has arrived waits to be written down: %s", error)

    def _hurry(self, now: float) -> None:
        """Let connections without a request delay a stop no longer than kept-alive ones."""
        self._stop_by = min(self._stop_by, now + STOP_KEEPALIVE_LINGER)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, self._stop_by)

    def accept(self, listener: Any) -> None:
        """Take all new connections that wait: gunicorn takes one a round, and each round ends with a write."""
        before = -1
        while before < self.nr_conns < self.worker_connections:
            before = self.nr_conns
            try:
                super().accept(listener)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._take_no_more(error)

    def _take_no_more(self, error: OSError) -> None:
        """Have those that wait wait for a second, or until somebody leaves; gunicorn would end the process here."""
        self.log.error("New connections wait; raise the limit of open files: %s", error.strerror)
        self.worker_connections = self.nr_conns
        self._room_again = time.monotonic() + _FULL_FOR

    def enqueue_req(self, conn: Any) -> None:
        """Answer what a connection asks for: at once, by a thread, or as soon as it asks for something."""
        seen = _peek(conn)
        if seen is None:
            self._await(conn)
        elif (head := self._read(seen)) is not None and len(seen) < head.size <= MOST:
            self._await_rest(conn, head.size)
        elif self._probe.match(seen):
            answered = self._probers.submit(self.attend, conn)
            answered.add_done_callback(lambda done: self.method_queue.defer(self._probed, conn, done))
        else:
            self._take(conn, seen, head)

    def _read(self, seen: bytes) -> Head | None:
        return None if self._at_once is None else whole.read(seen, self._at_once.paths)

    def _take(self, conn: Any, seen: bytes, head: Head | None) -> None:
        if self._at_once is None or head is None or head.size > len(seen):
            super().enqueue_req(conn)
            return
        environ = {**head.environ_with(seen), "REMOTE_ADDR": conn.client[0] if conn.client else ""}
        self._guarded(self._begin, _Call(conn=conn, last=head.last, environ=environ), self._at_once, head.size)

    def _probed(self, conn: Any, answered: "Future[Any]") -> None:
        """Go on with a connection after a probe; one that ends waits for its peer in another thread."""
        if answered.exception() is None and answered.result():
            self.finish_request(conn, answered)
        else:
            self._part(conn)

    def _await(self, conn: Any) -> None:
        """Have a new connection wait for its first bytes with the others, and not in a thread."""
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.app.patience.head.seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _await_rest(self, conn: Any, size: int) -> None:
        """Have the kernel wait until `size` bytes are there (socket(7), SO_RCVLOWAT)."""
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

    def _begin(self, call: _Call, app: AtOnce, size: int) -> None:
        conn = call.conn
        self.take_over(conn)
        conn.init()
        conn.sock.setblocking(False)  # this thread waits for nobody
        socket.socket.recv(conn.sock, size)
        pending = call.context.run(app.begin, call.environ)
        pending.written.add_done_callback(lambda _: self._is_ready(call, pending))

    def _is_ready(self, call: _Call, pending: Pending) -> None:
        """Have a call answered by the main thread, which is woken once for all that are ready together."""
        with self._lock:
            self._ready.append((call, pending))
            first = len(self._ready) == 1
        if first:
            self.method_queue.defer(self._answer_all)

    def _answer_all(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, []
        for call, pending in ready:
            self._guarded(self._answer, call, pending)

    def _answer(self, call: _Call, pending: Pending) -> None:
        reply = call.context.run(pending.word)
        last = call.last or not self.alive or len(self.keepalived_conns) >= self.max_keepalived
        data = whole.answer(reply, last)
        try:
            if socket.socket.send(call.conn.sock, data) < len(data):
                raise BrokenPipeError(errno.EPIPE, "the peer does not read its answers")
        finally:
            call.end(reply.status_code)
        if last:
            self._part(call.conn)
        else:
            self.finish_request(call.conn, _KEPT)

    def _guarded(self, do: Callable[..., None], call: _Call, *args: Any) -> None:
        """Handle a request in the main thread, which all requests need: no exception leaves here."""
        try:
            do(call, *args)
        except Exception as error:  # noqa: BLE001  # said in the log and to the caller
            if not isinstance(error, OSError) or error.errno not in _GONE:
                self._fail(call)
                error.with_traceback(None)  # it may be that of all who waited together: it grows with each
            self._part(call.conn)

    def _fail(self, call: _Call) -> None:
        """Answer with an internal error."""
        call.context.run(self.log.exception, "Error handling request %s", call.environ["PATH_INFO"])
        with suppress(OSError):
            call.context.run(_write_problem, call.conn.sock, 500, "Internal Server Error", "")
        call.end(500)

    def _part(self, conn: Any) -> None:
        """Close a connection, by a thread: it waits until the peer has read its answer."""
        parted = self.tpool.submit(lambda: conn.sock.part(self.app.patience))
        parted.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))


def _probe(roots: Sequence[str]) -> re.Pattern[bytes]:
    """Return how probes begin, with and without the paths under which we are served."""
    return re.compile(_PROBE.format(roots="|".join(("", *map(re.escape, roots)))).encode("ascii"))


def _write_problem(sock: Any, status: int, reason: str, words: str) -> None:
    """Answer with a problem (RFC 9457), as the application does; gunicorn has a page. Its parameters are those."""
    request_id = str(journal.bound("request_id") or "")
    problem = {
        "type": f"{access.PROBLEM}{reason.lower().replace(' ', '-')}",
        "title": reason,
        "status": status,
        "detail": ended(words or "Pilotage made a mistake; report it with the log lines of this request"),
        "instance": "",
        "errors": [],
        "request_id": request_id,
    }
    body = json.dumps(problem)
    head = (
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
    )
    util.write_nonblock(sock, "\r\n".join([*head, "", body]).encode("latin-1"))


def _peek(conn: Any) -> bytes | None:
    """Peek at the bytes of a connection; None: none yet; b"": none that this worker may look at."""
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
