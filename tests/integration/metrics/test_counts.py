"""What is counted in the transaction that makes it true."""

import re

import pytest
from sqlalchemy import text

from orchestrator.domain import metrics
from orchestrator.domain.events import Delivery, Ping
from orchestrator.domain.messages import KINDS
from orchestrator.domain.runs import StageName, Trigger
from orchestrator.services import ledger
from orchestrator.services.commits import Commits
from orchestrator.services.control import Control
from orchestrator.services.ingest import Ingest
from orchestrator.services.outbox import Outbox
from orchestrator.store.database import now
from orchestrator.store.schema import notifications
from tests.support.deploying import landed
from tests.support.ingesting import accept, refuse
from tests.support.metering import QUIET, Site

RESULTS = ("superseded", "cancelled", "succeeded")


def test_a_fresh_installation_says_zero_and_not_nothing(site: Site) -> None:
    told = site.metrics()
    for metric in metrics.METRICS:
        if "route" not in metric.labels:
            assert any(re.match(rf"{metric.name}(_bucket)?({{|$)", series) for series in told), metric.name
    assert told['pilotage_runs_total{app="plate-web",env="prod",result="failed"}'] == 0
    assert told['pilotage_deliveries_total{forge="github",outcome="refused"}'] == 0
    for result in ("succeeded", "reused", "failed", "cancelled"):
        assert told[f'pilotage_stage_seconds_count{{result="{result}",stage="build"}}'] == 0, result
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


def test_a_run_that_gave_way_is_told_from_one_that_a_person_cancelled(site: Site) -> None:
    *older, newest = [site.deploy(number, waits_at="build") for number in (1, 2, 3)]
    with site.database.write() as connection:
        for run in older:
            ledger.supersede(connection, site.settings, run, newest, now())
    Control(site.database, site.settings, QUIET).cancel(newest, "mina")
    told = site.metrics()
    ended = {
        result: told[f'pilotage_runs_total{{app="plate-web",env="stg",result="{result}"}}'] for result in RESULTS
    }
    assert ended == {"superseded": 2, "cancelled": 1, "succeeded": 0}


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
    assert site.client("viewer").get("/api/v1/dora?app=other").json["items"] == []
    assert items[0]["change_failures"] == 2


def test_a_rollback_that_is_repeated_is_still_none(site: Site) -> None:
    site.deploy(1)
    site.deploy(2)
    back = site.deploy(1, fails_at="check", trigger=Trigger.ROLLBACK)
    site.deploy(1, trigger=Trigger.RERUN, rerun_of=back)
    told = site.metrics()
    place = 'app="plate-web",env="stg"'
    assert told[f"pilotage_change_failures_total{{{place}}}"] == 1, "2 was bad"
    assert told[f'pilotage_deployments_total{{{place},result="succeeded"}}'] == 2


def dora_of(site: Site) -> tuple[int, int, int]:
    (found,) = site.client("viewer").get("/api/v1/dora?days=1").json["items"]
    return found["deployments"], found["succeeded"], found["change_failures"]


def test_what_is_gone_back_from_is_bad_also_before_it_was_healthy(site: Site) -> None:
    site.deploy(1)
    site.deploy(2, waits_at="health")
    site.deploy(1, trigger=Trigger.ROLLBACK)
    assert dora_of(site) == (2, 1, 1), "2 was bad, and 1 is not"
    told = site.metrics()
    place = 'app="plate-web",env="stg"'
    assert told[f"pilotage_change_failures_total{{{place}}}"] == 1
    assert told[f'pilotage_deployments_total{{{place},result="failed"}}'] == 1
    assert told[f"pilotage_restore_seconds_count{{{place}}}"] == 1
    site.deploy(3)
    site.deploy(1, trigger=Trigger.ROLLBACK)
    assert dora_of(site) == (3, 2, 2), "and so was 3"


def test_each_of_two_changes_that_are_gone_back_from_is_bad(site: Site) -> None:
    for number in (1, 2, 3):
        site.deploy(number)
    site.deploy(2, trigger=Trigger.ROLLBACK)
    assert dora_of(site) == (3, 3, 1)
    site.deploy(1, trigger=Trigger.ROLLBACK)
    assert dora_of(site) == (3, 3, 2)


def test_a_rollback_that_another_one_cut_off_was_no_change(site: Site) -> None:
    site.deploy(1)
    site.deploy(2)
    site.deploy(1, waits_at="health", trigger=Trigger.ROLLBACK)
    site.deploy(2, trigger=Trigger.ROLLBACK)
    assert dora_of(site) == (2, 2, 0), "whether 2 was bad, nobody has seen"


def test_a_bad_change_that_is_tried_again_makes_no_other_one_bad(site: Site) -> None:
    site.deploy(1)
    bad = site.deploy(2, fails_at="health")
    site.deploy(3)
    site.deploy(2, fails_at="health", trigger=Trigger.RERUN, rerun_of=bad)
    site.deploy(3, trigger=Trigger.ROLLBACK)
    assert dora_of(site) == (3, 2, 1)


def test_a_promotion_knows_the_time_of_its_commit_from_the_environment_before(site: Site) -> None:
    site.deploy(1)
    with site.database.write() as connection:  # a promotion does not look at the source
        connection.execute(text("UPDATE deployments SET committed_at = committed_at - 86400"))
    site.deploy(1, env="prod", trigger=Trigger.PROMOTION)
    told = site.metrics()
    assert told['pilotage_lead_time_seconds_count{app="plate-web",env="prod"}'] == 1


@pytest.mark.parametrize("dated", ["2023-11-15T23:13:20+25:00", "3170843-11-07T09:46:39+00:00", "no time"])
def test_a_run_ends_whatever_time_its_commit_says(site: Site, dated: str) -> None:
    site.deploy(1, dated=dated)
    told = site.metrics()
    place = 'app="plate-web",env="stg"'
    assert told[f'pilotage_deployments_total{{{place},result="succeeded"}}'] == 1
    assert told[f"pilotage_lead_time_seconds_count{{{place}}}"] == 0


def test_deliveries_are_counted_by_what_became_of_them(site: Site) -> None:
    ingest = Ingest(site.database, site.settings, QUIET)
    for key in ("one", "two", "two"):
        accept(ingest, Delivery(hook="github", key=key), Ping(event="ping", repo=None))
    refuse(ingest, Delivery(hook="github", key="three"), "signature", "does not match")
    told = site.metrics()
    for outcome, wanted in {"pinged": 2, "duplicate": 1, "refused": 1, "accepted": 0, "ignored": 0}.items():
        assert told[f'pilotage_deliveries_total{{forge="github",outcome="{outcome}"}}'] == wanted, outcome


def test_messages_are_counted_by_try(site: Site) -> None:
    run_id = site.deploy(1)
    outbox = Outbox(site.database)
    with site.database.write() as connection:
        connection.execute(notifications.update().values(state="merged").where(notifications.c.id > 1))
    assert site.metrics()['pilotage_notifications_pending{channel="slack-1"}'] == 1
    parcel = outbox.next("slack-1", KINDS["slack"])
    assert parcel is not None
    assert parcel.message.run == run_id
    outbox.postpone(parcel, "no answer", 0.0)
    assert outbox.next("slack-1", KINDS["slack"]) is None
    with site.database.write() as connection:
        connection.execute(notifications.update().values(due_at=0.0))
    again = outbox.next("slack-1", KINDS["slack"])
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
