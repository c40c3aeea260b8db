"""What is counted: once, by every process into the same tables, whatever is rolled back, restarted or folded."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator.domain import metrics
from orchestrator.domain.apps import Channel, Hook, Secret
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.events import Delivery, Ping
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Trigger
from orchestrator.engine.facts import Reported
from orchestrator.services.bell import Bell
from orchestrator.services.commits import Commits
from orchestrator.services.execution import Assignment, Execution
from orchestrator.services.ingest import Ingest
from orchestrator.services.outbox import Outbox
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import figures, runs, tallies, tokens, wakes
from orchestrator.store.database import Database, now
from orchestrator.store.schema import notifications
from orchestrator.store.schema import runs as runs_table
from tests.support.databases import postgres_database, postgres_url, sqlite_database
from tests.support.deploying import landed
from tests.support.loopback import Reply, loopback
from tests.support.web import World, make_world
from workers.clients.http import Http

__all__ = ["postgres_url"]

QUIET = Bell("")
HOOK = Hook(forge="github", secret=Secret("s"))


class Site(World):
    """The web over a database, and a worker that a test moves by hand."""

    def deploy(self, number: int, *, fails_at: str = "", trigger: Trigger = Trigger.PUSH, env: str = "stg") -> int:
        """Take a run of commit `number` to its end; `fails_at` names the stage that says no."""
        new = runs.NewRun(app="plate-web", environment=env, trigger=trigger, commit=f"{number:040x}")
        with self.database.write() as connection:
            run_id = runs.add(connection, [(new, None)], now())[0]
        execution = Execution(self.database, self.settings, QUIET, "worker-1")
        assignment = execution.begin(run_id, "build")
        while assignment is not None:
            assignment = execution.report(assignment, _fact(assignment, fails_at), "build")
        return run_id

    def metrics(self) -> dict[str, float]:
        """Scrape: series -> value."""
        answer = self.client("").get("/metrics")
        assert answer.status_code == 200
        pairs = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in pairs}


def _fact(assignment: Assignment, fails_at: str) -> Reported:
    if assignment.stage == fails_at:
        return Reported(stage=assignment.stage, outcome=Fail(reason=Reason.REGISTRY_QUOTA))
    written = {"commit_date": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    outputs = written if assignment.stage is StageName.CHECK else {}
    return Reported(stage=assignment.stage, outcome=Done(outputs=outputs))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        fresh = sqlite_database(tmp_path)
        yield fresh
        fresh.engine.dispose()
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as made:
            yield made


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Site:
    channels = (Channel(name="slack-1", kind="slack"),)
    settings = make_world(database, tmp_path, hooks=(HOOK,), channels=channels).settings
    return Site(database=database, settings=settings)


def test_a_fresh_installation_says_zero_and_not_nothing(site: Site) -> None:
    told = site.metrics()
    for metric in metrics.METRICS:
        if "route" not in metric.labels:
            assert any(re.match(rf"{metric.name}(_bucket)?({{|$)", series) for series in told), metric.name
    assert told['pilotage_runs_total{app="plate-web",env="prod",result="failed"}'] == 0
    assert told['pilotage_deliveries_total{forge="github",outcome="refused"}'] == 0
    assert told['pilotage_notifications_total{channel="slack-1",result="failed"}'] == 0


def test_a_deployment_is_counted_with_its_stages_and_its_times(site: Site) -> None:
    site.deploy(1)
    told = site.metrics()
    place = 'app="plate-web",env="stg"'
    assert told[f'pilotage_runs_total{{{place},result="succeeded"}}'] == 1
    assert told[f'pilotage_deployments_total{{{place},result="succeeded"}}'] == 1
    assert told[f'pilotage_lead_time_seconds_bucket{{{place},le="3600.0"}}'] == 0
    assert told[f'pilotage_lead_time_seconds_bucket{{{place},le="14400.0"}}'] == 1
    assert told[f"pilotage_lead_time_seconds_sum{{{place}}}"] == pytest.approx(3600, abs=60)
    assert told[f"pilotage_run_seconds_count{{{place}}}"] == 1
    for stage in StageName:
        assert told[f'pilotage_stage_seconds_count{{result="succeeded",stage="{stage}"}}'] == 1, stage
    assert told[f"pilotage_change_failures_total{{{place}}}"] == 0


def test_a_run_that_fails_before_its_change_is_in_git_is_no_deployment(site: Site) -> None:
    site.deploy(1, fails_at="push")
    told = site.metrics()
    assert told['pilotage_runs_total{app="plate-web",env="stg",result="failed"}'] == 1
    assert told['pilotage_run_failures_total{reason="registry_quota",who_acts="operator"}'] == 1
    assert told['pilotage_stage_seconds_count{result="failed",stage="push"}'] == 1
    assert told['pilotage_deployments_total{app="plate-web",env="stg",result="failed"}'] == 0


def test_change_failure_rate_and_restore_time_are_the_same_in_the_api_and_in_the_metrics(site: Site) -> None:
    site.deploy(1)
    site.deploy(2, fails_at="health")
    site.deploy(2, fails_at="health", trigger=Trigger.RERUN)  # the same commit fails again: the same failure
    site.deploy(3)  # ends the first bad time
    site.deploy(4)
    site.deploy(3, trigger=Trigger.ROLLBACK)  # says that 4 was bad; is no change itself, and ends the second bad time
    told = site.metrics()
    place = 'app="plate-web",env="stg"'
    deployments = sum(value for series, value in told.items() if series.startswith("pilotage_deployments_total"))
    assert (told[f"pilotage_change_failures_total{{{place}}}"], deployments) == (2, 4)
    assert told[f"pilotage_restore_seconds_count{{{place}}}"] == 2
    items = site.client("viewer").get("/api/v1/dora?days=1").json["items"]
    assert [(one["app"], one["environment"]) for one in items] == [("plate-web", "stg")]
    assert (items[0]["deployments"], items[0]["succeeded"], items[0]["change_failure_rate"]) == (4, 3, 0.5)
    assert items[0]["lead_time_seconds"] == pytest.approx(3600, abs=60)
    assert 0 <= items[0]["restore_seconds"] < 60
    assert site.client("viewer").get("/api/v1/dora?environment=prod").json["items"] == []


def test_a_promotion_knows_the_time_of_its_commit_from_the_environment_before(site: Site) -> None:
    site.deploy(1)
    with site.database.write() as connection:  # a promotion does not look at the source
        connection.execute(text("UPDATE deployments SET committed_at = committed_at - 86400"))
    site.deploy(1, env="prod", trigger=Trigger.PROMOTION)
    told = site.metrics()
    assert told['pilotage_lead_time_seconds_count{app="plate-web",env="prod"}'] == 1


def test_deliveries_are_counted_by_what_became_of_them(site: Site) -> None:
    ingest = Ingest(site.database, site.settings, QUIET)
    for key in ("one", "two", "two"):
        ingest.accept(Delivery(hook="github", key=key), Ping(event="ping", repo=None))
    ingest.refuse(Delivery(hook="github", key="three"), "signature", "does not match")
    told = site.metrics()
    for outcome, wanted in {"pinged": 2, "duplicate": 1, "refused": 1, "accepted": 0, "ignored": 0}.items():
        assert told[f'pilotage_deliveries_total{{forge="github",outcome="{outcome}"}}'] == wanted, outcome


def test_messages_are_counted_by_try(site: Site) -> None:
    run_id = site.deploy(1)
    outbox = Outbox(site.database)
    with site.database.write() as connection:
        connection.execute(notifications.update().values(state="merged").where(notifications.c.id > 1))
    assert site.metrics()['pilotage_notifications_pending{channel="slack-1"}'] == 1
    parcel = outbox.next("slack-1")
    assert parcel is not None
    assert parcel.message.run == run_id
    outbox.postpone(parcel, "no answer", 0.0)
    again = outbox.next("slack-1")
    assert again is not None
    outbox.sent(again, "")
    told = site.metrics()
    for result, wanted in {"sent": 1, "postponed": 1, "failed": 0}.items():
        assert told[f'pilotage_notifications_total{{channel="slack-1",result="{result}"}}'] == wanted, result
    assert told['pilotage_notifications_pending{channel="slack-1"}'] == 0


def test_a_batch_and_lost_races_are_counted(site: Site) -> None:
    first, second = site.deploy(1), site.deploy(2)
    queue = Commits(site.database, QUIET, "repo#main", "worker-1")
    queue.count_retry()
    queue.finish([landed(first), landed(second)])
    told = site.metrics()
    assert told["pilotage_commit_push_retries_total"] == 1
    assert told['pilotage_commit_batch_size_bucket{le="1.0"}'] == 0
    assert told['pilotage_commit_batch_size_bucket{le="2.0"}'] == 1


def test_what_two_processes_count_adds_up_and_outlives_both(site: Site) -> None:
    for _ in range(2):
        process = Database(site.database.url)
        process.counts.add(metrics.REQUESTS, "argocd", "ok", by=3)
        process.write_counts()
        process.engine.dispose()
    assert site.metrics()['pilotage_requests_total{result="ok",service="argocd"}'] == 6


def test_a_transaction_that_fails_counts_nothing_and_what_the_process_counted_waits(site: Site) -> None:
    site.database.counts.add(metrics.PUSH_RETRIES)
    with pytest.raises(ZeroDivisionError):
        _fail_after_counting(site)
    told = site.metrics()
    assert told["pilotage_leases_lost_total"] == 0
    assert told["pilotage_commit_push_retries_total"] == 1
    assert site.metrics()["pilotage_commit_push_retries_total"] == 1, "handed over once"


def test_folding_changes_no_sum(site: Site) -> None:
    reconcile = Reconcile(site.database, site.settings)
    for number in range(3):
        site.deploy(number)
    before = _counted(site)
    rows = _rows(site)
    reconcile.fold_tallies()
    reconcile.fold_tallies()
    assert _counted(site) == before
    assert _rows(site) < rows
    site.deploy(4)
    assert _counted(site)['pilotage_runs_total{app="plate-web",env="stg",result="succeeded"}'] == 4


def test_two_that_fold_while_others_count_lose_nothing(site: Site) -> None:
    reconcile, stop = Reconcile(site.database, site.settings), threading.Event()

    def fold() -> None:
        while not stop.is_set():
            reconcile.fold_tallies()

    def count() -> None:
        for _ in range(50):
            with site.database.write() as connection:
                tallies.add(connection, {(metrics.LEASES_LOST.name, ()): 1.0})

    with ThreadPoolExecutor(max_workers=6) as pool:
        folding = [pool.submit(fold) for _ in range(2)]
        for counting in [pool.submit(count) for _ in range(4)]:
            counting.result()
        stop.set()
        for one in folding:
            one.result()
    assert site.metrics()["pilotage_leases_lost_total"] == 200


def test_the_queue_tells_who_waits_for_a_worker_and_who_has_one(site: Site) -> None:
    execution = Execution(site.database, site.settings, QUIET, "worker-1")
    with site.database.write() as connection:
        new = [runs.NewRun(app="plate-web", environment=env, trigger=Trigger.PUSH) for env in ("stg", "prod", "prod")]
        ids = runs.add(connection, [(one, None) for one in new], now())
        wakes.set_due_many(connection, ids[:2], now() - 100, "deploy")
    execution.begin(ids[1], "deploy")
    told = site.metrics()
    for state, wanted in {"ready": 1, "running": 1, "waiting": 1}.items():
        assert told[f'pilotage_queue_runs{{queue="deploy",state="{state}"}}'] == wanted, state
        assert told[f'pilotage_queue_runs{{queue="build",state="{state}"}}'] == 0, state
    assert told['pilotage_queue_oldest_seconds{queue="deploy"}'] == pytest.approx(100, abs=30)
    assert told['pilotage_runs_at_stage{stage="check",state="running"}'] == 1
    assert told['pilotage_runs_active{app="plate-web",env="prod",state="queued"}'] == 1


def test_image_work_is_the_build_pools(site: Site) -> None:
    execution = Execution(site.database, site.settings, QUIET, "worker-1")
    with site.database.write() as connection:
        new = runs.NewRun(app="plate-web", environment="stg", trigger=Trigger.PUSH)
        run_id = runs.add(connection, [(new, None)], now())[0]
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
        tokens.seen_alive(connection, "a:build:1", "worker", now(), {"queue": "build"})
        tokens.seen_alive(connection, "a:deploy:2", "worker", now() - 300, {"queue": "deploy"})
    Reconcile(site.database, site.settings).alive("a:relay:3", "relay")
    told = site.metrics()
    assert told['pilotage_workers_alive{queue="build"}'] == 1
    assert told['pilotage_workers_alive{queue="deploy"}'] == 0
    assert told["pilotage_relays_alive"] == 1


def test_a_run_that_a_worker_left_behind_is_a_lost_lease(site: Site) -> None:
    execution = Execution(site.database, site.settings, QUIET, "worker-1")
    with site.database.write() as connection:
        new = runs.NewRun(app="plate-web", environment="stg", trigger=Trigger.PUSH)
        run_id = runs.add(connection, [(new, None)], now())[0]
    execution.begin(run_id, "deploy")
    with site.database.write() as connection:
        connection.execute(runs_table.update().values(lease_until=now() - 1))
    assert Reconcile(site.database, site.settings).expired_leases() == [run_id]
    assert site.metrics()["pilotage_leases_lost_total"] == 1


@pytest.mark.parametrize(("status", "result"), [(200, "ok"), (404, "refused"), (503, "unavailable")])
def test_a_request_is_counted_by_its_answer(site: Site, status: int, result: str) -> None:
    with loopback(lambda _: Reply(status)) as server:
        http = Http(server.url, Reason.ARGOCD_UNAVAILABLE, observe=site.database.counts.requests_to("argocd"))
        try:
            http.request("GET", "/")
        except Unavailable:
            assert status == 503
        http.close()
    told = site.metrics()
    assert told[f'pilotage_requests_total{{result="{result}",service="argocd"}}'] == 1
    assert told['pilotage_request_seconds_count{service="argocd"}'] == 1


def test_our_own_answers_are_counted_by_call_and_status(site: Site) -> None:
    site.client("viewer").get("/api/v1/runs/7")
    site.client("").get("/no/such/page")
    told = site.metrics()
    assert told['pilotage_http_requests_total{route="api.get_run",server="web",status="404"}'] == 1
    assert told['pilotage_http_requests_total{route="none",server="web",status="404"}'] == 1
    assert told['pilotage_http_request_seconds_count{server="web"}'] == 2


def test_only_active_runs_are_read_however_long_the_history_is(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    with database.read() as connection:
        seen: list[str] = []
        for statement in figures.STATEMENTS:
            compiled = str(statement.params(now=0.0).compile(connection, compile_kwargs={"literal_binds": True}))
            seen += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
    database.engine.dispose()
    assert seen
    assert [step for step in seen if step.startswith("SCAN") and "INDEX" not in step] == []


def _fail_after_counting(site: Site) -> float:
    with site.database.write() as connection:
        tallies.add(connection, {(metrics.LEASES_LOST.name, ()): 1.0})
        return 1 / 0


def _counted(site: Site) -> dict[str, float]:
    return {series: value for series, value in site.metrics().items() if not re.search("http|oldest", series)}


def _rows(site: Site) -> int:
    with site.database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM tallies")).scalar_one())
