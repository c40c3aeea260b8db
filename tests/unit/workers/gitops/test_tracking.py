"""Does the application read the file that we edit: every way in which Argo CD can be told what to render."""

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Environment, GitAccess, Gitops
from tests.support.contracts import contract_files
from tests.support.effort import grows_with
from workers.gitops.tracking import automated, left_out, staged, tracks

REPO = "https://git.example.com/platform/gitops.git"
GITOPS = Gitops(access=GitAccess(url=REPO))
VALUES = "helm/shop-api/values-prod.yaml"
IMAGE = "harbor.example.com/shop/api"
ENV = Environment(name="prod", values=VALUES, argocd="shop-api")
FOLDER = {"repoURL": REPO, "path": "helm/shop-api", "targetRevision": "main"}
HELM = FOLDER | {"helm": {"valueFiles": ["values.yaml", "values-prod.yaml"]}}
CHART = {"repoURL": "https://charts.example.com", "chart": "api", "targetRevision": "1.2.3"}


def application(*sources: dict[str, Any], kind: str = "Helm", policy: Any = None, **spec: Any) -> dict[str, Any]:
    where = {"source": sources[0]} if len(sources) == 1 else {"sources": list(sources)}
    policy = {"automated": {"prune": True}} if policy is None else policy
    spec = {"project": "shop", "destination": {"namespace": "shop-prod"}, "syncPolicy": policy, **where, **spec}
    kinds = ["" if "ref" in source and "path" not in source else kind for source in sources]
    status = {"sourceType": kind} if len(sources) == 1 else {"sourceTypes": kinds}
    return {"metadata": {"name": "shop-api"}, "spec": spec, "status": status}


def helm(**settings: Any) -> dict[str, Any]:
    return FOLDER | {"helm": {"valueFiles": ["values-prod.yaml"], **settings}}


def with_file(name: str) -> dict[str, Any]:
    return FOLDER | {"helm": {"valueFiles": [name]}}


VALUES_REF = {"repoURL": REPO, "targetRevision": "main", "ref": "values"}

TRACKED = {
    "by value file": application(HELM),
    "by the ssh address of the same repository": application(
        HELM | {"repoURL": "git@git.example.com:platform/gitops.git"}
    ),
    "by the default branch": application(HELM | {"targetRevision": "HEAD"}),
    "by no revision": application({k: v for k, v in HELM.items() if k != "targetRevision"}),
    "by a full ref": application(HELM | {"targetRevision": "refs/heads/main"}),
    "rooted at the repository": application(with_file("/helm/shop-api/values-prod.yaml")),
    "out of a sibling folder": application(with_file("../shop-api/values-prod.yaml")),
    "by pattern": application(with_file("values-*.yaml")),
    "by a variable": application(with_file("../$ARGOCD_APP_NAME/values-prod.yaml")),
    "by a variable in braces": application(with_file("../${ARGOCD_APP_NAME}/values-prod.yaml")),
    "by reference from a chart": application(
        CHART | {"helm": {"valueFiles": ["$values/helm/shop-api/values-prod.yaml"]}}, VALUES_REF
    ),
    "beside another value file by address": application(
        FOLDER | {"helm": {"valueFiles": ["https://git.example.com/x.yaml", "values-prod.yaml"]}}
    ),
    "as a plain folder": application(FOLDER, kind="Directory"),
    "as the whole repository": application(
        {"repoURL": REPO, "path": ".", "directory": {"recurse": True}}, kind="Directory"
    ),
    "as a folder with those below": application(
        FOLDER | {"path": "helm", "directory": {"recurse": True}}, kind="Directory"
    ),
    "by a Kustomization that may reach anywhere": application(FOLDER | {"path": "overlays/prod"}, kind="Kustomize"),
    "through the source hydrator": application(
        {},
        sourceHydrator={"drySource": HELM, "syncSource": {"targetBranch": "env/prod", "path": "shop-api"}},
    ),
    "by a Kustomization through the source hydrator": application(
        {},
        kind="Directory",
        sourceHydrator={"drySource": FOLDER | {"path": "overlays/prod"}, "syncSource": {"path": "shop-api"}},
    ),
    "with other parameters": application(helm(parameters=[{"name": "replicaCount", "value": "2"}])),
    "beside a source whose address is none": application({"repoURL": "https://h:abc/x", "path": "."}, HELM),
    "with other inline values": application(helm(values="image: {pullPolicy: Always}", valuesObject={"image": {}})),
    "with inline values that are no YAML": application(helm(values="{")),
    "with inline values that nest too deeply": application(helm(values="[" * 5000 + "]" * 5000)),
}


