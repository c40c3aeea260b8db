"""The HTTP server: gunicorn with threads, configured here and nowhere else."""

import signal
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from orchestrator.cli.assembly import Wsgi
from orchestrator.web.streams import STREAMS

THREADS = 128
"""Threads of one process: half of them may hold log streams and the rest still answers (measured)."""


class Httpd(BaseApplication):  # type: ignore[misc]
    """Serves one WSGI application until it is told to end.

    :param make: makes the application inside the worker process: connections do not survive a fork.
    """

    def __init__(self, make: Any, bind: str, workers: int = 1) -> None:
        self._make = make
        self._options = {
            "bind": bind,
            "workers": workers,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": 30,
            "timeout": 120,
            "graceful_timeout": 20,
            # The control socket lives in the home folder by default: two instances would collide.
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "pilotage",
            "limit_request_line": 8190,
            "worker_tmp_dir": "/dev/shm" if _has_shm() else None,  # noqa: S108  # gunicorn's heartbeat file
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand our options to gunicorn; nothing is read from files or the environment."""
        for name, value in self._options.items():
            if name in self.cfg.settings and value is not None:
                self.cfg.set(name, value)

    def load(self) -> Wsgi:
        """Make the application."""
        made: Wsgi = self._make()
        streams = getattr(made, "extensions", {}).get(STREAMS)
        if streams is not None:
            _before_stop(streams.close)
        return made


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
