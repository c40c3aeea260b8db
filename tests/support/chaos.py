"""Workers that are killed at a chosen moment: ``python -m tests.support.chaos CONFIGURATION``.

One process that has loaded everything forks a worker for each line of its standard input and answers with how that
worker ended and how many transactions it made durable: ``look RUN N`` looks at a run, ``tell 0 N`` sends what waits
for the chat. N: the worker kills itself with SIGKILL right after its N-th transaction; 0: never; negative: after the
one that ends the run. Forked anew each time, a worker remembers nothing.
"""

import mmap
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from orchestrator.config import load
from orchestrator.domain.apps import Settings
from orchestrator.domain.masking import Mask
from orchestrator.domain.secrets import secrets_in
from orchestrator.services.bell import Bell
from orchestrator.services.execution import Execution
from orchestrator.services.outbox import Outbox
from orchestrator.store import runs
from orchestrator.store.database import Connection, Database, after_commit, sqlite_url
from workers import runlog
from workers.messenger import IDLE, Messenger
from workers.shell import Shell
from workers.stages.toolbox import Shared

# A log is written down now and then while a stage is at work; after a kill right then, in the middle of a push, the
# engine may end that push beside the next one. Without, a run's transactions are those between its steps.
runlog.INTERVAL = 3600.0


class Count:
    """A number that the workers' parent can read too, however they ended."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)

    @property
    def value(self) -> int:
        return int.from_bytes(self._shared[:8], "little")

    @value.setter
    def value(self, value: int) -> None:
        self._shared[:8] = value.to_bytes(8, "little")


class WatchedDatabase(Database):
    """Calls `committed` as soon as a transaction is durable, before anything else that waits for that."""

    def __init__(self, url: str, committed: Callable[[], None]) -> None:
        super().__init__(url)
        self._committed = committed

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            after_commit(connection, self._committed)
            yield connection


def killer(after: int, count: Count, is_over: Callable[[], bool]) -> Callable[[], None]:
    """Return what counts transactions and kills this process after number `after`, or when the run is over."""
    lock = threading.Lock()

    def committed() -> None:
        with lock:
            count.value += 1
            if count.value == after or (after < 0 and is_over()):
                os.kill(os.getpid(), signal.SIGKILL)

    return committed


def ending(settings: Settings, run_id: int) -> Callable[[], bool]:
    """Return what tells whether a run is over."""
    database = Database(_url(settings))

    def is_over() -> bool:
        with database.read() as connection:
            run = runs.load(connection, run_id)
        return run is not None and run.state.final

    return is_over


def _url(settings: Settings) -> str:
    return settings.database or sqlite_url(settings.state_dir)


def work(settings: Settings, what: str, run_id: int, committed: Callable[[], None]) -> None:
    """Be one worker, put together as `workers.tasks` does it."""
    database = WatchedDatabase(_url(settings), committed)
    mask, bell, owner = Mask(secrets_in(settings)), Bell(""), f"chaos:{os.getpid()}"
    if what == "tell":
        for channel in settings.channels:
            messenger = Messenger(channel, Outbox(database), mask)
            while messenger.once(threading.Event()) != IDLE:
                pass
        return
    shared = Shared(settings, database, bell, owner)
    Shell(shared, Execution(database, settings, bell, owner), mask, "build").look(run_id)


def main(configuration: str) -> None:
    """Serve until standard input ends."""
    settings = load(Path(configuration), os.environ)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # the workers' log goes elsewhere
        print("ready", file=answers, flush=True)
        _serve(settings, answers)


def _serve(settings: Settings, answers: TextIO) -> None:
    count = Count()
    for line in sys.stdin:
        what, run_id, after = line.split()
        count.value = 0
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(settings, what, int(run_id), killer(int(after), count, ending(settings, int(run_id))))
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, count.value, file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