def test_a_repository_may_have_another_address_in_the_cluster():
    inside = "http://gitea-http.gitea.svc:3000/platform/gitops.git"
    found = application(HELM | {"repoURL": inside})
    assert "not " in (tracks(found, GITOPS, ENV, IMAGE) or "")
    assert tracks(found, replace(GITOPS, aliases=(inside.removesuffix(".git"),)), ENV, IMAGE) is None


@pytest.mark.parametrize("case", TRACKED)
def test_tracked(case):
    assert tracks(TRACKED[case], GITOPS, ENV, IMAGE) is None


@pytest.mark.parametrize(
    "file", ["values.yaml", "Chart.yaml", "charts/redis/values.yaml", "charts/a/charts/b/Chart.yaml"]
)
@pytest.mark.parametrize("folder", ["helm/shop-api", "."])
def test_a_chart_reads_its_own_files_and_those_of_charts_inside_it(file, folder):
    env = replace(ENV, values=file if folder == "." else f"{folder}/{file}")
    assert tracks(application(FOLDER | {"path": folder}), GITOPS, env, IMAGE) is None


@pytest.mark.parametrize(
    "file", ["helm/values.yaml", "helm/shop-api/charts/values.yaml", "helm/shop-api-2/Chart.yaml"]
)
def test_a_chart_reads_no_files_of_others(file):
    said = tracks(application(FOLDER), GITOPS, replace(ENV, values=file), IMAGE)
    assert said == f"shop-api does not read {file}: it reads helm/shop-api"


