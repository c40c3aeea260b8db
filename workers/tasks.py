"""The Celery side of a worker: one task that carries a run's id, and the heartbeat that probes read."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from celery import Celery

from orchestrator import journal, tracing
from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.secrets import secrets_in
from orchestrator.heartbeat import MAX_AGE, Heartbeat, file_of
from orchestrator.services.bell import Bell
from orchestrator.services.execution import Execution
from orchestrator.store import processes
from orchestrator.store.database import Database
from workers.application import make_celery, on_child_end, on_fork, on_heartbeat
from workers.lanes import Lane, Move
from workers.program import Stopping, on_stop
from workers.shell import Shell
from workers.stages.toolbox import Shared

LOOK = "pilotage.look"
"""Name of the only task. Its argument is a run's id; it means "look at this now"."""

log = journal.get(__name__)
MakeDatabase = Callable[[], Database]


class WorkerProcess:
    """What one pool process needs, made after the fork: connections do not survive one.

    :param lanes: the queues that it serves, each with the number of runs that it looks at together.
    """

    def __init__(
        self,
        settings: Settings,
        make_database: MakeDatabase,
        bell_url: str,
        lanes: Mapping[str, int],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stopping = stopping
        self._settings = settings
        self._make_database = make_database
        self._bell_url = bell_url
        self._widths = dict(lanes)
        self._lanes: dict[str, Lane] = {}
        self._making = threading.Lock()

    def forget(self) -> None:
        """Start anew in a forked process."""
        self._lanes = {}

    def look(self, run_id: int, queue: str) -> None:
        """Look at a run whose wake-up came through a queue."""
        with self._making:
            self._lanes = self._lanes or self._make()
        lane = self._lanes.get(queue) or next(iter(self._lanes.values()))
        lane.take(run_id)

    def _look(self, shell: Shell, run_id: int, build_here: Move) -> None:
        """Look; a database that is away is not this task's problem: the relay repeats the wake-up."""
        try:
            shell.look(run_id, build_here)
        except Unavailable as error:
            log.warning("run not looked at", run=run_id, reason=error.reason.value, detail=error.evidence)
        except Exception:  # the shell of a task: Celery's own line would not say which run
            log.exception("look broke", run=run_id)

    def _make(self) -> dict[str, Lane]:
        owner = f"{socket.gethostname()}:{os.getpid()}"
        database, bell = self._make_database(), Bell(self._bell_url)
        shared = Shared(self._settings, database, bell, owner)
        mask = Mask(secrets_in(self._settings))
        execution = Execution(database, self._settings, bell, owner)
        lanes: dict[str, Lane] = {}
        for queue in sorted(self._widths):  # "build" first: it is beside the other one
            look = partial(self._look, Shell(shared, execution, mask, queue, self._stopping))
            lanes[queue] = Lane(look, self._widths[queue], self._stopping, beside=lanes.get("build"))
        return lanes


def register(celery: Celery, process: WorkerProcess) -> None:
    """Give the Celery application its task."""

    # Later versions may send more arguments: a worker of this version must not fail on them during an upgrade.
    @celery.task(name=LOOK, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
    def look(task: Any, run_id: int, *_: object, **__: object) -> None:
        process.look(run_id, str((task.request.delivery_info or {}).get("routing_key", "")))


def worker(
    settings: Settings, make_database: MakeDatabase, bell_url: str, broker_url: str, lanes: Mapping[str, int]
) -> Celery:
    """Make the Celery application of a worker.

    :param lanes: the queues that it serves, each with the number of runs that it looks at together.
    :param bell_url: the broker as redis-py names it. :param broker_url: the same as Celery names it.
    """
    celery = make_celery(broker_url)
    stopping = Stopping()
    process = WorkerProcess(settings, make_database, bell_url, lanes, stopping)
    register(celery, process)
    on_fork(process.forget)
    on_fork(tracing.start)
    on_child_end(tracing.stop)
    on_stop(stopping.set)
    on_heartbeat(Alive(settings, make_database, tuple(lanes)))
    return celery


class Alive:
    """Tells that this worker is alive: for each queue a file for probes and a row for people."""

    _EVERY = 10.0
    """Seconds between two rows."""

    def __init__(self, settings: Settings, make_database: MakeDatabase, queues: Sequence[str]) -> None:
        self._beats = [Heartbeat(file_of(settings.state_dir, f"worker-{queue}")) for queue in queues]
        self._make_database = make_database
        self._queues = queues
        self._turned = 0.0
        self._thread: threading.Thread | None = None
        self._writing = threading.Lock()
        self._held = False

    def __call__(self) -> None:
        """Note that the main loop has turned; never stop the worker because of it."""
        self._turned = time.monotonic()
        try:
            for beat in self._beats:
                beat()
        except OSError as error:
            log.warning("heartbeat not written", detail=str(error))
        if self._thread is None:
            # A database that does not answer must not hold up the main loop, hence a thread; and the pool must not
            # fork while that holds a lock inside a library, which nobody would ever release in the child.
            os.register_at_fork(before=self._wait_for_row, after_in_parent=self._go_on, after_in_child=self._go_on)
            self._thread = threading.Thread(target=self._write_rows, name="alive", daemon=True)
            self._thread.start()

    def _wait_for_row(self) -> None:
        self._held = self._writing.acquire(timeout=self._EVERY)

    def _go_on(self) -> None:
        if self._held:
            self._held = False
            self._writing.release()

    def _write_rows(self) -> None:
        database = self._make_database()
        while True:
            if time.monotonic() - self._turned < MAX_AGE:
                with self._writing:
                    self._write(database)
            time.sleep(self._EVERY)

    def _write(self, database: Database) -> None:
        try:
            with database.write() as connection:
                for queue in self._queues:
                    name = f"{socket.gethostname()}:{queue}:{os.getpid()}"
                    processes.seen(connection, name, "worker", time.time(), {"queue": queue})
        except Unavailable as error:
            log.warning("sign of life not written down", reason=error.reason.value, detail=error.evidence)
