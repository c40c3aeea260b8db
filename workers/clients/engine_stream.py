"""Reads a long answer of the Docker engine in a thread of its own, so that the worker can check every second."""

import math
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from tarfile import TarError
from typing import Any, Protocol

from orchestrator.domain.errors import PilotageError
from workers.shapes import read_json

LOOK_UP = 1.0
"""Seconds between two calls of the checkpoint."""
MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes of one message of the engine; a BuildKit trace in base64 can have 22 MB."""
_BACKLOG = 1000
"""Messages that are read ahead before the engine has to wait."""
_GOODBYE = 5.0
"""Seconds that an abandoned exchange gets to end."""


class EngineResponse(Protocol):
    """The part of an HTTP response that is used here."""

    status_code: int
    raw: Any

    def json(self) -> Any:
        """Return the body, read as JSON; ValueError when it is not."""

    def iter_content(self, chunk_size: int | None) -> Iterator[bytes]:
        """Yield the body as it arrives."""

    def close(self) -> None:
        """Give the connection up."""


class BrokenStream(Exception):
    """The engine's answer cannot be read to its end: one sentence why."""


class DeadlinePassed(Exception):
    """The exchange took longer than it may."""


class NotBegun(Exception):
    """The engine has had the whole request for a while, and its answer has not begun."""


class Exchange:
    """One request with a streamed answer.

    The thread sends the request (its body may be long as well) and reads the answer; `messages` hands the messages
    over in the caller's own thread, because checkpoints use connections that belong to it. Leaving the ``with``
    block ends the exchange at once: the socket is shut down, which makes the engine stop what it does for us.

    :param send: makes the request and returns the answer, unread; it runs in the thread and raises only our own
        errors. It gets the guard to wrap a request body with.
    """

    def __init__(self, send: Callable[["StoppableBody"], EngineResponse]) -> None:
        self._send = send
        self._queue: queue.Queue[dict[str, Any] | BaseException | None] = queue.Queue(_BACKLOG)
        self._stop = threading.Event()
        self._body = StoppableBody(self._stop)
        self._answer: EngineResponse | None = None
        self._thread = threading.Thread(target=self._read, name="engine-stream", daemon=True)

    def __enter__(self) -> "Exchange":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        answer = self._answer
        if answer is not None and self._thread.is_alive():
            _shut(answer)
        self._thread.join(_GOODBYE)

    def messages(
        self, checkpoint: Callable[[], None], deadline: float, begins: float = math.inf
    ) -> Iterator[dict[str, Any]]:
        """Yield the messages as they come.

        :param checkpoint: called about every second, also while the engine is silent; what it raises is passed on.
        :param deadline: `time.monotonic` value.
        :param begins: seconds in which the answer begins, once the engine has the request's whole body.
        :raises DeadlinePassed: the deadline is over. :raises NotBegun: `begins` is over.
        :raises BrokenStream: the engine went away or talks nonsense.
        :raises PilotageError: what `send` or the checkpoint raised.
        """
        looked = time.monotonic() - LOOK_UP
        while True:
            now = time.monotonic()
            if now - looked >= LOOK_UP:
                looked = now
                checkpoint()
            if now > deadline:
                raise DeadlinePassed
            if self._answer is None and now - self._body.sent > begins:
                raise NotBegun
            try:
                item = self._queue.get(timeout=min(LOOK_UP, max(0.01, deadline - now)))
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _read(self) -> None:
        try:
            self._answer = self._send(self._body)
            if self._stop.is_set():
                return
            for message in _decode(self._answer.iter_content(None)):
                self._put(message)
        except (PilotageError, BrokenStream) as error:
            self._put(error)
        except (OSError, ValueError, TarError) as error:
            self._put(BrokenStream(str(error)))
        finally:
            if self._answer is not None:
                self._answer.close()
            self._put(None)

    def _put(self, item: dict[str, Any] | BaseException | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=LOOK_UP)
            except queue.Full:
                continue
            return


class StoppableBody:
    """A request body that ends with an error once the exchange is abandoned.

    ``sent``: when all of it was on its way, by the monotonic clock; before, the end of time.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.sent = math.inf

    def __call__(self, body: Iterator[bytes]) -> Iterator[bytes]:
        """Yield `body`; the error ends the connection, so that the engine takes no part of it for the whole."""
        for part in body:
            if self._stop.is_set():
                raise ConnectionAbortedError("stopped")  # after a BrokenPipeError urllib3 would wait for the answer
            if part:  # an empty part would end a chunked body
                yield part
        self.sent = time.monotonic()


def _shut(answer: EngineResponse) -> None:
    """Wake the thread that blocks on the socket; the thread itself then closes it."""
    try:
        answer.raw.shutdown()
    except (OSError, ValueError, RuntimeError):  # already closed, or read to its end
        return


def _decode(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Split the JSON lines of the engine.

    :raises BrokenStream: a line is too long. :raises ValueError: a line is not JSON.
    """
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        *lines, last = chunk.split(b"\n")
        if lines:
            yield from _objects([b"".join([*rest, lines[0]]), *lines[1:]])
            rest, size = [], 0
        rest.append(last)
        size += len(last)
        if size > MAX_MESSAGE:
            raise BrokenStream(f"message larger than {MAX_MESSAGE} bytes")
    yield from _objects([b"".join(rest)])


def _objects(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        message = read_json(line) if line.strip() else None
        if isinstance(message, dict):
            yield message


def knock(host: str, timeout: float) -> None:
    """Find out whether somebody listens on a Unix socket; the SDK would leave its own socket open on failure.

    :raises OSError: nobody does.
    """
    path = host.removeprefix("unix://") if host else "/var/run/docker.sock"
    if path.startswith("/"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(timeout)
            probe.connect(path)
