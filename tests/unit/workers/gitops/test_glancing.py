"""What a list of Argo CD's applications says of each environment, and whose a commit is."""

from typing import Any

import pytest

from orchestrator.domain.glances import ArgoGlance
from tests.support.factories import make_app, make_environment, make_settings
from workers.gitops.glancing import glances_of

NAME = "plate-web-stg"
OURS = "harbor.example.com/plate/plate-web:sha-"
NONE = "there is no application plate-web-stg among those that our account may see"
ELSEWHERE = "there is no application team/plate-web-stg among those that our account may see"
SEVERAL = "there are several of the name plate-web-stg; name its namespace in `app_namespace`"


def application(name: str = NAME, space: str = "argocd", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": space}, "status": status}


def glance(*applications: dict[str, Any], **fields: Any) -> ArgoGlance:
    settings = make_settings("/nowhere", apps=(make_app(environments=(make_environment(**fields),)),))
    return glances_of(applications, settings)["plate-web", "stg"]


def test_the_words_of_argo_cd_are_kept() -> None:
    status = {
        "sync": {"status": "OutOfSync"},
        "health": {"status": "Progressing"},
        "operationState": {"phase": "Running"},
        "summary": {"images": [f"{OURS}2", "nginx:1", f"{OURS}1"]},
    }
    seen = ArgoGlance(argocd=NAME, sync="OutOfSync", health="Progressing", syncing=True, live=("sha-1", "sha-2"))
    assert glance(application("other"), application(**status)) == seen


@pytest.mark.parametrize(
    ("changed", "syncing"),
    [
        ({}, False),
        ({"operation": {"sync": {}}}, True),
        ({"status": {"operationState": {"phase": "Terminating"}}}, True),
        ({"status": {"operationState": {"phase": "Succeeded"}}}, False),
    ],
)
def test_a_sync_that_is_asked_for_or_under_way_is_seen(changed: dict[str, Any], syncing: bool) -> None:
    assert glance(application() | changed).syncing is syncing


def test_what_argo_cd_has_not_looked_at_yet_is_unknown() -> None:
    assert glance({"metadata": {"name": NAME}}) == ArgoGlance(argocd=NAME, sync="Unknown", health="Unknown")


@pytest.mark.parametrize(
    ("space", "spaces", "fault"),
    [
        ("", [], NONE),
        ("", ["argocd"], ""),
        ("", ["argocd", "team"], SEVERAL),
        ("team", ["argocd"], ELSEWHERE),
        ("team", ["argocd", "team"], ""),
    ],
)
def test_an_application_is_found_by_its_name_and_namespace(space: str, spaces: list[str], fault: str) -> None:
    named = [application(space=one, health={"status": f"Healthy in {one}"}) for one in spaces]
    seen = glance(*named, app_namespace=space)
    assert seen.fault == fault
    assert seen.health == ("" if fault else f"Healthy in {spaces[-1]}")
