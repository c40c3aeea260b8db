"""The Celery side of a worker: one task that carries a run's id, and the heartbeat that probes read."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from celery import Celery

from orchestrator import journal
from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.secrets import secrets_in
from orchestrator.services.bell import Bell
from orchestrator.services.execution import Execution
from orchestrator.store.database import Database
from orchestrator.store.tokens import seen_alive
from workers.application import make_celery, on_fork, on_heartbeat
from workers.shell import Shell
from workers.stages.toolbox import Shared

LOOK = "pilotage.look"
"""Name of the only task. Its argument is a run's id; it means "look at this now"."""

log = journal.get(__name__)
MakeDatabase = Callable[[], Database]


class WorkerProcess:
    """What one pool process needs, made after the fork: connections do not survive one."""

    def __init__(self, settings: Settings, make_database: MakeDatabase, bell_url: str, queue: str) -> None:
        self._settings = settings
        self._make_database = make_database
        self._bell_url = bell_url
        self._queue = queue
        self._shell: Shell | None = None

    def forget(self) -> None:
        """Start anew in a forked process."""
        self._shell = None

    def look(self, run_id: int) -> None:
        """Look at a run; a database that is away is not this task's problem: the relay repeats the wake-up."""
        if self._shell is None:
            self._shell = self._make()
        try:
            self._shell.look(run_id)
        except Unavailable as error:
            log.warning("run not looked at", run=run_id, reason=error.reason.value, detail=error.evidence)

    def _make(self) -> Shell:
        owner = f"{socket.gethostname()}:{os.getpid()}"
        database, bell = self._make_database(), Bell(self._bell_url)
        shared = Shared(self._settings, database, bell, owner)
        mask = Mask(secrets_in(self._settings))
        return Shell(shared, Execution(database, self._settings, bell, owner), mask, self._queue)


def register(celery: Celery, process: WorkerProcess) -> None:
    """Give the Celery application its task."""

    # Later versions may send more arguments: a worker of this version must not fail on them during an upgrade.
    @celery.task(name=LOOK, ignore_result=True)  # type: ignore[untyped-decorator]
    def look(run_id: int, *_: object, **__: object) -> None:
        process.look(run_id)


def worker(settings: Settings, make_database: MakeDatabase, bell_url: str, broker_url: str, queue: str) -> Celery:
    """Make the Celery application of a worker that serves `queue`.

    :param bell_url: the broker as redis-py names it. :param broker_url: the same as Celery names it.
    """
    celery = make_celery(broker_url)
    process = WorkerProcess(settings, make_database, bell_url, queue)
    register(celery, process)
    on_fork(process.forget)
    on_heartbeat(Alive(settings, make_database, queue))
    return celery


class Alive:
    """Tells that this worker is alive: a row for people, a file for the probe of an orchestrator."""

    _EVERY = 10.0

    def __init__(self, settings: Settings, make_database: MakeDatabase, queue: str) -> None:
        self._file = Path(settings.state_dir) / f"worker-{queue}.alive"
        self._make_database = make_database
        self._queue = queue
        self._database: Database | None = None
        self._last = 0.0

    def __call__(self) -> None:
        """Write both, at most every ten seconds; never stop the worker because of it."""
        now = time.time()
        if now - self._last < self._EVERY:
            return
        self._last = now
        try:
            self._file.touch()
            self._database = self._database or self._make_database()
            with self._database.write() as connection:
                name = f"{socket.gethostname()}:{self._queue}:{os.getpid()}"
                seen_alive(connection, name, "worker", now, {"queue": self._queue})
        except (Unavailable, OSError) as error:
            log.warning("heartbeat not written", detail=str(error)[:200])
