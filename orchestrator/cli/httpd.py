"""The HTTP server: gunicorn with threads, configured here and nowhere else."""

import faulthandler
import gc
import logging
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
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

LEAVE = 5.0
"""Seconds that requests get which are still at work after the grace."""
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
            "limit_request_line": 8190,
            # By default a header SCRIPT_NAME from this machine, as of a proxy that passes headers on, moves the path
            # past the rules of that proxy. X-Forwarded-Proto is another setting.
            "forwarder_headers": "",
            "worker_tmp_dir": "/dev/shm" if _has_shm() else None,  # noqa: S108  # gunicorn's heartbeat file
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand our options to gunicorn; nothing is read from files or the environment."""
        os.environ.pop("SCRIPT_NAME", None)  # gunicorn would take it off every path and answer no other
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

    def run(self) -> None:
        """Serve in this process until SIGTERM or SIGINT; whoever started us starts us again where we end otherwise.

        Gunicorn's parent process would take 9 MB. What it does beside that is to end a worker that hangs, or that
        requests keep after the grace: a thread outside the interpreter does it here (`faulthandler`).
        """
        log = self.cfg.logger_class(self.cfg)
        worker = _Alone(1, os.getppid(), create_sockets(self.cfg, log), self, self.cfg.timeout, self.cfg, log)
        worker.pid = os.getpid()
        try:
            worker.notify()  # to make the application has its time, too
            worker.init_process()
        finally:
            worker.tmp.close()
            tracing.stop()
            journal.flush()
            # the interpreter waits for all threads of requests, for as long as their peers are slow
            _end_after(LEAVE)


class _Alone(WebWorker):
    """A worker that no process watches."""

    _again = 0.0

    def notify(self) -> None:
        """Show life: without the next one in time this process says where it hangs and ends.

        Not by a signal: as the first process of a container the kernel would keep it from what ends others.
        """
        now = time.monotonic()
        if now >= self._again:
            self._again = now + 1.0  # each one takes a new thread
            _end_after(self.timeout)

    def is_parent_alive(self) -> bool:
        """Go on without whoever started us, as after ``nohup``; `pilotage up` has the kernel end its processes."""
        return True

    def init_signals(self) -> None:
        """Listen to what ends us."""
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        super().init_signals()
        # Ctrl-C reaches the whole group: where somebody tells us to stop, it is ignored.
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else self.handle_exit)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


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


def _end_after(seconds: float) -> None:
    """Have this process say where it is and end, unless this is called anew by then."""
    with suppress(RuntimeError):  # no more threads are to be had; the next call tries again
        faulthandler.dump_traceback_later(seconds, exit=True)


def _have_files() -> None:
    """Raise the limit of open files: the usual one, 1,024, is less than connections and all else can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _before_stop(do: Callable[[], None]) -> None:
    """Call `do` when this process is told to stop: followed logs would keep it until the grace is over."""
    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, partial(_do_first, do, handler))


def _do_first(do: Callable[[], None], handler: Callable[[int, Any], Any], number: int, frame: Any) -> None:
    do()
    handler(number, frame)


def _has_shm() -> bool:
    from pathlib import Path

    return Path("/dev/shm").is_dir()  # noqa: S108