SAME = "; if that is the same repository, name it in `gitops.aliases`"
PROBLEMS = {
    "another repository": (
        application(HELM | {"repoURL": "https://git.example.com/other.git"}),
        f"shop-api reads https://git.example.com/other.git, not {REPO}{SAME}",
    ),
    "no source at all": ({"metadata": {}, "spec": {}}, f"shop-api reads nothing, not {REPO}{SAME}"),
    "a chart of the same address": (
        application(FOLDER | {"chart": "shop-api"}),
        f"shop-api reads {REPO}, not {REPO}{SAME}",
    ),
    "another branch": (
        application(HELM | {"targetRevision": "release"}),
        f"shop-api reads the revision release of {REPO}, not the branch main",
    ),
    "another value file": (
        application(with_file("values-stg.yaml")),
        f"shop-api does not read {VALUES}: its value files are values-stg.yaml",
    ),
    "no value file": (application(FOLDER), f"shop-api does not read {VALUES}: it reads helm/shop-api"),
    "another folder": (
        application(FOLDER | {"path": "helm/shop"}, kind="Directory"),
        f"shop-api does not read {VALUES}: it reads helm/shop, not the folders below",
    ),
    "another folder with those below": (
        application(FOLDER | {"path": "helm/shop", "directory": {"recurse": True}}, kind="Directory"),
        f"shop-api does not read {VALUES}: it reads helm/shop",
    ),
    "a folder above": (
        application(FOLDER | {"path": "helm"}, kind="Directory"),
        f"shop-api does not read {VALUES}: it reads helm, not the folders below",
    ),
    "the whole repository without its folders": (
        application(FOLDER | {"path": "."}, kind="Directory"),
        f"shop-api does not read {VALUES}: it reads ., not the folders below",
    ),
    "a reference to another source": (
        application(CHART | {"helm": {"valueFiles": [f"$other/{VALUES}"]}}, VALUES_REF, FOLDER),
        f"shop-api does not read {VALUES}: its value files are $other/{VALUES}",
    ),
    "a parameter": (
        application(helm(parameters=[{"name": "image.tag", "value": "1"}])),
        f"shop-api sets image.tag by the parameter image.tag of the application, which wins over {VALUES}",
    ),
    "inline values as an object": (
        application(helm(valuesObject={"image": {"tag": "1"}})),
        f"shop-api sets image.tag by `helm.valuesObject` of the application, which wins over {VALUES}",
    ),
    "inline values as text": (
        application(helm(values="image:\n  tag: '1'\n")),
        f"shop-api sets image.tag by `helm.values` of the application, which wins over {VALUES}",
    ),
    "nobody syncs": (
        application(HELM, policy={}),
        "shop-api has no automated sync; turn it on or set `sync: true` for the environment",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_problem(case):
    found, sentence = PROBLEMS[case]
    assert tracks(found, GITOPS, ENV, IMAGE) == sentence


def kustomized(*images: Any) -> dict[str, Any]:
    return application(FOLDER | {"path": "overlays/prod", "kustomize": {"images": list(images)}}, kind="Kustomize")


@pytest.mark.parametrize(
    "entry", [f"{IMAGE}:1", f"api={IMAGE}:1", f"{IMAGE}@sha256:{'a' * 64}", f"api={IMAGE}:1@sha256:{'a' * 64}"]
)
def test_an_image_that_the_application_names_wins_over_the_kustomization(entry):
    found = tracks(kustomized("sidecar:2", entry), GITOPS, ENV, IMAGE)
    assert found == (
        f"shop-api sets the image by `kustomize.images` of the application ({entry}), which wins over {VALUES}"
    )


@pytest.mark.parametrize(
    "entry", [f"api={IMAGE}", f"{IMAGE}:*", f"{IMAGE}-admin:1", "harbor.example.com/other/api:1", "", 1, "a b="]
)
def test_another_image_or_one_without_a_tag_leaves_the_kustomization_in_force(entry):
    assert tracks(kustomized(entry), GITOPS, ENV, IMAGE) is None


def test_a_parameter_out_of_a_file_wins():
    found = application(helm(fileParameters=[{"name": "image.tag", "path": "tag.txt"}]))
    assert "by the parameter image.tag" in (tracks(found, GITOPS, ENV, IMAGE) or "")


@pytest.mark.parametrize("settings", [{"parameters": [{"name": "image.digest"}]}, {"values": "image: {digest: x}"}])
def test_what_sets_the_digest_that_we_edit_wins_too(settings):
    env = replace(ENV, digest_key="image.digest")
    assert "sets image.digest by " in (tracks(application(helm(**settings)), GITOPS, env, IMAGE) or "")


@pytest.mark.parametrize(
    ("key", "name", "value", "wins"),
    [
        ("image.tag", "image.digest", "sha256:aa", True),
        ("image.tag", "image.sha", "sha256:aa", True),
        ("tag", "digest", "sha256:aa", True),
        ("images.0.newTag", "images[0].digest", "sha256:aa", True),
        ("image.tag", "image.digest", "", False),
        ("image.tag", "sidecar.digest", "sha256:aa", False),
    ],
)
def test_a_digest_beside_the_tag_wins(key, name, value, wins):
    found = application(helm(parameters=[{"name": name, "value": value}]))
    said = f"shop-api sets {name} by a parameter of the application, which wins over {VALUES}"
    assert tracks(found, GITOPS, replace(ENV, key=key), IMAGE) == (said if wins else None)


def test_the_charts_own_values_are_always_read():
    env = Environment(name="prod", values="helm/shop-api/values.yaml", argocd="shop-api")
    assert tracks(application(with_file("values-prod.yaml")), GITOPS, env, IMAGE) is None


@pytest.mark.parametrize("name", ["images[0].newTag", "images.0.newTag"])
def test_a_parameter_with_an_index_is_recognised(name):
    env = Environment(name="prod", values=VALUES, argocd="shop-api", key="images.0.newTag")
    found = application(helm(parameters=[{"name": name, "value": "1"}]))
    assert "wins over" in (tracks(found, GITOPS, env, IMAGE) or "")


def test_an_inline_list_wins_over_every_item_of_the_files_list():
    env = Environment(name="prod", values=VALUES, argocd="shop-api", key="images.0.newTag")
    found = application(helm(valuesObject={"images": [{"name": "api"}]}))
    assert "`helm.valuesObject`" in (tracks(found, GITOPS, env, IMAGE) or "")


def test_an_environment_that_syncs_by_itself_needs_no_automation():
    env = Environment(name="prod", values=VALUES, argocd="shop-api", sync=True)
    assert tracks(application(HELM, policy={}), GITOPS, env, IMAGE) is None


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, False),
        ({"automated": {}}, True),
        ({"automated": {"enabled": True}}, True),
        ({"automated": {"enabled": False}}, False),
        ({"automated": None}, False),
    ],
)
def test_automated(policy, expected):
    assert automated(application(HELM, policy=policy)) is expected


