"""The files of Pilotage's chart that others make or read: schema, README, alert rules, dashboards."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from orchestrator.domain.metrics import METRICS
from tests.support.charts import ROOT, Case, resources
from tests.support.pilotage_chart import CHART, blocks, case, kinds, named, render
from tests.support.pod_rules import containers, pods

RULES = CHART / "rules/pilotage.yaml"
DASHBOARDS = sorted(CHART.glob("dashboards/*.json"))


def test_readme_and_schema_are_made_from_the_values() -> None:
    command = [sys.executable, ".ci/charts.py", "--check"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_schema_knows_every_key_and_says_what_it_means() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    objects = list(_objects(schema))
    assert len(objects) > 30
    for one in objects:
        assert one["additionalProperties"] is False
        for name, inner in one["properties"].items():
            assert inner.get("description") or "properties" in inner, name


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema that lists properties."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield node
        for inner in node.values():
            yield from _objects(inner)


def test_the_values_of_the_readme_work(tmp_path: Path) -> None:
    (block,) = blocks((CHART / "README.md").read_text(encoding="utf-8"), "checked: values")
    found = render(tmp_path, yaml.safe_load(block), Case(CHART))
    assert kinds(found, "Deployment") == ["relay", "web", "webhooks", "worker-build", "worker-deploy"]


def test_the_alert_rules_arrive_as_they_are(tmp_path: Path) -> None:
    rule = named(resources("helm4", case("full")), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    answer = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_every_dashboard_arrives_as_it_is() -> None:
    assert DASHBOARDS
    found = resources("helm4", case("full"))
    for file in DASHBOARDS:
        resource = named(found, "ConfigMap", f"-dashboard-{file.stem}")
        assert resource["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(resource["data"][file.name]) == json.loads(file.read_text(encoding="utf-8"))
    assert len([name for name in kinds(found, "ConfigMap") if "dashboard" in name]) == len(DASHBOARDS)


def test_the_chart_is_of_the_version_of_the_program_and_lists_the_images_of_others() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]
    listed = {one["image"] for one in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])}
    engines = {
        part["image"]
        for mode in ("dind", "dind-rootless")
        for _, pod in pods(resources("helm4", case(mode)))
        for part in containers(pod)
        if part["name"] == "engine"
    }
    assert listed == engines


def test_the_figure_that_scales_builders_is_one_that_is_told() -> None:
    (row,) = (metric for metric in METRICS if metric.name == "pilotage_queue_runs")
    assert {"ready", "running"} <= set(row.labels["state"])
    assert "build" in row.labels["queue"]


def test_builders_are_scaled_by_what_runs_and_what_is_due() -> None:
    (trigger,) = named(resources("helm4", case("full")), "ScaledObject")["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    promql_parser.parse(query)
    assert 'state=~"ready|running"' in query
    assert 'queue="build"' in query
    assert 'namespace="somewhere"' in query
