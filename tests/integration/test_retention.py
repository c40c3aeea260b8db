"""Old logs, messages and deliveries go; runs stay, and so does what explains the present."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.domain.refs import repo_key
from orchestrator.domain.runs import RunState
from orchestrator.services.retention import CLICKS_KEPT, Removed, Retention
from orchestrator.store import clicks, deliveries, heads, retention, runs
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock
from orchestrator.store.schema import heads as head_rows
from orchestrator.store.schema import logs, notifications, threads
from orchestrator.store.schema import runs as run_rows
from tests.support.databases import database, postgres_url, sqlite_database
from tests.support.factories import make_app, make_environment
from tests.support.web import AT, Web, make_web

__all__ = ["database", "postgres_url"]

DAY = 86400.0
OLD = clock() - AT - DAY
"""Seconds to keep: what runs leave behind, a day after `AT`, is too old."""


@pytest.fixture
def web(database: Database, tmp_path: Path) -> Web:
    return make_web(database, tmp_path)


def with_records(web: Web, state: RunState, **fields: Any) -> int:
    """Put a run there with a log, a message, its thread and a delivery."""
    with web.database.write() as connection:
        row = deliveries.row_of(Delivery(hook="github", key=f"d-{clock()}"), AT, DeliveryOutcome.ACCEPTED)
        (delivery,) = deliveries.add(connection, [row])
    run = web.run(state, delivery_id=delivery, **fields)
    web.log(run, "one", "two")
    message = {"run_id": run, "channel": "slack-1", "type": "run.failed", "message": {}, "state": "sent"}
    with web.database.write() as connection:
        connection.execute(notifications.insert().values(**message, due_at=AT, created_at=AT))
        connection.execute(threads.insert().values(run_id=run, channel="slack-1", reference="t"))
    return run


_TABLES = (logs, notifications, threads)


def logged(database: Database) -> set[int]:
    with database.read() as connection:
        of = {table.name: set(connection.execute(select(table.c.run_id)).scalars()) for table in _TABLES}
    assert of["logs"] == of["notifications"] == of["threads"]
    return of["logs"]


def tidy(web: Web, keep: float = OLD) -> Removed:
    return Retention(web.database, keep).tidy(lambda: False)


def test_what_is_too_old_goes_and_the_run_stays(web: Web) -> None:
    old, newest = with_records(web, RunState.FAILED), with_records(web, RunState.FAILED)
    assert tidy(web, OLD + 2 * DAY) == Removed(runs=0, deliveries=0)
    assert tidy(web) == Removed(runs=1, deliveries=2)
    assert logged(web.database) == {newest}
    with web.database.read() as connection:
        kept = [runs.load(connection, run_id) for run_id in (old, newest)]
        assert deliveries.page(connection) == []
    assert [(run.state, run.delivery_id) for run in kept if run] == [(RunState.FAILED, None)] * 2
    assert tidy(web) == Removed(runs=0, deliveries=0)


def test_a_run_by_a_clock_that_was_far_ahead_keeps_nothing_but_itself(web: Web) -> None:
    early = with_records(web, RunState.FAILED)
    with web.database.write() as connection:
        ahead = {"created_at": clock() + 3650 * DAY, "finished_at": clock() + 3651 * DAY}
        connection.execute(update(run_rows).where(run_rows.c.id == early).values(ahead))
    old, newest = with_records(web, RunState.FAILED), with_records(web, RunState.FAILED)
    assert tidy(web).runs == 1
    assert logged(web.database) == {early, newest}
    assert old not in logged(web.database)


def test_clicks_that_nobody_takes_are_forgotten_after_an_hour(web: Web) -> None:
    with web.database.write() as connection:
        for age in (2 * CLICKS_KEPT, CLICKS_KEPT / 2):
            clicks.add(connection, "gone", {"age": age}, clock() - age)
    tidy(web)
    with web.database.read() as connection:
        left = clicks.take_next(connection, "gone", clock())
    assert left is not None
    assert left["click"] == {"age": CLICKS_KEPT / 2}


def test_what_explains_the_present_stays(web: Web) -> None:
    proven = with_records(web, RunState.SUCCEEDED, landed=10.0, image="h/p:1")
    failed = with_records(web, RunState.FAILED, landed=20.0, image="h/p:2")
    landed = with_records(web, RunState.CANCELLED, landed=30.0, image="h/p:2")
    waiting = with_records(web, RunState.WAITING)
    gone = with_records(web, RunState.FAILED)
    newest = with_records(web, RunState.CANCELLED)
    elsewhere = with_records(web, RunState.FAILED, environment="prod")
    assert tidy(web).runs == 1
    assert logged(web.database) == {proven, failed, landed, waiting, newest, elsewhere}
    assert gone not in logged(web.database)


def test_many_deliveries_go_in_steps_and_it_can_be_stopped(web: Web) -> None:
    rows = [
        deliveries.row_of(Delivery(hook="github", key=f"k{number}"), AT, DeliveryOutcome.IGNORED)
        for number in range(450)
    ]
    with web.database.write() as connection:
        deliveries.add(connection, rows)
    answers = iter((True, False, True))  # before the runs, and twice between the steps
    assert Retention(web.database, OLD).tidy(lambda: next(answers)) == Removed(runs=0, deliveries=100)
    assert tidy(web) == Removed(runs=0, deliveries=350)


def test_where_refs_were_is_forgotten_unless_they_are_polled(web: Web) -> None:
    app = make_app(
        environments=(make_environment("stg", branch="main"), make_environment("next", branch="release/*"))
    )
    repo = repo_key(app.source.url)
    with web.database.write() as connection:
        for ref, at in (("heads/main", 0), ("heads/release/1", 0), ("tags/v1", 0), ("heads/release/2", clock())):
            heads.remember(connection, repo, f"refs/{ref}", heads.LastSeen("1" * 40, at))
        heads.remember(connection, "elsewhere", "refs/heads/release/1", heads.LastSeen("1" * 40, 0))
    Retention(web.database, OLD, (app, app)).tidy(lambda: True)
    assert len(heads_of(web.database)) == 5, "it was told to stop"
    Retention(web.database, OLD, (app, app)).tidy(lambda: False)
    assert heads_of(web.database) == {
        (repo, "refs/heads/main"),
        (repo, "refs/heads/release/2"),
        ("elsewhere", "refs/heads/release/1"),
    }


def heads_of(database: Database) -> set[tuple[str, str]]:
    with database.read() as connection:
        return {(row.repo, row.ref) for row in connection.execute(select(head_rows.c.repo, head_rows.c.ref))}


def test_nothing_is_found_by_reading_a_whole_table(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    web = make_web(database, tmp_path)
    for _ in range(2):
        with_records(web, RunState.FAILED)
    said: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: said.append((told[2], told[3])))
    with database.write() as connection:
        retention.next_run(connection, 0)
        retention.drop_records(connection, 1)
        retention.drop_deliveries(connection, AT + 1)
        heads.remember(connection, "r", "refs/tags/v1", heads.LastSeen("1" * 40, AT))
        heads.forget(connection, "r", AT + 1, ())
    asked = [one for one in said if one[0].split()[0] in ("SELECT", "UPDATE", "DELETE")]
    with database.read() as connection:
        plans = {
            text: str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all())
            for text, values in asked
        }
    assert len(plans) >= 9
    scans = [text for text, plan in plans.items() if "SCAN" in plan]
    assert [text.split("\n")[0] for text in scans] == ["SELECT deliveries.id, deliveries.received_at "]
    assert "LIMIT" in scans[0], "the oldest by the order of the table itself"
