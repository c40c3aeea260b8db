"""Requests that Argo CD gets while runs wait for it: the same number for 10 runs and for 1,000.

The watch and the tables are real; Argo CD is a counting server that answers every list and has no stream, which is
the dearer case. A look of a run that the watch woke is one request more.
"""

import logging
import tempfile
import threading
import time
from pathlib import Path

import structlog

from orchestrator.domain.apps import ArgoCD, Secret
from orchestrator.domain.runs import Trigger
from orchestrator.services.bell import Bell
from orchestrator.services.waits import Waits
from orchestrator.store import runs as runs_table
from orchestrator.store.database import Database
from orchestrator.store.schema import runs, stages, wakes
from tests.support.databases import sqlite_database
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.loopback import Asked, Reply, loopback
from workers.argo_watch import ArgoWatch
from workers.clients.argocd import ArgoClient

SECONDS = 12.0
COUNTS = (10, 1000)


def main(rounds: int = 5) -> None:
    """Print requests per minute for few and for many waiting runs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # no stream, as intended
    for count in COUNTS:
        lists, looks = measure(count, SECONDS * rounds / 5)
        print(
            f"  {count:>5} waiting runs: {lists:>4.0f} lists and {looks:>4.0f} looks a minute",
            flush=True,
        )


def measure(count: int, seconds: float) -> tuple[float, float]:
    """Watch for `seconds` and return lists and looks per minute, the first round over all runs left out."""
    asked: list[str] = []
    names = [f"app-{number:04d}" for number in range(count)]
    items = [{"metadata": {"name": name}, "status": {"sync": {"status": "Synced"}}} for name in names]

    def answer(request: Asked) -> Reply:
        asked.append(request.path)
        return Reply(status=404) if "stream" in request.path else Reply(body={"items": items})

    with tempfile.TemporaryDirectory() as folder, loopback(answer) as server:
        apps = tuple(make_app(name, environments=(make_environment(argocd=name),)) for name in names)
        database = sqlite_database(Path(folder))
        _fill(database, names)
        settings = make_settings(folder, apps=apps)
        client = ArgoClient(ArgoCD(url=server.url, token=Secret("a.b.c")))
        watch = ArgoWatch(client, Waits(database, settings, Bell("")))
        stopping = threading.Event()
        watch.once(stopping)
        _woken(database)
        asked.clear()
        looks, ends = 0, time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(watch.once(stopping))
            looks += _woken(database)
        stopping.set()
        lists = sum("stream" not in path for path in asked)
        database.close()
    return lists * 60 / seconds, looks * 60 / seconds


def _fill(database: Database, names: list[str]) -> None:
    """Put one run per app into the tables that waits in its stage ``sync``."""
    new = [runs_table.NewRun(app=name, environment="stg", trigger=Trigger.PUSH) for name in names]
    with database.write() as connection:
        ids = runs_table.add(connection, [(one, None) for one in new], time.time())
        connection.execute(runs.update().values(state="waiting"))
        rows = [{"run_id": run_id, "name": "sync", "state": "waiting", "reason": "sync_pending"} for run_id in ids]
        connection.execute(stages.insert(), rows)


def _woken(database: Database) -> int:
    """Take the wake-ups, as workers would, and count them."""
    with database.write() as connection:
        return connection.execute(wakes.delete()).rowcount


if __name__ == "__main__":
    main()
