"""What processes count adds up, whatever fails meanwhile."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from orchestrator.domain import metrics
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import tallies
from orchestrator.store.database import Database
from tests.support.metering import Site


def test_what_two_processes_count_adds_up_and_outlives_both(site: Site) -> None:
    for _ in range(2):
        process = Database(site.database.url)
        process.counts.add(metrics.REQUESTS, "argocd", "ok", by=3)
        process.write_counts()
        process.close()
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
    assert _counted(site) == pytest.approx(before)  # SQLite adds up in another order then
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


def _fail_after_counting(site: Site) -> float:
    with site.database.write() as connection:
        tallies.add(connection, {(metrics.LEASES_LOST.name, ()): 1.0})
        return 1 / 0


def _counted(site: Site) -> dict[str, float]:
    return {series: value for series, value in site.metrics().items() if not re.search("http|oldest", series)}


def _rows(site: Site) -> int:
    with site.database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM tallies")).scalar_one())
