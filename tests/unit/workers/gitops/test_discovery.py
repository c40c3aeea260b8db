"""What Argo CD runs already becomes environments of the configuration, or a sentence why not."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Environment, GitAccess, Gitops
from workers.gitops.discovery import Candidate, LeftOut, app_of, discover, files_wanted, promoted

REPO = "https://git.example.com/platform/gitops.git"
GITOPS = Gitops(access=GitAccess(url=REPO))
HOST = "harbor.example.com"
BASE = b"image:\n  repository: harbor.example.com/plate/plate-web\n  tag: v0\n"
FILES = {
    "plate-web/values.yaml": BASE,
    "plate-web/values-stg.yaml": b"image:\n  tag: v2\n",
    "plate-web/values-prod.yaml": b"image:\n  tag: v1\n",
}


def application(name: str, *values: str, automated: bool = True, **source: Any) -> dict[str, Any]:
    policy = {"automated": {}} if automated else {}
    read = {"repoURL": REPO, "path": "plate-web", "helm": {"valueFiles": list(values)}} | source
    return {
        "metadata": {"name": name},
        "spec": {"source": read, "syncPolicy": policy},
        "status": {"sourceType": "Helm"},
    }


STG, PROD = application("plate-web-stg", "values-stg.yaml"), application("plate-web-prod", "values-prod.yaml")


def look(*applications: dict[str, Any], files: dict[str, bytes] = FILES) -> tuple[list[Candidate], list[LeftOut]]:
    return discover(applications, files, GITOPS, HOST)


def environments(*applications: dict[str, Any], files: dict[str, bytes] = FILES) -> list[Environment]:
    found, left_out = look(*applications, files=files)
    assert left_out == []
    return [one.environment for one in found]


def left_out(*applications: dict[str, Any], files: dict[str, bytes] = FILES) -> dict[str, str]:
    found, left = look(*applications, files=files)
    assert found == []
    return {one.application: one.why for one in left}


def test_an_application_is_an_environment_with_the_file_that_wins() -> None:
    ((found,), left) = look(STG)
    assert (found.image, found.tag, left) == ("plate/plate-web", "v2", [])
    assert found.environment == Environment(
        name="stg", values="plate-web/values-stg.yaml", argocd="plate-web-stg", key="image.tag"
    )


def test_only_files_that_applications_read_are_wanted() -> None:
    assert files_wanted(
        [STG, application("x", "values-*.yaml", repoURL="https://git.example.com/other.git")], GITOPS
    ) == [
        "plate-web/values-stg.yaml",
        "plate-web/values.yaml",
    ]


def test_environments_stand_in_the_order_in_which_an_image_goes_through_them() -> None:
    assert [one.name for one in environments(PROD, STG)] == ["stg", "prod"]


def test_every_usual_name_of_an_environment_has_its_place() -> None:
    names = ("dev", "test", "int", "qa", "stg", "uat", "preprod", "production", "live")
    files = {"plate-web/values.yaml": BASE} | {
        f"plate-web/values-{name}.yaml": b"image: {tag: v1}\n" for name in names
    }
    given = [application(f"plate-web-{name}", f"values-{name}.yaml") for name in sorted(names)]
    assert tuple(one.name for one in environments(*given, files=files)) == names


def test_pushes_deploy_to_the_first_and_each_next_one_follows() -> None:
    names = ("dev", "stg", "prod")
    dev, stg, prod = promoted([Environment(name=name, values="v", argocd="a") for name in names])
    assert (dev.branch, dev.promote_from, dev.approval) == ("main", "", False)
    assert (stg.branch, stg.promote_from, stg.approval) == ("", "dev", False)
    assert (prod.branch, prod.promote_from, prod.approval) == ("", "stg", True)


def test_what_deploys_to_an_environment_of_any_other_name_is_not_known() -> None:
    one, other, stg = promoted([Environment(name=name, values="v", argocd="a") for name in ("eu", "us", "stg")])
    assert [(place.branch, place.promote_from) for place in (one, other, stg)] == [("", ""), ("", ""), ("main", "")]
    (alone,) = promoted([Environment(name="eu", values="v", argocd="a")])
    assert alone.branch == "main"


@pytest.mark.parametrize(
    ("name", "file", "environment"),
    [
        ("plate-web-stg", "values-x.yaml", "stg"),
        ("stg-plate-web", "values-x.yaml", "stg"),
        ("shop", "values-stg.yaml", "stg"),
        ("shop", "stg.values.yaml", "stg"),
        ("shop", "envs/stg.yaml", "shop"),
    ],
)
def test_an_environment_is_named_after_what_its_names_have_beside_the_app(
    name: str, file: str, environment: str
) -> None:
    files = {"plate-web/values.yaml": BASE, f"plate-web/{file}": b"image: {tag: v1}\n"}
    (found,) = environments(application(name, file), files=files)
    assert found.name == environment


def test_without_automated_sync_pilotage_is_to_ask_for_it() -> None:
    (found,) = environments(application("plate-web-stg", "values-stg.yaml", automated=False))
    assert found.sync


def test_each_image_of_an_application_is_an_app() -> None:
    files = {"plate-web/values.yaml": BASE + b"sideImage: harbor.example.com/plate/side:v9\n"}
    assert [(one.key, one.value) for one in environments(application("shop"), files=files)] == [
        ("image.tag", "tag"),
        ("sideImage", "image"),
    ]


def test_two_that_read_the_tag_from_one_file_are_left_out() -> None:
    told = left_out(application("plate-web-a"), application("plate-web-b"))
    shared = "image.tag stands in plate-web/values.yaml, which plate-web-b reads as well"
    assert told["plate-web-a"] == f"{shared}; give each a values file of its own"
    assert "plate-web-a reads as well" in told["plate-web-b"]


LEFT_OUT = {
    "another repository": (
        application("web", repoURL="https://git.example.com/other.git"),
        FILES,
        f"it reads no values file of {REPO}",
    ),
    "another registry": (
        application("web"),
        {"plate-web/values.yaml": b"image: {repository: docker.io/library/redis, tag: v7}"},
        "plate-web/values.yaml: no image of harbor.example.com with a tag",
    ),
    "another branch": (application("web", targetRevision="v1"), FILES, "reads the revision v1 of"),
    "a parameter that wins": (
        application("web", helm={"parameters": [{"name": "image.tag", "value": "v1"}]}),
        FILES,
        "sets image.tag by the parameter image.tag",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_could_not_be_deployed_is_left_out_with_a_sentence(case: str) -> None:
    one, files, why = LEFT_OUT[case]
    assert why in left_out(one, files=files)["web"]


def test_a_warning_of_the_file_is_told() -> None:
    files = {"plate-web/values.yaml": BASE + b"  digest: sha256:1\n"}
    ((found,), _) = look(application("web"), files=files)
    assert "image.digest (line 4) is not empty" in found.warning


def test_an_image_behind_an_anchor_is_edited_where_it_is_written() -> None:
    files = {"plate-web/values.yaml": b"base: &b {repository: harbor.example.com/p/web, tag: v1}\nimage: *b\n"}
    ((found,), _) = look(application("web"), files=files)
    assert found.environment.key == "base.tag"
    assert "also changes what its anchor provides elsewhere" in found.warning


def test_what_a_merge_provides_cannot_be_edited_and_is_left_out() -> None:
    files = {"plate-web/values.yaml": b"base: &b {repository: harbor.example.com/p/web, tag: v1}\nimage: {<<: *b}\n"}
    ((found,), (left,)) = look(application("web"), files=files)
    assert found.environment.key == "base.tag"
    assert "image.tag is missing: this map does not write it out (a merge, <<, may provide it)" in left.why


def test_another_address_of_the_repository_counts() -> None:
    inside = "http://gitea.svc/platform/gitops.git"
    gitops = replace(GITOPS, aliases=(inside,))
    found, _ = discover([application("web", repoURL=inside)], FILES, gitops, HOST)
    assert [one.environment.values for one in found] == ["plate-web/values.yaml"]


@pytest.mark.parametrize(("image", "app"), [("plate/plate-web", "plate-web"), ("web", "web")])
def test_an_app_is_named_after_its_image(image: str, app: str) -> None:
    assert app_of(image) == app


@pytest.mark.parametrize(
    "odd", [{}, {"metadata": None}, {"spec": {"source": {"repoURL": REPO, "helm": {"valueFiles": 1}}}}]
)
def test_odd_answers_of_argo_cd_are_left_out(odd: dict[str, Any]) -> None:
    assert list(left_out(odd).values()) == [f"it reads no values file of {REPO}"]
