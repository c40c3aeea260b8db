"""Does an application of several sources read the file that we edit? Argo CD tells the kind of each."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Environment, GitAccess, Gitops
from workers.gitops.tracking import files_read, tracks

GITOPS = Gitops(access=GitAccess(url="https://git.example.com/platform/gitops.git"))
FOLDER = {"repoURL": GITOPS.access.url, "path": "envs", "targetRevision": "main"}
ENV = Environment(name="prod", values="envs/prod/shop-api.yaml", argocd="shop-api")
IMAGE = "harbor.example.com/shop/api"


def chart_and_values() -> dict[str, Any]:
    """A chart whose values lie in the GitOps repository; of two sources there is no ``sourceType``."""
    chart = {
        "repoURL": "https://charts.example.com/stable",
        "targetRevision": "1.8.2",
        "chart": "webapp",
        "helm": {"valueFiles": ["$values/envs/prod/shop-api.yaml"]},
    }
    values = {"repoURL": GITOPS.access.url, "targetRevision": "main", "ref": "values"}
    return {
        "metadata": {"name": "shop-api"},
        "spec": {"syncPolicy": {"automated": {}}, "sources": [chart, values]},
        "status": {"sourceTypes": ["Helm", ""]},
    }


def with_source(source: dict[str, Any], kind: str) -> dict[str, Any]:
    found = chart_and_values()
    found["spec"]["sources"].append(source)
    found["status"]["sourceTypes"].append(kind)
    return found


def said(found: dict[str, Any], values: str = ENV.values) -> str | None:
    return tracks(found, GITOPS, replace(ENV, values=values), IMAGE)


@pytest.mark.parametrize("status", [{"sourceTypes": ["Helm", ""]}, {}])
def test_what_is_there_for_references_reads_nothing_by_itself(status: dict[str, Any]) -> None:
    found = chart_and_values() | {"status": status}
    assert said(found) is None
    other = "envs/stg/shop-api.yaml"
    problem = f"does not read {other}: its value files are $values/envs/prod/shop-api.yaml"
    assert said(found, other) == f"shop-api {problem}"
    assert said(found, "values.yaml") is not None
    assert files_read(found, GITOPS) == (ENV.values,)


def test_each_source_is_judged_by_its_own_kind() -> None:
    plain = with_source(FOLDER, "Directory")
    assert said(plain, "envs/shop-api.yaml") is None
    assert said(plain, "envs/stg/shop-api.yaml") is not None
    helm = with_source(FOLDER, "Helm")
    assert said(helm, "envs/values.yaml") is None
    assert said(helm, "envs/shop-api.yaml") is not None
    assert "envs/values.yaml" in files_read(helm, GITOPS)
    assert said(with_source(FOLDER, "Kustomize"), "base/anything.yaml") is None
    assert said(with_source(FOLDER | {"ref": "more"}, "Directory"), "envs/shop-api.yaml") is None