def test_the_work_grows_with_the_sources_and_not_with_their_square():
    def read(count):
        chart = CHART | {"helm": {"valueFiles": [f"$values/{VALUES}"]}}
        refs = [VALUES_REF | {"ref": f"other-{number}"} for number in range(count)]
        others = [CHART | {"helm": {"valueFiles": ["$no/x.yaml"]}}] * count
        assert tracks(application(*others, *refs, VALUES_REF, chart), GITOPS, ENV, IMAGE) is None

    assert grows_with(read, 100) < 6


@pytest.mark.parametrize(
    ("paths", "sources", "out"),
    [
        (".", [FOLDER], False),
        ("/helm", [FOLDER], False),
        (" ; /other ;/helm/shop-api/values-prod.yaml", [FOLDER], False),
        ("/helm/*/values-*.yaml", [FOLDER], False),
        ("/", [FOLDER], False),
        ("", [FOLDER], False),
        (None, [FOLDER], False),
        ("../shop-api", [FOLDER | {"path": "helm/other"}], False),
        (".", [FOLDER | {"path": "helm/other"}, FOLDER], False),
        (".", [FOLDER | {"path": "helm/shop"}], True),
        ("/helm/shop-api/templates;.", [FOLDER | {"path": "charts/api"}], True),
        ("/helm/shop-api/values-prod.yml", [FOLDER], True),
        ("/charts; ;", [FOLDER], True),
        (".", [CHART, VALUES_REF], False),
    ],
)
def test_a_file_may_be_left_out_of_the_paths_that_count(paths, sources, out):
    found = application(*sources)
    found["metadata"]["annotations"] = {"argocd.argoproj.io/manifest-generate-paths": paths}
    assert left_out(found, VALUES) == (paths if out else "")


OF_SET = {"ownerReferences": [{"kind": "ApplicationSet", "name": "shop"}]}
BY_SET = {"initiatedBy": {"username": "applicationset-controller", "automated": True}}


@pytest.mark.parametrize(
    ("metadata", "status", "expected"),
    [
        (OF_SET, {"operationState": {"operation": BY_SET}}, True),
        (OF_SET, {"operationState": {"operation": {"initiatedBy": {"username": "mina"}}}, "history": [BY_SET]}, True),
        (OF_SET, {"operationState": {"operation": {"initiatedBy": {"username": "mina"}}}}, False),
        (OF_SET, {}, False),
        ({"ownerReferences": [{"kind": "Other"}]}, {"operationState": {"operation": BY_SET}}, False),
        ({}, {"operationState": {"operation": BY_SET}}, False),
    ],
)
@pytest.mark.parametrize("policy", [{"syncOptions": []}, {"automated": {"prune": True, "enabled": False}}])
def test_an_application_set_that_syncs_step_by_step_takes_the_automation_out(policy, metadata, status, expected):
    found = application(HELM, policy=policy)
    found["metadata"] |= metadata
    found["status"] |= status
    assert automated(found) is expected
    assert (tracks(found, GITOPS, ENV, IMAGE) is None) is expected


@pytest.mark.parametrize("path", contract_files("argocd/samples/*new-revision.json"), ids=lambda path: path.name)
def test_the_sample_of_the_contract_is_tracked(path):
    assert tracks(json.loads(path.read_text()), GITOPS, ENV, IMAGE) is None


@pytest.mark.parametrize(
    ("hydrator", "told"),
    [
        (None, ""),
        ({"syncSource": {"targetBranch": "env/prod"}}, ""),
        (
            {"hydrateTo": {"targetBranch": "next"}},
            "somebody has to merge next, where it is hydrated, into its branch",
        ),
    ],
)
def test_a_merge_in_front_of_what_is_synced_is_named(hydrator, told):
    assert staged(application(HELM, sourceHydrator=hydrator)) == told
