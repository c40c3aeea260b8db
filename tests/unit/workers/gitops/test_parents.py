"""An app of apps named where one of its children is meant: said at once, and which child it is."""

from typing import Any

import pytest

from orchestrator.domain.apps import Environment, GitAccess, Gitops
from tests.support.applications import healthy
from workers.gitops.parents import fault_of, is_parent, readers

IMAGE_NAME = "harbor.example.com/shop/api"

GITOPS = Gitops(access=GitAccess(url="https://git.example.com/platform/gitops.git"), branch="main")
ENV = Environment(name="prod", values="helm/shop/values-prod.yaml", argocd="root", key="image.tag")
CHILD = {"group": "argoproj.io", "kind": "Application", "name": "shop"}
SET = {"group": "argoproj.io", "kind": "ApplicationSet", "name": "shops"}
Json = dict[str, Any]


@pytest.mark.parametrize(
    ("resources", "parent"),
    [
        ([CHILD], True),
        ([SET, {"kind": "Namespace"}, {"group": "argoproj.io", "kind": "AppProject"}], True),
        ([CHILD, {"group": "apps", "kind": "Deployment"}], False),
        ([CHILD, {"group": "example.com", "kind": "Cluster"}], False),
        ([{"group": "app.k8s.io", "kind": "Application"}], False),
        ([{"kind": "ConfigMap"}], False),
        ([], False),
        (None, False),
        ([{"group": "argoproj.io", "kind": {}}], False),
    ],
)
def test_a_parent_has_children_and_nothing_that_runs(resources: Any, parent: bool) -> None:
    found = healthy({"status.resources": resources})
    assert is_parent(found) is parent
    told = fault_of(found, GITOPS, ENV, IMAGE_NAME) or ""
    assert ("root is an app of apps" in told) is parent


def reader(name: str, files: list[str] | None = None, **source: Any) -> Json:
    """Make an application as the list shows it."""
    helm = {"helm": {"valueFiles": files}} if files else {}
    read = {"repoURL": GITOPS.access.url, "path": "helm/shop", "targetRevision": "main"} | helm | source
    return {"metadata": {"name": name}, "spec": {"source": read, "syncPolicy": {"automated": {}}}}


READS = reader("shop-prod", ["values-prod.yaml"])


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ([READS], f"shop-prod does read {ENV.values}: name that in `argocd`"),
        ([reader("shop-stg", ["values-stg.yaml"]), READS], "shop-prod does read"),
        ([reader(name, ["values-prod.yaml"]) for name in "dcba"], "a, b, c and 1 more do read"),
    ],
)
def test_who_reads_the_file_is_named(listed: list[Json], told: str) -> None:
    assert told in readers(listed, GITOPS, ENV, IMAGE_NAME)


@pytest.mark.parametrize(
    "one",
    [
        {},
        reader("root", ["values-prod.yaml"]),
        reader("", ["values-prod.yaml"]),
        reader("shop-stg", ["values-stg.yaml"]),
        reader("of another branch", ["values-prod.yaml"], targetRevision="release"),
        reader("of another repository", ["values-prod.yaml"], repoURL="https://git.example.com/other.git"),
        reader("that may be anything"),
    ],
)
def test_nobody_is_named_who_may_not_read_it(one: Json) -> None:
    assert readers([one], GITOPS, ENV, IMAGE_NAME) == ""


def test_what_a_folder_reads_by_itself_is_known_without_being_told() -> None:
    kept = Environment(name="prod", values="overlays/prod/kustomization.yaml", argocd="root", key="images.0.newTag")
    assert "shop does read" in readers([reader("shop", path="overlays/prod")], GITOPS, kept, IMAGE_NAME)
