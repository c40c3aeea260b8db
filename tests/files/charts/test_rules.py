"""Every alert says how bad it is and leads to a page that helps; promtool's cases cover each of them."""

import re
from typing import Any
from urllib.parse import urlsplit

import promql_parser
import pytest
import yaml

from orchestrator.domain.metrics import METRICS
from tests.support.dashboards import CHART, rules, series_in

ROOT = CHART.parents[1]
ALERTS = {
    "PilotageQueueStuck",
    "PilotageRunsFailing",
    "PilotageDeployStuck",
    "PilotageHooksRejected",
    "PilotageBranchesUnread",
    "PilotageWorkerDown",
    "PilotageArgoUnreachable",
    "PilotageRegistryPushFailing",
}
SECTIONS = ["Meaning", "Impact", "Check", "Fix", "Escalate"]


def test_the_alerts_are_these_and_each_has_a_page() -> None:
    assert {rule["alert"] for rule in rules()} == ALERTS
    assert {page.stem for page in (ROOT / "docs/runbook").glob("*.md")} == ALERTS


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_is_whole(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    promql_parser.parse(rule["expr"])
    known = {metric.name: set(metric.labels) for metric in METRICS}
    for series, labels in series_in(rule["expr"]):
        assert labels <= known[series]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_its_runbook_page_is_there_with_all_its_parts(rule: dict[str, Any]) -> None:
    path = urlsplit(rule["annotations"]["runbook_url"]).path
    assert path.endswith(f"/docs/runbook/{rule['alert']}.md")
    page = (ROOT / "docs/runbook" / f"{rule['alert']}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {rule['alert']}\n")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_there_is_a_case_that_fires_and_one_that_stays_silent(alert: str) -> None:
    cases = [
        case
        for file in (CHART / "rules/tests").glob("*.yaml")
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert any(case["exp_alerts"] for case in cases)
    assert any(not case["exp_alerts"] for case in cases)
