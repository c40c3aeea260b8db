"""What one scrape costs with an empty database and with 100,000 runs in it, in SQLite.

Half of the runs' environments hold deployments of the last year, 200 runs are active; the tallies are as they are
after a fold, and once more with ten seconds of increments of a busy installation on top.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from orchestrator.domain import metrics
from orchestrator.domain.runs import STAGE_ORDER, Trigger
from orchestrator.store import runs as runs_table
from orchestrator.store import tallies
from orchestrator.store.database import Database
from orchestrator.store.schema import deployments, runs, stages, wakes
from tests.benchmarks.measuring import ms, timed
from tests.support.databases import sqlite_database
from tests.support.factories import make_app
from tests.support.web import ENVIRONMENTS, Web, make_web

RUNS = 100_000
ACTIVE = 200
APPS = 50
INCREMENTS = 5_000
ROUNDS = 7


def main() -> None:
    """Print the time of a scrape and of the DORA call."""
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite_database(Path(folder))
        apps = tuple(make_app(f"app-{number:02d}", environments=ENVIRONMENTS) for number in range(APPS))
        web = make_web(database, Path(folder), apps=apps)
        _show("empty", web)
        _fill(database, [app.name for app in apps])
        _tally(database, [app.name for app in apps], 1)
        _show(f"{RUNS:,} runs, {ACTIVE} of them active", web)
        _tally(database, [app.name for app in apps], INCREMENTS // 10)
        _show(f"the same, and {INCREMENTS:,} increments that are not folded", web)
        with database.write() as connection:
            print(f"  fold: {ms(timed(lambda: tallies.fold(connection, tallies.repeated(connection))))}")
        database.close()


def _show(name: str, web: Web) -> None:
    client = web.client("viewer")
    scrape = [timed(client.get, "/metrics") for _ in range(ROUNDS)]
    dora = [timed(client.get, "/api/v1/dora?days=30") for _ in range(ROUNDS)]
    size = len(client.get("/metrics").data)
    print(
        f"  {name:<52} scrape {ms(median(scrape)):>8} ({size // 1024} KiB)   dora {ms(median(dora)):>8}", flush=True
    )


def _fill(database: Database, apps: list[str]) -> None:
    now = time.time()
    new = [
        runs_table.NewRun(app=apps[number % APPS], environment="stg", trigger=Trigger.PUSH, commit=f"{number:040x}")
        for number in range(RUNS)
    ]
    for at in range(0, RUNS, 10_000):
        with database.write() as connection:
            ids = runs_table.add(connection, [(one, None) for one in new[at : at + 10_000]], now)
            rows = [
                {"run_id": run_id, "name": stage.value, "state": "succeeded", "reason": "done", "started_at": now,
                 "finished_at": now}
                for run_id in ids
                for stage in STAGE_ORDER
            ]  # fmt: skip
            connection.execute(stages.insert(), rows)
    with database.write() as connection:
        over = runs.c.id <= RUNS - ACTIVE
        connection.execute(runs.update().where(over).values(state="succeeded", reason="healthy"))
        connection.execute(
            stages.delete().where(stages.c.run_id > RUNS - ACTIVE, stages.c.name.in_(("sync", "health")))
        )
        rows = [{"run_id": run_id, "due_at": now, "queue": "deploy"} for run_id in range(RUNS - ACTIVE + 1, RUNS + 1)]
        connection.execute(wakes.insert(), rows)
        connection.execute(
            deployments.insert(),
            [
                {"app": apps[number % APPS], "environment": "stg", "commit": f"{number:040x}", "result": "succeeded",
                 "run_id": number + 1, "committed_at": now, "at": now - number * 365 * 86400 / RUNS}
                for number in range(RUNS // 2)
            ],
        )  # fmt: skip


def _tally(database: Database, apps: list[str], times: int) -> None:
    """Write down what `times` transactions would have counted."""
    for number in range(times):
        counts = tallies.Counts()
        for app in apps if times == 1 else apps[number % APPS :][:1]:
            counts.add(metrics.RUNS, app, "stg", "succeeded")
            counts.observe(metrics.RUN_SECONDS, 90.0, app, "stg")
            counts.observe(metrics.LEAD_TIME, 900.0, app, "stg")
            counts.add(metrics.DEPLOYMENTS, app, "stg", "succeeded")
        for stage in metrics.STAGES[:2]:
            counts.observe(metrics.STAGE_SECONDS, 9.0, stage, "succeeded")
        with database.write() as connection:
            tallies.add(connection, counts.take())


if __name__ == "__main__":
    main()
