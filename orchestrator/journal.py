"""Our own log: one JSON object per line on standard output; constant event texts, flat fields, no secrets.

The fields are those of `orchestrator.log_fields`. Whatever a library logs, warns of or raises comes out in the same
form; a traceback is one text in one line.
"""

import io
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import structlog

from orchestrator.log_fields import FIELDS, LIBRARY_EVENT, fit

OURS = ("orchestrator", "workers", "webhooks")
"""The packages to which the configured level applies; libraries never say less than a warning."""


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
            structlog.stdlib.add_log_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    _take_over_root(level.upper())
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


def _take_over_root(level: str) -> None:
    handler = _Handler(_raw(sys.stdout))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, _library],
            processors=[structlog.processors.TimeStamper(fmt="iso", key="ts"), _add_common, _add_error, _line],
        )
    )
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
    """Writes lines. One that cannot be written must not harm what it tells of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            rest = f"{self.format(record)}\n".encode()
            while rest:
                rest = rest[self.stream.write(rest) :]
        except OSError:
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        """Word a line, also when its own words and arguments do not go together."""
        try:
            return super().format(record)
        except (TypeError, ValueError):
            record.msg, record.args = f"{record.msg} {record.args}", None
            return super().format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the library's name
        """Say nothing: a traceback on standard error would be no line of ours."""


def _library(_logger: Any, _name: str, event: Any) -> Any:
    """Put a library's words, which are never constant, where free words belong."""
    return {**event, "event": LIBRARY_EVENT, "detail": event["event"]}


def _add_common(_logger: Any, _name: str, event: Any) -> Any:
    return {**event, "service": _process.service, "logger": event["_record"].name}


def _add_error(_logger: Any, _name: str, event: Any) -> Any:
    error = _error_of(event.pop("exc_info", None))
    return event if error is None else {**event, **describe(error)}


def _error_of(given: Any) -> BaseException | None:
    """Find the exception in what logging takes for one: itself, a triple, or that it is being handled."""
    if isinstance(given, BaseException):
        return given
    triple = given if isinstance(given, tuple) else sys.exc_info() if given else ()
    return next((one for one in triple if isinstance(one, BaseException)), None)


def describe(error: BaseException) -> dict[str, str]:
    """Return an exception as fields; the traceback shows lines of code, never values of variables."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    stack = "".join(traceback.format_exception(error))
    return {"err_type": name, "err_msg": str(error), "err_stack": stack}


def _line(_logger: Any, _name: str, event: Mapping[str, Any]) -> str:
    """Word the line: known fields only, each of its type, without secrets."""
    mask = _process.mask
    values = {name: event[name] for name in FIELDS if event.get(name) is not None}
    masked = {name: mask(value) if isinstance(value, str) else value for name, value in values.items()}
    return json.dumps({name: fit(name, value) for name, value in masked.items()}, ensure_ascii=False)


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
