"""The HTTP server: gunicorn with threads, configured here and nowhere else."""

import gc
import logging
import os
import resource
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.sock import create_sockets

from orchestrator import access, journal, tracing
from orchestrator.cli import heaps
from orchestrator.cli.assembly import Wsgi
from orchestrator.cli.patience import Patience
from orchestrator.cli.serving import WebWorker
from orchestrator.web.streams import STREAMS

THREADS = 128
"""Threads of one process: half of them may hold log streams and the rest still answers (measured)."""


FILES = 8192
"""Files that one process may have open where that is allowed: connections, at most 1,000, and what we ask others."""


class Httpd(BaseApplication):  # type: ignore[misc]
    """Serves one WSGI application until it is told to end.

    :param make: makes the application inside the worker process: connections do not survive a fork.
    :param patience: how long a peer may keep a thread waiting.
    """

    def __init__(self, make: Any, bind: str, patience: Patience | None = None) -> None:
        self._make = make
        self.patience = patience or Patience()
        self._options = {
            "bind": bind,
            "workers": 1,
            "worker_class": WebWorker,
            "sendfile": False,  # the kernel would wait for the peer without a bound
            "threads": THREADS,
            "keepalive": 30,
            "timeout": 120,
            "graceful_timeout": 20,
            # The control socket lives in the home folder by default: two instances would collide.
            "control_socket_disable": True,
            "logger_class": GunicornLog,
            "when_ready": _ignore_hangups,
            "post_worker_init": _ignore_hangups,
            "worker_exit": _on_exit,
            "proc_name": "pilotage",
            "limit_request_line": 8190,
            # By default a header SCRIPT_NAME from this machine, as of a proxy that passes headers on, moves the path
            # past the rules of that proxy. X-Forwarded-Proto is another setting.
            "forwarder_headers": "",
            "worker_tmp_dir": "/dev/shm" if _has_shm() else None,  # noqa: S108  # gunicorn's heartbeat file
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand our options to gunicorn; nothing is read from files or the environment."""
        for name, value in self._options.items():
            if name in self.cfg.settings and value is not None:
                self.cfg.set(name, value)

    def load(self) -> Wsgi:
        """Make the application, in the process that serves it."""
        tracing.start()
        heaps.share_heaps()
        heaps.give_back_large_blocks()
        _have_files()
        made: Wsgi = self._make()
        gc.collect()
        gc.freeze()  # it stays as long as the process: no collection needs to look at it
        streams = getattr(made, "extensions", {}).get(STREAMS)
        if streams is not None:
            _before_stop(streams.close)
        return made

    def serve(self) -> None:
        """Serve in this process until SIGTERM, without a parent of gunicorn's: somebody else starts us again.

        That parent takes 9 MB of its own. What it does beside starting a worker again is to end one that hangs; the
        kernel does that here.
        """
        log = self.cfg.logger_class(self.cfg)
        worker = _Alone(1, os.getppid(), create_sockets(self.cfg, log), self, self.cfg.timeout, self.cfg, log)
        worker.pid = os.getpid()
        try:
            worker.init_process()
        finally:
            signal.alarm(0)
            worker.tmp.close()
            _on_exit(None, worker)


class _Alone(WebWorker):
    """A worker that nobody watches."""

    def notify(self) -> None:
        """Show life: without the next one in time the kernel ends this process (alarm(2))."""
        signal.alarm(self.timeout)

    def init_signals(self) -> None:
        """Listen to SIGTERM alone: Ctrl-C reaches the whole group, and whoever started us tells us to stop."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class GunicornLog(Logger):  # type: ignore[misc]
    """Sends gunicorn's log through ours, with one line for each request."""

    def setup(self, cfg: Any) -> None:
        """Leave levels and handlers to the journal."""
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write a request's line; it has been answered, or its client went away."""
        status = getattr(resp, "status_code", None)  # gunicorn's own answers to what went wrong have words alone
        code = int(str(resp.status).split()[0]) if status is None else status
        access.end(environ, code, round(request_time.total_seconds() * 1000))

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an exception, without the query of the address that gunicorn shows."""
        super().exception(msg, *(str(one).partition("?")[0] for one in args), **kwargs)


def _have_files() -> None:
    """Raise the limit of open files: the usual one, 1,024, is less than connections and all else can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _ignore_hangups(_process: Any) -> None:
    """Ignore SIGHUP: gunicorn would start its worker again, with the configuration that we have read already."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _on_exit(_server: Any, _worker: Any) -> None:
    """End the background work of this process."""
    tracing.stop()
    journal.flush()


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
