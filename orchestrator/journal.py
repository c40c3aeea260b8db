"""Our own log: one JSON object per line on standard output; constant event texts, flat fields, no secrets.

The fields are those of `orchestrator.log_fields`. Whatever a library logs, warns of or raises comes out in the same
form; a traceback is one text in one line.
"""

import io
import json
import logging
import os
import select
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from orchestrator.lean import without
from orchestrator.log_fields import FIELDS, LIBRARY_EVENT, fit

with without("rich"):  # it colours a terminal: 7 MB and a tenth of a second in each process, for lines that are JSON
    import structlog

OURS = ("orchestrator", "workers", "webhooks")
"""The packages to which the configured level applies; libraries never say less than a warning."""


_OURS_ALONE = frozenset({"ts", "level", "service", "logger", "event"})
"""Fields whose values are never anybody else's words."""
_PLACE = {name: place for place, name in enumerate(FIELDS)}
_encode = json.JSONEncoder(ensure_ascii=False).encode


_hurried = threading.local()
_LAST_WORDS = 1.0
"""Seconds that the end of a process waits for a thread that is writing lines."""


@dataclass(slots=True)
class _Process:
    """What this process's lines have in common; a process may be renamed after a fork."""

    service: str = "pilotage"
    mask: Callable[[str], str] = str


_process = _Process()


def configure(service: str, mask: Callable[[str], str] = str, level: str = "info") -> None:
    """Set up logging for this process: ours and the libraries' go the same way.

    At ``debug`` the libraries stay as quiet as ever: they show addresses, and some addresses are secrets.

    :param service: name of the process kind, on every line. :param mask: takes secrets out of texts.
    :param level: ``debug``, ``info``, ``warning`` or ``error``: the least that is said.
    """
    _process.service, _process.mask = service, mask
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _hand_on,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    _take_over_root(level.upper())
    # What no line of ours has need not be found out: a third of what a line costs (Python's "Logging HOWTO" on this).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)
    sys.excepthook = _on_uncaught
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread_end


def service() -> str:
    """Return the name of this process's kind."""
    return _process.service


def get(name: str) -> Any:
    """Return the logger of a module; call it as ``log.info("run claimed", run=1)``."""
    return structlog.stdlib.get_logger(name)


def about(**ids: Any) -> AbstractContextManager[Any]:
    """Have every line of this thread inside the block carry these fields."""
    return structlog.contextvars.bound_contextvars(**ids)


def bind_only(**ids: Any) -> None:
    """Have the lines of this thread carry these fields from now on, and none that it had before."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**ids)


def bind(**ids: Any) -> None:
    """Have the lines of this thread carry these fields as well from now on."""
    structlog.contextvars.bind_contextvars(**ids)


def bound(name: str) -> Any:
    """Return what the lines of this thread carry under a name, or None."""
    return structlog.contextvars.get_contextvars().get(name)


def never_wait() -> None:
    """Have the lines of this thread written by another one: many wait for this one, and a log may have no reader."""
    _hurried.yes = True


def flush() -> None:
    """Write what other threads were to write, before the process ends."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _take_over_root(level: str) -> None:
    handler = _Handler(_raw(sys.stdout))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _raw(stream: Any) -> io.FileIO:
    """Open what is below a text stream, to write each line with one call: a pool shares its standard output.

    None: the process was started without one.
    """
    return io.FileIO(os.devnull if stream is None else stream.fileno(), "wb", closefd=stream is None)


