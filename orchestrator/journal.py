"""Our own log: one JSON object per line on standard output; constant event texts, flat fields, no secrets.

The fields are those of `orchestrator.log_fields`. Whatever a library logs, warns of or raises comes out in the same
form; a traceback is one text in one line.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any

import orjson

from orchestrator.domain.ansi import inert
from orchestrator.lean import without
from orchestrator.log_fields import FIELDS, LIBRARY_EVENT, fit
from orchestrator.log_writer import Writer

with without("rich"):  # it colours a terminal: 7 MB and a tenth of a second in each process, for lines that are JSON
    import structlog

_HEAD = frozenset({"ts", "level", "service", "logger", "event"})
"""Fields of every line, whose values are never anybody else's words."""
_BEHIND = tuple(name for name in FIELDS if name not in _HEAD)
_LEVELS = {name: logging.getLevelName(name.upper()) for name in ("debug", "info", "warning", "error", "critical")}
_bound: ContextVar[Mapping[str, Any]] = ContextVar("pilotage.bound", default=MappingProxyType({}))
"""What the lines of this thread, or of this request, carry."""


@dataclass(slots=True)
class _Process:
    """What this process's lines have in common; a process may be renamed after a fork."""

    service: str = "pilotage"
    mask: Callable[[str], str] = str
    least: int = logging.INFO
    writer: Writer | None = None


_process = _Process()


def configure(service: str, mask: Callable[[str], str] = str, level: str = "info") -> None:
    """Set up logging for this process: ours and the libraries' go the same way.

    Libraries never say less than a warning: at ``debug`` they show addresses, and some addresses are secrets.

    :param service: name of the process kind, on every line. :param mask: takes secrets out of texts.
    :param level: ``debug``, ``info``, ``warning`` or ``error``: the least that is said.
    """
    _process.service, _process.mask, _process.least = service, mask, _LEVELS[level]
    _process.writer = Writer(sys.stdout)
    structlog.configure(
        processors=[_loud_enough, with_bound, _word],
        logger_factory=_Voice,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(max(logging.WARNING, _process.least))
    logging.captureWarnings(True)
    sys.excepthook = _on_uncaught
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread_end


def service() -> str:
    """Return the name of this process's kind."""
    return _process.service


def get(name: str) -> Any:
    """Return the logger of a module; call it as ``log.info("run claimed", run=1)``."""
    return structlog.get_logger(name)


@contextmanager
def about(**ids: Any) -> Iterator[None]:
    """Have every line of this thread inside the block carry these fields."""
    before = _bound.set({**_bound.get(), **ids})
    try:
        yield
    finally:
        _bound.reset(before)


def bind_only(**ids: Any) -> None:
    """Have the lines of this thread carry these fields from now on, and none that it had before."""
    _bound.set(ids)


def bind(**ids: Any) -> None:
    """Have the lines of this thread carry these fields as well from now on."""
    _bound.set({**_bound.get(), **ids})


def bound(name: str) -> Any:
    """Return what the lines of this thread carry under a name, or None."""
    return _bound.get().get(name)


def with_bound(_voice: Any, _level: str, event: Any) -> Any:
    """Add what the lines of this thread carry; a step of structlog's."""
    return {**_bound.get(), **event}


def flush() -> None:
    """Write what other threads were to write, before the process ends."""
    if _process.writer is not None:
        _process.writer.flush()


def _write(line: bytes) -> None:
    if _process.writer is not None:
        _process.writer.write(line)


class _Voice:
    """What structlog hands a line of ours to. ``name``: the module's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def msg(self, line: bytes) -> None:
        """Write a line."""
        _write(line)

    debug = info = warning = error = critical = msg


class _Libraries(logging.Handler):
    """Takes what libraries say; their words, which are never constant, come where free words belong."""

    def createLock(self) -> None:  # noqa: N802  # the library's name
        """Have no lock of the library: lines are written without any."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Write what the filters let through; the library's own way needs a lock from Python 3.13 on."""
        found = self.filter(record)
        if found:
            self.emit(found if isinstance(found, logging.LogRecord) else record)
        return bool(found)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            detail = record.getMessage()
        except (TypeError, ValueError):  # its words and its arguments do not go together
            detail = f"{record.msg} {record.args}"
        error = record.exc_info[1] if record.exc_info else None
        event = with_bound(None, "", {"event": LIBRARY_EVENT, "detail": detail})
        _write(_line(event, record.name, record.levelname.lower(), error))

    def flush(self) -> None:
        """Write what is left, at the end of the process (`logging.shutdown`)."""
        flush()


def _loud_enough(_voice: _Voice, level: str, event: Any) -> Any:
    if _LEVELS[level] < _process.least:
        raise structlog.DropEvent
    return event


def _word(voice: _Voice, level: str, event: Any) -> bytes:
    error = event.pop("exc_info", None)
    return _line(event, voice.name, level, sys.exc_info()[1] if error is True else error)


def describe(error: BaseException) -> dict[str, str]:
    """Return an exception as fields; the traceback shows lines of code, never values of variables."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    stack = "".join(traceback.format_exception(error))
    return {"err_type": name, "err_msg": str(error), "err_stack": stack}


def _line(event: Mapping[str, Any], logger: str, level: str, error: BaseException | None) -> bytes:
    """Format a line: known fields only, each of its type, without secrets."""
    head = {"ts": _now(), "level": level, "service": _process.service, "logger": logger, "event": event["event"]}
    more = {**event, **describe(error)} if error else event
    fields = {name: _plain(name, more[name]) for name in _BEHIND if more.get(name) is not None}
    line = orjson.dumps({**head, **{name: fit(name, value) for name, value in _masked(fields).items()}})
    return line if line.isascii() else inert(line.decode()).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _plain(name: str, value: Any) -> Any:
    return value if isinstance(value, int) and FIELDS[name].kind == "long" else str(value)


def _masked(fields: dict[str, Any]) -> dict[str, Any]:
    """Take secrets out of texts; most lines have none, which one look at all of them shows.

    Where there are control characters, those of one text could hide from that look what another one shows.
    """
    whole = " ".join([value for value in fields.values() if isinstance(value, str)])
    if whole.isprintable() and _process.mask(whole) == whole:
        return fields
    return {name: _process.mask(value) if isinstance(value, str) else value for name, value in fields.items()}


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
