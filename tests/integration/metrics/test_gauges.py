"""What is going on now."""

from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator.domain.runs import Trigger
from orchestrator.services.execution import Execution
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import figures, processes, runs, wakes
from orchestrator.store.database import now
from orchestrator.store.schema import runs as runs_table
from tests.support.databases import sqlite_database
from tests.support.metering import QUIET, Site, _fact


def put(site: Site, *environments: str) -> list[int]:
    """Put runs there that nobody has begun."""
    new = [runs.NewRun(app="plate-web", environment=env, trigger=Trigger.PUSH) for env in environments]
    with site.database.write() as connection:
        return runs.add(connection, [(one, None) for one in new], now())


def test_the_queue_tells_who_waits_for_a_worker_and_who_has_one(site: Site) -> None:
    execution = Execution(site.database, site.settings, QUIET, "worker-1")
    ids = put(site, "stg", "prod", "prod")
    with site.database.write() as connection:
        wakes.add(connection, ids[:2], now() - 100, "deploy")
    execution.begin(ids[1], "deploy")
    with site.database.write() as connection:  # a hint that comes while a worker is at the run: nobody waits
        wakes.add(connection, ids[1:2], now() - 5000, "deploy")
    told = site.metrics()
    for state, wanted in {"ready": 1, "running": 1, "waiting": 1}.items():
        assert told[f'pilotage_queue_runs{{queue="deploy",state="{state}"}}'] == wanted, state
        assert told[f'pilotage_queue_runs{{queue="build",state="{state}"}}'] == 0, state
    assert told['pilotage_queue_oldest_seconds{queue="deploy"}'] == pytest.approx(100, abs=30)
    assert told['pilotage_runs_at_stage{stage="check",state="running"}'] == 1
    with site.database.write() as connection:  # the worker vanishes; the run waits for another one
        connection.execute(runs_table.update().where(runs_table.c.id == ids[1]).values(lease_until=now() - 1))
    told = site.metrics()
    assert told['pilotage_queue_runs{queue="deploy",state="ready"}'] == 2
    assert told['pilotage_runs_active{app="plate-web",env="prod",state="queued"}'] == 1


def test_image_work_is_the_build_pools(site: Site) -> None:
    execution = Execution(site.database, site.settings, QUIET, "worker-1")
    [run_id] = put(site, "stg")
    checked = execution.begin(run_id, "deploy")
    assert checked is not None
    execution.report(checked, _fact(checked, ""), "deploy")
    assert site.metrics()['pilotage_queue_runs{queue="build",state="ready"}'] == 1


def test_a_deploy_that_is_in_git_and_not_yet_healthy_has_an_age(site: Site) -> None:
    run_id = site.deploy(1)
    with site.database.write() as connection:
        connection.execute(runs_table.update().where(runs_table.c.id == run_id).values(state="waiting"))
        connection.execute(text("UPDATE stages SET state = 'waiting' WHERE name = 'health'"))
        connection.execute(text("UPDATE stages SET finished_at = finished_at - 900 WHERE name = 'commit'"))
    told = site.metrics()
    assert told['pilotage_deploy_age_seconds{app="plate-web",env="stg"}'] == pytest.approx(900, abs=60)
    assert told['pilotage_deploy_age_seconds{app="plate-web",env="prod"}'] == 0


def test_workers_and_relays_count_while_they_are_seen(site: Site) -> None:
    with site.database.write() as connection:
        processes.seen(connection, "a:build:1", "worker", now(), {"queue": "build"})
        processes.seen(connection, "a:deploy:2", "worker", now() - 300, {"queue": "deploy"})
    Reconcile(site.database, site.settings).alive("a:relay:3", "relay")
    told = site.metrics()
    assert told['pilotage_workers_alive{queue="build"}'] == 1
    assert told['pilotage_workers_alive{queue="deploy"}'] == 0
    assert told["pilotage_relays_alive"] == 1


def test_a_run_that_a_worker_left_behind_is_a_lost_lease(site: Site) -> None:
    execution = Execution(site.database, site.settings, QUIET, "worker-1")
    [run_id] = put(site, "stg")
    execution.begin(run_id, "deploy")
    with site.database.write() as connection:
        connection.execute(runs_table.update().values(lease_until=now() - 1))
    assert Reconcile(site.database, site.settings).expired_leases() == [run_id]
    assert site.metrics()["pilotage_leases_lost_total"] == 1


def test_only_active_runs_are_read_however_long_the_history_is(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    with database.read() as connection:
        seen: list[str] = []
        for statement in figures.STATEMENTS:
            compiled = str(statement.params(now=0.0).compile(connection, compile_kwargs={"literal_binds": True}))
            seen += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
    database.close()
    assert seen
    assert [step for step in seen if step.startswith("SCAN") and "INDEX" not in step] == []


def test_apps_that_the_poll_cannot_read_are_counted_while_they_are_configured(site: Site) -> None:
    reconcile = Reconcile(site.database, site.settings)
    assert site.metrics()["pilotage_apps_unread"] == 0
    reconcile.looked({"plate-web": "The forge is away.", "gone": "The forge is away."})
    assert site.metrics()["pilotage_apps_unread"] == 1
    reconcile.looked({"plate-web": ""})
    assert site.metrics()["pilotage_apps_unread"] == 0
