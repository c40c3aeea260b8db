"""The demo's GitOps repository: the charts of the platform as they are, with a laptop's registry and patience."""

from pathlib import Path

import pytest
import yaml

from orchestrator.sandbox import samples
from orchestrator.sandbox.argocd_chart import render

CHARTS = Path(__file__).parents[4] / "charts/applications"
FILES = samples.gitops_files("127.0.0.1:5000", {"stg": 1, "other": 2})
TAG = 'image: {tag: "sha-1"}'
"""What Pilotage makes of an environment's values file, as far as it matters here."""


def rendered(chart, *value_files):
    files = {**FILES, "tag.yaml": TAG}
    read = lambda path: files[path].encode() if path in files else None  # noqa: E731 - a partial application
    return render(read, f"{samples.CHARTS}/{chart}", [*value_files, "/tag.yaml"])


def test_every_file_of_every_chart_is_there():
    inside = {path.relative_to(CHARTS).as_posix() for path in CHARTS.rglob("*") if path.is_file()}
    assert {f"{samples.CHARTS}/{name}" for name in inside} <= set(FILES)


def test_only_registry_and_patience_differ_from_the_charts():
    for path in CHARTS.rglob("*"):
        if path.is_file():
            here = path.read_text(encoding="utf-8").splitlines()
            there = FILES[f"{samples.CHARTS}/{path.relative_to(CHARTS).as_posix()}"].splitlines()
            changed = {old.partition(":")[0].strip() for old, new in zip(here, there, strict=True) if old != new}
            assert changed == ({"repository", "progressDeadlineSeconds"} if path.name == "values.yaml" else set())


@pytest.mark.parametrize("chart", ["plate-web", "plate-api"])
@pytest.mark.parametrize("environment", ["stg", "prod"])
def test_the_stand_in_of_argo_cd_understands_each_chart(chart, environment):
    found = rendered(chart, f"values-{environment}.yaml")
    assert found.image == f"127.0.0.1:5000/plate/{chart}:sha-1"
    assert (found.port, found.deadline) == (8080, float(samples.PROGRESS_DEADLINE))
    assert found.probe.startswith("/")


def test_other_environments_are_made_of_staging():
    assert rendered("plate-web", "values-other.yaml").replicas == 2
    other, staging = (yaml.safe_load(FILES[f"{samples.CHART}/values-{name}.yaml"]) for name in ("other", "stg"))
    assert {**other, "replicaCount": 1} == staging


def test_a_chart_that_does_not_name_its_image_where_expected_is_noticed():
    with pytest.raises(ValueError, match="0 lines begin with 'replicaCount'"):
        samples._set("replicas: 1\n", "replicaCount", "2")
