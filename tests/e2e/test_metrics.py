"""What a real Prometheus says after real runs: every panel has data, and the figures are those of the runs."""

import math
from collections.abc import Iterator

import pytest

from orchestrator.sandbox import samples
from tests.support.dashboards import queries, rules, variables
from tests.support.prometheus import Prometheus, prometheus
from tests.support.waiting import until
from tests.support.whole_loop import Loop, succeeded

pytestmark = pytest.mark.slow

PLACE = f'app="{samples.APP}",env="watched"'
RANGE = {"app": samples.APP, "env": "watched", "__range": "10m", "__rate_interval": "1m"}


@pytest.fixture(scope="module")
def watched(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, after it has seen a deploy that succeeded, one that failed, and the way back."""
    with prometheus(tmp_path_factory.mktemp("prometheus"), loop.product.url) as running:
        good = succeeded(loop.deploy(branch="deploy/watched"))
        assert loop.deploy(loop.broken(), branch="deploy/watched")["state"] == "failed"
        back = loop.cli("app", "rollback", samples.APP, "watched", "--to", str(good["id"]), "--wait")
        assert back.returncode == 0, back.stderr
        ended = f'sum(pilotage_runs_total{{{PLACE},result=~"succeeded|failed"}})'
        until(lambda: running.value(ended) == 3, "the scrape of all three runs")
        yield running


def test_the_figures_are_those_of_the_runs(watched: Prometheus) -> None:
    for result, wanted in {"succeeded": 1, "failed": 1}.items():
        assert watched.value(f'pilotage_deployments_total{{{PLACE},result="{result}"}}') == wanted, result
    assert watched.value(f"pilotage_change_failures_total{{{PLACE}}}") == 1
    assert watched.value(f"pilotage_lead_time_seconds_count{{{PLACE}}}") == 1
    assert watched.value(f"pilotage_restore_seconds_count{{{PLACE}}}") == 1
    assert watched.value('pilotage_requests_total{service="argocd",result="ok"}') > 0
    assert watched.value("pilotage_commit_batch_size_count") >= 3
    assert watched.value('pilotage_stage_looks_total{stage="push",result="done"}') >= 1
    assert watched.value('pilotage_deliveries_total{forge="github",outcome="accepted"}') >= 2
    # Who has ended is told of for a minute, and another test may have had them replaced.
    workers = [f'pilotage_workers_alive{{queue="{queue}"}}' for queue in ("build", "deploy")]
    for figure in ["pilotage_relays_alive", *workers]:
        until(lambda figure=figure: watched.value(figure) == 1, f"{figure} to be 1", 90)


def test_the_api_and_prometheus_say_the_same_of_dora(loop: Loop, watched: Prometheus) -> None:
    params = {"days": 1, "app": samples.APP, "environment": "watched"}
    (place,) = loop.api.get("/dora", params)["items"]
    failures = f"sum(pilotage_change_failures_total{{{PLACE}}})"
    assert watched.value(f"{failures} / sum(pilotage_deployments_total{{{PLACE}}})") == place["change_failure_rate"]
    assert place["change_failure_rate"] == 0.5
    assert place["lead_time_seconds"] > 0
    assert place["restore_seconds"] > 0


@pytest.mark.parametrize(("panel", "query"), queries(**RANGE), ids=lambda value: value.replace("/", " "))
def test_every_query_of_every_panel_returns_data(watched: Prometheus, panel: str, query: str) -> None:
    values = [float(one["value"][1]) for one in watched.query(query)]
    assert values, panel
    assert not all(map(math.isnan, values)), panel


def test_every_variable_offers_what_is_configured(watched: Prometheus) -> None:
    offered = {name: watched.label_values(selector, label) for name, selector, label in variables(**RANGE)}
    assert offered["app"] == [samples.APP]
    assert "watched" in offered["env"]


def test_prometheus_evaluates_every_alert(watched: Prometheus) -> None:
    evaluated = {rule["name"]: rule["health"] for rule in watched.rules()}
    until(lambda: all(rule["health"] == "ok" for rule in watched.rules()), "an evaluation of all rules")
    assert set(evaluated) == {rule["alert"] for rule in rules()}
