"""The charts, what they are rendered with, and Helm 3 and 4. A chart in ``charts/`` is found by being there.

``values.yaml`` is always read. Each ``values-*.yaml`` beside it (an environment) and each ``ci/*.yaml`` (a way to use
the chart that only the tests have) is rendered on top of it. A chart that cannot do without values of its user has
them in ``ci/minimal.yaml``, which lies under all others. An Argo CD Application that deploys a chart of this
repository is a case of its own, with the values files that it names.
"""

import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.needs import require

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
TOOLS = ROOT / ".venv/tools"
HELMS = ("helm3", "helm4")
RELEASE = "release-name"
NAMESPACE = "somewhere"
DEADLINE = 60
"""Seconds that one call of Helm may take on a busy machine."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A chart and the values files that it is rendered with."""

    chart: Path
    values: tuple[Path, ...] = ()

    def __str__(self) -> str:
        above = (self.chart, CHARTS)
        names = [
            value.relative_to(above[not value.is_relative_to(self.chart)]).as_posix() for value in self.values[-1:]
        ]
        return "+".join([self.chart.relative_to(CHARTS).as_posix(), *names])


def charts() -> list[Path]:
    """Find the folders of all charts."""
    return sorted(file.parent for file in CHARTS.rglob("Chart.yaml"))


def cases() -> list[Case]:
    """List every chart with each of its values files, and with those of the Applications that deploy it."""
    found = [case for chart in charts() for case in _cases(chart)]
    return list({str(case): case for case in [*found, *_applications()]}.values())


def least(chart: Path) -> Case:
    """Return the case with no more values than the chart needs."""
    minimal = chart / "ci/minimal.yaml"
    return Case(chart, (minimal,) if minimal.exists() else ())


def _cases(chart: Path) -> Iterator[Case]:
    base = least(chart)
    yield base
    for values in sorted({*chart.glob("values-*.yaml"), *chart.glob("ci/*.yaml")} - {*base.values}):
        yield Case(chart, (*base.values, values))


def _applications() -> Iterator[Case]:
    for document in (document for file in manifests() for document in documents(file.read_text(encoding="utf-8"))):
        source = document.get("spec", {}).get("source", {}) if document["kind"] == "Application" else {}
        chart = ROOT / source.get("path", "")
        if (chart / "Chart.yaml").exists():
            files = source.get("helm", {}).get("valueFiles", [])
            # A path that begins with a slash starts at the top of the repository, others at the chart.
            yield Case(chart, tuple(ROOT / file[1:] if file.startswith("/") else chart / file for file in files))


def manifests() -> list[Path]:
    """Find the files of plain resources: YAML with an ``apiVersion`` and a ``kind`` that lies in no chart."""
    inside = charts()
    files = [file for file in CHARTS.rglob("*.yaml") if not any(file.is_relative_to(chart) for chart in inside)]
    return sorted(file for file in files if any(is_resource(document) for document in documents(file.read_text())))


def is_resource(document: Any) -> bool:
    """Tell a resource from other YAML."""
    return isinstance(document, dict) and "apiVersion" in document and "kind" in document


def documents(text: str) -> list[Any]:
    """Read a stream of YAML documents, without the empty ones."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document is not None]


def need(tool: str) -> Path:
    """Return a program of ``.venv/tools``; without it skip, or fail on the build server."""
    path = TOOLS / tool
    require(path.exists(), f"no {path.relative_to(ROOT)}; run `make setup`")
    return path


def helm(version: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm without the user's settings. Returns what it answered; an error is not raised."""
    with tempfile.TemporaryDirectory() as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": f"{home}/none"}
        return subprocess.run(
            [need(version), *arguments], env=environ, capture_output=True, text=True, timeout=DEADLINE, check=False
        )


def template(version: str, case: Case, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``helm template`` over a case."""
    values = [argument for file in case.values for argument in ("--values", str(file))]
    return helm(version, "template", RELEASE, case.chart, "--namespace", NAMESPACE, *values, *arguments)


@functools.cache
def rendered(version: str, case: Case, *arguments: str) -> str:
    """Render a case once per process; fails the test when Helm does."""
    answer = template(version, case, *arguments)
    if answer.returncode != 0:
        pytest.fail(f"{version} template {case}: {answer.stderr}")
    return answer.stdout


def resources(version: str, case: Case, *arguments: str) -> list[Document]:
    """Render a case and read its resources."""
    return documents(rendered(version, case, *arguments))


def name_of(document: Document) -> str:
    """Name a resource for people: ``Deployment/web``."""
    return f"{document['kind']}/{document['metadata']['name']}"
