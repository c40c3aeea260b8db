"""The HTTP server: gunicorn with threads, or for the webhooks alone with one event loop; configured nowhere else."""

import gc
import logging
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from orchestrator import access, tracing
from orchestrator.web.streams import STREAMS

THREADS = 128
"""Threads of one process: half of them may hold log streams and the rest still answers (measured)."""


SWITCH = 0.0005
"""Seconds after which a thread that computes lets another one go on. With an event loop the other one is what writes:
it gives way at each call to the disk, and would wait ten times as long to go on."""
_THREADED = {"worker_class": "gthread", "threads": THREADS}
_LOOP = {
    "worker_class": "asgi",
    "asgi_loop": "asyncio",
    "asgi_lifespan": "off",
    "graceful_timeout": 5,  # it waits for idle connections too
}


class Httpd(BaseApplication):  # type: ignore[misc]
    """Serves one application until it is told to end.

    :param make: makes the application inside the worker process: connections do not survive a fork.
    :param asgi: whether it is an ASGI application, which writes its own line for each request, or a WSGI one.
    """

    def __init__(self, make: Any, bind: str, *, asgi: bool = False) -> None:
        self._make = make
        self._asgi = asgi
        self._options = {
            "bind": bind,
            "workers": 1,
            "keepalive": 30,
            "timeout": 120,
            "graceful_timeout": 20,
            # The control socket lives in the home folder by default: two instances would collide.
            "control_socket_disable": True,
            "logger_class": Lines,
            "worker_exit": lambda _server, _worker: tracing.stop(),
            "proc_name": "pilotage",
            "limit_request_line": 8190,
            **(_LOOP if asgi else _THREADED),
            "worker_tmp_dir": "/dev/shm" if _has_shm() else None,  # noqa: S108  # gunicorn's heartbeat file
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand our options to gunicorn; nothing is read from files or the environment."""
        for name, value in self._options.items():
            if name in self.cfg.settings and value is not None:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application, in the process that serves it."""
        tracing.start()
        if self._asgi:
            sys.setswitchinterval(SWITCH)
        made = self._make()
        gc.collect()
        gc.freeze()  # it stays as long as the process: no collection needs to look at it
        streams = getattr(made, "extensions", {}).get(STREAMS)
        if streams is not None:
            _before_stop(streams.close)
        return made


class Lines(Logger):  # type: ignore[misc]
    """Gunicorn's log: its own words go the way of our log, and each request is one line there."""

    def setup(self, cfg: Any) -> None:
        """Leave levels and handlers to the journal."""
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write a request's line; it has been answered, or its client went away."""
        access.end(environ, resp.status_code, round(request_time.total_seconds() * 1000))

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Say what broke, without the query of the address that gunicorn shows."""
        super().exception(msg, *(str(one).partition("?")[0] for one in args), **kwargs)


def _before_stop(do: Callable[[], None]) -> None:
    """Call `do` when gunicorn tells this worker to stop: followed logs would keep it until the grace is over."""
    handler = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: Any) -> None:
        do()
        if callable(handler):
            handler(number, frame)

    signal.signal(signal.SIGTERM, stop)


def _has_shm() -> bool:
    from pathlib import Path

    return Path("/dev/shm").is_dir()  # noqa: S108
