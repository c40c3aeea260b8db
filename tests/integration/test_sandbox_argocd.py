"""The stand-in of Argo CD with real containers: what it calls healthy is, and what is broken says why."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import pytest

from orchestrator.domain.apps import ArgoCD, Environment, Gitops, Secret
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.argocd import SandboxApplication, SandboxArgoCD, new_token
from orchestrator.sandbox.argocd_engine import LABEL
from tests.support.argocd import healthy, until_application
from tests.support.engine import BUSYBOX, TEST_LABEL, require_engine, tar_of
from tests.support.gitops import GitopsRepo, gitops_repo
from tests.support.registry import PASSWORD, USER, Running, real_registry
from tests.support.waiting import until
from workers.clients.argocd import ArgoClient
from workers.gitops.readiness import Expected, Verdict, VerdictKind, judge
from workers.gitops.tracking import tracks

pytestmark = [pytest.mark.engine, pytest.mark.slow]
Json = dict[str, Any]
SERVE = '["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]'
CRASH = '["/bin/busybox", "sh", "-c", "echo no database; exit 3"]'
PROBED = "service: {port: 8080}\nreadinessProbe: {httpGet: {path: /ready.html}}\n"


@pytest.fixture(scope="module")
def api() -> Iterator[docker.APIClient]:
    require_engine()
    host = os.environ.get("PILOTAGE_TEST_ENGINE") or os.environ.get("DOCKER_HOST")
    client = docker.APIClient(base_url=host, version="auto", timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    require_engine()
    with real_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def image(api: docker.APIClient, registry: Running) -> Iterator[str]:
    """Push four images of one repository and leave none of them on the engine."""
    name = f"{registry.host}/plate/{uuid.uuid4().hex[:10]}"
    login = {"username": USER, "password": PASSWORD}
    for tag, command in (("v1", SERVE), ("v2", SERVE), ("v3", SERVE), ("crash", CRASH)):
        page = {"www/ready.html": tag, "www/version": tag} if tag != "v3" else {"www/version": tag}
        files = {"bin/busybox": BUSYBOX.read_bytes(), **page}
        changes = [f"CMD {command}", f"LABEL {TEST_LABEL}=1", "EXPOSE 8080"]
        api.import_image_from_data(tar_of(files), repository=name, tag=tag, changes=changes)
        for line in api.push(name, tag=tag, stream=True, decode=True, auth_config=login):
            assert "error" not in line, line
        api.remove_image(f"{name}:{tag}", force=True)
    yield name
    for tag in ("v1", "v2", "v3", "crash"):
        try:
            api.remove_image(f"{name}:{tag}", force=True)
        except docker.errors.NotFound:
            continue


class ArgoOnEngine:
    """A stand-in with one application on the real engine."""

    def __init__(self, tmp_path: Path, repo: GitopsRepo, registry: Running) -> None:
        token = new_token()
        app = SandboxApplication(
            name="shop-api", repo=repo.url, path="helm/shop-api", project="shop", value_files=("values-prod.yaml",)
        )
        self.repo = repo
        self.sandbox = SandboxArgoCD(
            state_dir=tmp_path / "state",
            docker_host=os.environ.get("PILOTAGE_TEST_ENGINE", ""),
            token=token,
            applications=[app],
            git_credentials=repo.access,
            registry_auth=registry.settings,
            progress_deadline=4.0,
        )
        self.client = ArgoClient(ArgoCD(url=self.sandbox.start(), token=Secret(token)))

    def deploy(self, image: str, tag: str, more: str = PROBED) -> str:
        commit = self.repo.chart("helm/shop-api", image=image, tag=tag, more=more)
        self.client.get("shop-api", project="shop", refresh="normal")
        return commit

    def until(self, good: Callable[[Json], bool]) -> Json:
        return until_application(self.client, "shop-api", good, "shop")

    def pods(self) -> list[Json]:
        return [node for node in self.client.resource_tree("shop-api")["nodes"] if node["kind"] == "Pod"]

    def reasons(self) -> set[str]:
        return {reason_of(pod) for pod in self.pods()}

    def resting(self) -> Json | None:
        """Return the pod that is not started again yet."""
        return next((pod for pod in self.pods() if reason_of(pod) == "CrashLoopBackOff"), None)


@pytest.fixture
def argo(tmp_path: Path, registry: Running) -> Iterator[ArgoOnEngine]:
    with gitops_repo(tmp_path) as repo:
        repo.push({"README.md": "empty\n"})
        made = ArgoOnEngine(tmp_path, repo, registry)
        try:
            yield made
        finally:
            made.sandbox.stop()


def containers(api: docker.APIClient, argo: ArgoOnEngine, **more: bool) -> list[Json]:
    return list(api.containers(filters={"label": f"{LABEL}={argo.sandbox.instance}"}, **more))


def reason_of(pod: Json) -> str:
    return next((str(info["value"]) for info in pod["info"] if info["name"] == "Status Reason"), "")


def degraded(found: Json) -> bool:
    return found["status"]["health"]["status"] == "Degraded"


def test_a_good_image_becomes_healthy_and_really_runs(argo, api, image):
    commit = argo.deploy(image, "v1")
    found = argo.until(healthy(commit))
    assert found["status"]["summary"]["images"] == [f"{image}:v1"]
    running = containers(api, argo)
    assert [container["Image"] for container in running] == [f"{image}:v1"]
    memory = api.inspect_container(running[0]["Id"])["HostConfig"]["Memory"]
    assert memory == 256 * 1024 * 1024


def test_the_old_container_runs_until_the_new_one_is_ready(argo, api, image):
    argo.until(healthy(argo.deploy(image, "v1")))
    commit = argo.deploy(image, "v2")
    images = set()
    while not healthy(commit)(found := argo.client.get("shop-api", project="shop")):
        images.add(tuple(found["status"]["summary"]["images"]))
        running = {container["Image"] for container in containers(api, argo)}
        assert running, "there is always one that serves"
    assert (f"{image}:v1", f"{image}:v2") in images
    assert found["status"]["summary"]["images"] == [f"{image}:v2"]
    deadline = time.monotonic() + 5
    while [container["Image"] for container in containers(api, argo)] != [f"{image}:v2"]:
        assert time.monotonic() < deadline


def test_an_image_that_is_not_in_the_registry(argo, api, image):
    argo.until(healthy(argo.deploy(image, "v1")))
    commit = argo.deploy(image, "never-pushed")
    found = argo.until(degraded)
    assert found["status"]["sync"]["revision"] == commit
    assert found["status"]["operationState"]["phase"] == "Succeeded", "the sync went well, the rollout did not"
    assert "Running" in argo.reasons()
    assert argo.reasons() & {"ErrImagePull", "ImagePullBackOff"}
    bad = next(pod for pod in argo.pods() if pod["health"]["status"] == "Degraded")
    assert "never-pushed" in bad["health"]["message"]
    events = argo.client.events("shop-api", resource=bad)
    assert any(event["type"] == "Warning" and "Failed to pull" in event["message"] for event in events)
    assert [container["Image"] for container in containers(api, argo)] == [f"{image}:v1"], "the old one serves"


def test_a_container_that_ends_at_once(argo, image):
    argo.deploy(image, "crash")
    argo.until(degraded)
    pod = until(argo.resting, "the container, which is started again and again, to rest")
    assert "restarting failed container=shop-api pod=" in pod["health"]["message"]
    said = argo.client.logs("shop-api", pod["name"], "default", container="shop-api", previous=True)
    assert "no database" in said


def test_a_probe_that_never_passes(argo, image):
    argo.deploy(image, "v3")
    argo.until(degraded)
    pod = argo.pods()[0]
    assert pod["info"][0]["value"] == "Running"
    assert pod["info"][1]["value"] == "0/1"
    assert "probe failed" in pod["health"]["message"]


def test_the_fix_of_a_broken_deploy_becomes_healthy(argo, image):
    argo.deploy(image, "crash")
    argo.until(degraded)
    found = argo.until(healthy(argo.deploy(image, "v2")))
    assert found["status"]["summary"]["images"] == [f"{image}:v2"]


def test_a_container_that_somebody_removes_comes_back(argo, api, image):
    argo.until(healthy(argo.deploy(image, "v1")))
    first = containers(api, argo)[0]["Id"]
    api.remove_container(first, force=True)
    argo.until(lambda found: found["status"]["health"]["status"] == "Progressing")
    argo.until(lambda found: found["status"]["health"]["status"] == "Healthy")
    assert containers(api, argo)[0]["Id"] != first


def test_replicas_and_environment(argo, api, image):
    argo.until(healthy(argo.deploy(image, "v1", PROBED + "replicaCount: 2\nenv: {GREETING: hello}\n")))
    running = containers(api, argo)
    assert len(running) == 2
    assert "GREETING=hello" in api.inspect_container(running[0]["Id"])["Config"]["Env"]


def follow(argo: ArgoOnEngine, commit: str, image: str, pushed: datetime, each: Callable[[Verdict], None]) -> Verdict:
    """Judge the application at every look, as the stages do, until the verdict is final."""
    expected = Expected(
        commit=commit,
        image=image,
        pushed_at=pushed,
        contains=lambda revision: revision == commit,
        addresses=(argo.repo.url,),
        degraded_grace=1.0,
    )
    memory: Mapping[str, Any] = {}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = argo.client.get("shop-api", project="shop")
        verdict = judge(found, expected, datetime.now(UTC), memory)
        each(verdict)
        if verdict.kind in (VerdictKind.SUCCESS, VerdictKind.FAILED):
            return verdict
        memory = verdict.memory
    raise AssertionError(f"no final verdict: {verdict}")


def test_a_whole_deploy_is_judged_live_only_once_it_is(argo, api, image):
    argo.until(healthy(argo.deploy(image, "v1")))
    pushed = datetime.now(UTC)
    commit = argo.repo.chart("helm/shop-api", image=image, tag="v2", more=PROBED)
    before = argo.client.get("shop-api", project="shop")
    env = Environment(name="prod", values="helm/shop-api/values-prod.yaml", argocd="shop-api")
    assert tracks(before, Gitops(access=argo.repo.access), env, "harbor.example.com/shop/api") is None
    argo.client.get("shop-api", project="shop", refresh="normal")
    reasons = set()

    def each(verdict: Verdict) -> None:
        reasons.add(verdict.reason)
        if verdict.kind is VerdictKind.SUCCESS:
            running = [found for found in containers(api, argo) if found["Image"] == f"{image}:v2"]
            assert running, "success before the container runs"
            assert _answer(api, running[0]["Id"]) == "v2"

    verdict = follow(argo, commit, f"{image}:v2", pushed, each)
    assert (verdict.kind, verdict.reason) == (VerdictKind.SUCCESS, Reason.HEALTHY)
    assert verdict.live_images[-1] == f"{image}:v2"
    assert Reason.PROGRESSING in reasons, "it was looked at while it was on its way"


@pytest.mark.parametrize("tag", ["crash", "never-pushed", "v3"])
def test_a_broken_deploy_is_judged_degraded_and_never_live(argo, image, tag):
    argo.until(healthy(argo.deploy(image, "v1")))
    pushed = datetime.now(UTC)
    commit = argo.deploy(image, tag)
    verdict = follow(argo, commit, f"{image}:{tag}", pushed, lambda _: None)
    assert (verdict.kind, verdict.reason) == (VerdictKind.FAILED, Reason.DEGRADED)
    assert verdict.synced


def _answer(api: docker.APIClient, container: str) -> str:
    """Ask the container's own web server which version it is."""
    made = api.exec_create(container, ["/bin/busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/version"])
    return api.exec_start(made["Id"]).decode().strip()


def test_stop_leaves_no_container_behind(argo, api, image):
    argo.until(healthy(argo.deploy(image, "v1")))
    argo.sandbox.stop()
    assert containers(api, argo, all=True) == []


def test_containers_of_a_life_that_was_cut_off_are_removed_at_the_start(argo, api, image, tmp_path):
    left = api.create_container(_local(api, image), labels={LABEL: argo.sandbox.instance}, command="true")["Id"]
    again = SandboxArgoCD(state_dir=tmp_path / "state", docker_host="", token=new_token(), applications=[])
    again.start()
    try:
        assert left not in [container["Id"] for container in containers(api, argo, all=True)]
    finally:
        again.stop()


def _local(api: docker.APIClient, image: str) -> str:
    api.pull(image, tag="v1", auth_config={"username": USER, "password": PASSWORD})
    return f"{image}:v1"
