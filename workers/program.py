"""Celery's worker program, with what it lacks: signs of life without a broker, a quiet stop, our log."""

import mmap
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from celery import Celery, bootsteps, signals
from celery.apps import worker as celery_worker
from celery.utils.log import get_multiprocessing_logger
from celery.worker import consumer, state
from kombu.utils.functional import retry_over_time

from orchestrator import journal

log = journal.get(__name__)

RETRY = {"interval_start": 1, "interval_step": 1, "interval_max": 5}
"""Seconds between two attempts to reach the broker; Celery's own pauses grow to half a minute."""


EVERY = 2.0
"""Seconds between two signs of life."""


class Pulse(bootsteps.StartStopStep):  # type: ignore[misc]
    """Shows signs of life from the event loop.

    Celery's own heartbeat publishes an event with each; if the broker is away just then, that waits for it, and the
    loop with it (measured).
    """

    def start(self, parent: Any) -> None:
        """Begin; called when the loop begins, and again after a lost connection."""
        _live()
        self._timer = parent.timer.call_repeatedly(EVERY, _live)

    def stop(self, parent: Any) -> None:
        """End, with the loop."""
        self._timer.cancel()


def _live() -> None:
    signals.heartbeat_sent.send(sender=None)


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's consumer, which goes on showing signs of life while it waits for its broker to come back.

    A broker that answers, but refuses what a consumer has to write (a replica, a full disk), is waited for too.
    """

    def connect(self) -> Any:
        """Connect to a broker that lets itself be written to."""
        retry: Any = retry_over_time  # it has no types
        return retry(self._connect, self.channel_errors, errback=_refused, callback=self._turn, **RETRY)

    def _connect(self) -> Any:
        conn = self.connection_for_read(heartbeat=self.amqheartbeat)
        try:
            if self.hub:  # this writes: it looks for messages that nobody has acknowledged
                conn.transport.register_with_event_loop(conn.connection, self.hub)
        except self.channel_errors:
            conn.collect()
            raise
        return conn

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Give the connection up; one that was refused something is not made again at once, over and over."""
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, self.channel_errors):
            self._turn()
            time.sleep(RETRY["interval_start"])

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long that takes; the event loop, and the pulse in it, does not run now."""
        conn.ensure_connection(_told, None, callback=self._turn, **RETRY)
        self.first_connection_attempt = False
        return conn

    def _turn(self) -> None:
        """Be called each second: the worker waits, it does not hang; and it may be told to stop meanwhile."""
        _live()
        state.maybe_shutdown()


def _told(error: Exception, _pause: float) -> None:
    log.warning("broker not reached", detail=str(error))


def _refused(error: Exception, pauses: Iterator[float], _tries: int) -> float:
    pause = next(pauses)
    _told(error, pause)
    return pause


class Program(celery_worker.Worker):  # type: ignore[misc]
    """Celery's program, which says in our log and not on standard output that it stops."""

    def install_platform_tweaks(self, worker: Any) -> None:
        """Install the handlers of signals; who ignores SIGHUP goes on to: Celery would run our command once more."""
        hangup = signal.getsignal(signal.SIGHUP)
        super().install_platform_tweaks(worker)
        if hangup is signal.SIG_IGN:
            signal.signal(signal.SIGHUP, hangup)
        # Celery's own handler writes a plain line to standard output; the rest of it stays.
        celery_worker._shutdown_handler(worker, sig="SIGTERM", how="Warm", verbose=False)

    def on_close(self) -> None:
        """Say that no more work is taken; called when the main loop has ended, not in the signal's handler."""
        log.info("worker stopping")
        super().on_close()


class Stopping:
    """Whether this worker was told to stop; known to the processes of its pool too, without a lock or a message."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)  # anonymous and shared: a signal handler may write to it

    def __call__(self) -> bool:
        """Tell whether it was."""
        return self._shared[0] != 0

    def set(self) -> None:
        """It is, from now on."""
        self._shared[0] = 1


def leave_logging_alone() -> None:
    """Keep Celery from setting up logging: our handlers are there, and levels are ours."""
    signals.setup_logging.connect(_take_pool_log, weak=False)


def _take_pool_log(**_: Any) -> None:
    """Have the pool's own words come our way; without a handler it prints tracebacks."""
    get_multiprocessing_logger().propagate = True


def run(celery: Celery, queues: Sequence[str], concurrency: int, pool: str = "prefork") -> None:
    """Be a worker until SIGTERM: finish what is at hand, then return.

    :param pool: ``prefork`` (a process for each run at work) or ``threads`` (all in this process, a third of the
        memory). Nothing relies on Celery to stop a task: stages stop at their checkpoints, and every foreign call has
        a deadline of its own.
    """
    leave_logging_alone()
    celery.steps["consumer"].add(Pulse)
    Program(
        app=celery,
        pool=pool,
        concurrency=concurrency,
        queues=list(queues),
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        hostname=f"{'-'.join(queues)}@%h",
        redirect_stdouts=False,
        quiet=True,
    ).start()


def on_stop(callback: Callable[[], None]) -> None:
    """Have `callback()` called when the worker is told to stop; it runs in a signal handler."""
    signals.worker_shutting_down.connect(lambda **_: callback(), weak=False)