class _Handler(logging.StreamHandler[Any]):
    """Writes lines. One that cannot be written must not harm what it tells of.

    No thread waits for another one to write: whoever writes also writes what others have to say meanwhile. With
    the library's lock around wording and writing, half of the webhooks' threads stood in line there (measured).
    """

    def __init__(self, stream: io.FileIO) -> None:
        super().__init__(stream)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin with nothing to write; in a child, what was waiting is the parent's to write."""
        self._waiting: deque[bytes] = deque()
        self._writing = threading.Lock()
        self._more = threading.Event()
        self._helper: threading.Thread | None = None

    def createLock(self) -> None:  # noqa: N802  # the library's name
        """Have no lock of the library."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, now or by the thread that is writing, or by a helper where this thread must not wait."""
        self._waiting.append(f"{self.format(record)}\n".encode())
        if getattr(_hurried, "yes", False):
            self._have_written()
        else:
            self._write_waiting()

    def flush(self) -> None:
        """Write what is left, after the thread that is writing; one that finds no reader is not waited for."""
        if self._writing.acquire(timeout=_LAST_WORDS):
            self._writing.release()
        self._write_waiting()

    def _have_written(self) -> None:
        if self._helper is None:
            helper = threading.Thread(target=self._help, name="journal", daemon=True)
            helper.start()
            self._helper = helper
        self._more.set()

    def _help(self) -> None:
        while self._more.wait():
            self._more.clear()
            self._write_waiting()

    def _write_waiting(self) -> None:
        while self._waiting and self._writing.acquire(blocking=False):
            try:
                with suppress(OSError):  # nothing can be said about a log that takes nothing
                    self._write(self._next())
            finally:
                self._writing.release()

    def _next(self) -> bytes:
        """Take whole lines, as many as a pipe takes at once without mixing them with those of another process."""
        taken = self._waiting.popleft() if self._waiting else b""
        while self._waiting and len(taken) + len(self._waiting[0]) <= select.PIPE_BUF:
            taken += self._waiting.popleft()
        return taken

    def _write(self, rest: bytes) -> None:
        while rest:
            rest = rest[self.stream.write(rest) :]

    def format(self, record: logging.LogRecord) -> str:
        """Word a line, ours (its fields are there as a mapping) or a library's."""
        event = record.msg if isinstance(record.msg, dict) else _library(record)
        about_all = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "service": _process.service,
            "logger": record.name,
        }
        error = record.exc_info[1] if record.exc_info else None
        return _line({**event, **about_all, **(describe(error) if error else {})})


def _hand_on(_logger: Any, _name: str, event: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Hand the fields of a line to the standard library, where libraries log too."""
    error = event.pop("exc_info", None)
    return (event,), {"exc_info": error}


def _library(record: logging.LogRecord) -> dict[str, Any]:
    """Put a library's words, which are never constant, where free words belong."""
    try:
        detail = record.getMessage()
    except (TypeError, ValueError):  # its words and its arguments do not go together
        detail = f"{record.msg} {record.args}"
    return {**structlog.contextvars.get_contextvars(), "event": LIBRARY_EVENT, "detail": detail}


def describe(error: BaseException) -> dict[str, str]:
    """Return an exception as fields; the traceback shows lines of code, never values of variables."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    stack = "".join(traceback.format_exception(error))
    return {"err_type": name, "err_msg": str(error), "err_stack": stack}


def _line(event: Mapping[str, Any]) -> str:
    """Word the line: known fields only, each of its type, without secrets."""
    names = sorted(event.keys() & FIELDS.keys(), key=_PLACE.__getitem__)
    return _encode({name: _clean(name, event[name]) for name in names if event[name] is not None})


def _clean(name: str, value: Any) -> Any:
    whole = isinstance(value, int) and FIELDS[name].kind == "long"
    return fit(name, value if whole or name in _OURS_ALONE else _process.mask(str(value)))


_log = get(__name__)


def _on_uncaught(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, at)
        return
    _log.critical("process broke", exc_info=error)


def _on_thread_end(ended: threading.ExceptHookArgs) -> None:
    if not issubclass(ended.exc_type, SystemExit):
        _log.error("thread broke", process=ended.thread.name if ended.thread else "", exc_info=ended.exc_value)


def _on_unraisable(said: Any) -> None:
    _log.error("error in a clean-up", detail=said.err_msg or "", exc_info=said.exc_value)
