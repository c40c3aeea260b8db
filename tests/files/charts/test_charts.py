"""Every chart with every of its values files, by Helm 3 and 4, as a cluster would judge it."""

import subprocess
from pathlib import Path

import pytest

from tests.support import kube_schemas, pod_rules, references
from tests.support.charts import (
    CHARTS,
    HELMS,
    ROOT,
    Case,
    charts,
    documents,
    helm,
    least,
    rendered,
    resources,
    template,
)
from tests.support.charts import cases as all_cases
from tests.support.charts import manifests as all_manifests

CASES = [pytest.param(case, id=str(case)) for case in all_cases()]
MANIFESTS = [pytest.param(file, id=file.relative_to(CHARTS).as_posix()) for file in all_manifests()]
KUBERNETES = ("1.29", "1.31", "1.34", "1.37")
"""From the oldest that is promised (`kubeVersion`) to the newest that there are schemas for."""
PRIVILEGED = {
    "pilotage+ci/dind.yaml",
    "pilotage+ci/dind-rootless.yaml",
    "pilotage+environments/pilotage/values.yaml",
}
"""What asks for more than the restricted standard allows, by decision of who installs it."""


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("case", CASES)
def test_helm_has_nothing_to_say(case: Case, version: str) -> None:
    values = [argument for file in case.values for argument in ("--values", str(file))]
    answer = helm(version, "lint", "--strict", case.chart, *values)
    assert answer.returncode == 0, answer.stdout
    remarks = [line for line in answer.stdout.splitlines() if line.startswith("[")]
    assert remarks == []


@pytest.mark.parametrize("case", CASES)
def test_rendering_again_changes_nothing(case: Case) -> None:
    first = {version: rendered(version, case) for version in HELMS}
    again = {version: template(version, case).stdout for version in HELMS}
    assert first == again
    assert resources("helm3", case) == resources("helm4", case)


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_knows_every_key(case: Case) -> None:
    for version in KUBERNETES:
        found = resources("helm4", case, "--kube-version", f"{version}.0")
        assert found
        assert kube_schemas.problems(found, version) == []


@pytest.mark.parametrize("case", CASES)
def test_argo_cd_keda_and_the_prometheus_operator_know_every_key(case: Case) -> None:
    assert kube_schemas.foreign_problems(resources("helm4", case)) == []


@pytest.mark.parametrize("case", CASES)
def test_no_key_is_written_twice(case: Case) -> None:
    command = [".venv/bin/yamllint", "-d", "{rules: {key-duplicates: enable}}", "-"]
    text = rendered("helm4", case)
    answer = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert answer.stdout + answer.stderr == ""


@pytest.mark.parametrize("case", CASES)
def test_the_resources_fit_together(case: Case) -> None:
    assert references.dangling(resources("helm4", case)) == []


@pytest.mark.parametrize("case", CASES)
def test_pods_keep_the_restricted_standard(case: Case) -> None:
    refused = pod_rules.unrestricted(resources("helm4", case))
    assert bool(refused) == (str(case) in PRIVILEGED), refused


@pytest.mark.parametrize("case", [case for case in CASES if case.id not in PRIVILEGED])
def test_pods_keep_our_own_rules(case: Case) -> None:
    assert pod_rules.careless(resources("helm4", case)) == []


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: chart.relative_to(CHARTS).as_posix())
def test_a_misspelt_value_is_refused_by_name(chart: Path) -> None:
    for version in HELMS:
        answer = template(version, least(chart), "--set", "replicaz=2")
        assert answer.returncode != 0
        assert "replicaz" in answer.stderr


@pytest.mark.parametrize("file", MANIFESTS)
def test_plain_resources_are_valid(file: Path) -> None:
    found = documents(file.read_text(encoding="utf-8"))
    assert kube_schemas.foreign_problems(found) == []
    for version in KUBERNETES:
        assert kube_schemas.problems(found, version) == []
