"""What the stand-in of Argo CD can be told to do wrong, what goes wrong by itself, and how much it carries."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.argocd_rollout import PodState
from tests.support.argocd import TOKEN, Json, RunningArgo, declared, healthy, running, serving, told
from tests.support.gitops import gitops_repo
from tests.support.waiting import until
from workers.gitops.pods import not_running
from workers.gitops.readiness import Expected, judge


@pytest.fixture
def argocd(tmp_path: Path) -> Iterator[RunningArgo]:
    """One of its own, to change at will."""
    with running(tmp_path) as made:
        yield made


@pytest.mark.parametrize("status", [429, 503])
def test_unavailable_for_a_while(argocd, status):
    argocd.sandbox.faults.set("unavailable", seconds=0.3, value=status)
    with pytest.raises(Unavailable) as caught:
        argocd.client.get("shop-api")
    assert caught.value.retry_after == (1.0 if status == 429 else None)
    time.sleep(0.35)
    argocd.client.get("shop-api")


def test_unauthorized(argocd):
    argocd.sandbox.faults.set("unauthorized")
    with pytest.raises(Refused) as caught:
        argocd.client.userinfo()
    assert caught.value.reason is Reason.ARGOCD_UNAUTHORIZED


def test_forbidden_is_told_by_can_i(argocd):
    argocd.sandbox.faults.set("forbidden", "shop-api")
    with pytest.raises(Refused) as caught:
        argocd.client.get("shop-api", project="shop")
    assert caught.value.reason is Reason.ARGOCD_FORBIDDEN
    assert [app["metadata"]["name"] for app in argocd.client.applications()] == ["shop-manual"]
    assert next(told(argocd.url, TOKEN))["metadata"]["name"] == "shop-manual", "a stream is silent about the other"


def test_logs_need_a_right_of_their_own_that_can_i_knows(argocd):
    place, path = {"podName": "web-1", "namespace": "shop-prod"}, "/api/v1/applications/shop-api/logs"
    asked = f"{path}?{urlencode(place)}"
    can_i = "/api/v1/account/can-i/logs/get/shop/shop-api"
    assert (argocd.get(can_i).json()["value"], argocd.get(asked).status_code) == ("yes", 200)
    argocd.sandbox.faults.set("no_logs", "shop-api")
    assert argocd.get(can_i).json()["value"] == "no"
    refused = argocd.get(asked)
    assert (refused.status_code, refused.json()["code"]) == (403, 7)
    assert "logs, get, shop/shop-api" in refused.json()["message"]
    assert argocd.client.get("shop-api")["metadata"]["name"] == "shop-api"


def test_a_stale_revision_hides_a_commit_until_it_ends(argocd):
    before = argocd.client.get("shop-api")["status"]["sync"]["revision"]
    argocd.sandbox.faults.set("stale_revision", "shop-api", seconds=0.5)
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    stale = argocd.client.get("shop-api", refresh="normal")
    assert healthy(before)(stale)
    argocd.wait(healthy(new))


def test_a_slow_refresh_blocks_its_request(argocd):
    argocd.sandbox.faults.set("slow_refresh", value=0.4)
    started = time.monotonic()
    argocd.client.get("shop-api", refresh="normal")
    assert time.monotonic() - started >= 0.4


def test_list_lags_behind_get(argocd):
    argocd.sandbox.faults.set("list_lag", value=30)
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    argocd.client.get("shop-api", refresh="normal")
    argocd.wait(healthy(new))
    listed = next(app for app in argocd.client.applications() if app["metadata"]["name"] == "shop-api")
    assert listed["status"].get("sync", {}).get("revision") != new


def test_never_sync_leaves_the_commit_unapplied(argocd):
    argocd.sandbox.faults.set("never_sync", "shop-api")
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    found = argocd.client.get("shop-api", refresh="normal")
    assert (found["status"]["sync"]["revision"], found["status"]["sync"]["status"]) == (new, "OutOfSync")
    time.sleep(0.1)
    assert "operation" not in argocd.client.get("shop-api")
    argocd.sandbox.faults.lift("never_sync", "shop-api")
    argocd.wait(healthy(new))


def test_degraded_counts_for_what_is_synced_from_now_on(argocd):
    argocd.sandbox.faults.set("degraded", "shop-api")
    assert argocd.client.get("shop-api")["status"]["health"]["status"] == "Healthy"
    argocd.repo.chart("helm/shop-api", tag="v2")
    argocd.client.get("shop-api", refresh="normal")
    argocd.wait(lambda app: app["status"]["health"]["status"] == "Degraded")


def test_health_flaps_once(argocd):
    argocd.sandbox.faults.set("flap", "shop-api", value=0.3)
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    argocd.client.get("shop-api", refresh="normal")
    argocd.wait(lambda app: app["status"]["health"]["status"] == "Degraded")
    argocd.wait(healthy(new))


def test_faults_can_be_set_over_http(argocd):
    body = json.dumps({"fault": "forbidden", "application": "shop-api", "seconds": 30})
    headers = {"Content_Type": "application/json"}
    assert argocd.ask("POST", "/api/v1/sandbox/faults", body, **headers).status_code == 200
    assert argocd.get("/api/v1/applications/shop-api").status_code == 403
    assert argocd.ask("POST", "/api/v1/sandbox/faults", "{}", **headers).status_code == 200
    assert argocd.get("/api/v1/applications/shop-api").status_code == 200
    assert argocd.ask("POST", "/api/v1/sandbox/faults", '{"fault": "rain"}', **headers).status_code == 400


def test_a_repository_that_cannot_be_reached_is_a_comparison_error(tmp_path):
    with gitops_repo(tmp_path) as repo, serving(tmp_path, repo, [declared(repo)]) as argocd:
        found = argocd.wait(lambda app: "conditions" in app["status"])
        assert found["status"]["conditions"][0]["type"] == "ComparisonError"
        assert "operation" not in found


def test_all_applications_are_listed_in_one_request(tmp_path):
    with gitops_repo(tmp_path) as repo:
        repo.chart("helm/shop-api")
        applications = [declared(repo, name=f"shop-{number}") for number in range(100)]
        with serving(tmp_path, repo, applications, repo.access) as argocd:

            def look() -> list[Json] | None:
                found = argocd.client.applications()
                return found if all(app["status"]["health"]["status"] == "Healthy" for app in found) else None

            found = until(look, "health")
            assert len(found) == 100
            assert {app["status"]["sync"]["status"] for app in found} == {"Synced"}


def test_a_custom_resource_without_a_health_check_proves_nothing(argocd):
    """Argo CD calls it Healthy while its only pod cannot pull its image."""
    app = argocd.wait(lambda found: bool(found["status"].get("summary")))
    (image,), revision = app["status"]["summary"]["images"], app["status"]["sync"]["revision"]
    argocd.sandbox.faults.set("unjudged", "shop-api")
    wanted = Expected(commit=revision, image=image, pushed_at=datetime.now(UTC), contains=lambda _: False)

    def seen() -> tuple[str, str]:
        found = argocd.wait(lambda found: found["status"]["resources"][1]["kind"] == "Shop")
        tree = argocd.client.resource_tree("shop-api")
        return judge(found, wanted, datetime.now(UTC)).kind.value, not_running(tree, image)

    assert seen() == ("success", "")
    pod, *_ = argocd.sandbox._controller.deployments["shop-api"].pods()
    pod.state = PodState(reason="ImagePullBackOff")
    kind, problem = seen()
    assert kind == "success", "the object shows nothing of it"
    assert problem.startswith("Argo CD has no health of Shop shop-prod/shop-api, but Pod shop-prod/")
    assert problem.endswith("with our image is ImagePullBackOff with 0/1 containers ready")
