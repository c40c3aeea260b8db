"""Rolling updates of the stand-in of Argo CD over containers that are told what to do."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from orchestrator.sandbox import argocd_rollout
from orchestrator.sandbox.argocd_chart import Workload
from orchestrator.sandbox.argocd_engine import ContainerState, EngineError
from orchestrator.sandbox.argocd_objects import SandboxApplication
from orchestrator.sandbox.argocd_rollout import SandboxDeployment
from orchestrator.sandbox.argocd_tree import log_entries
from tests.support.waiting import until

APP = SandboxApplication(name="api", repo="https://git.example.com/g.git", path="helm/api")
GOOD = Workload(manifest="1", image="api:v1", port=8080, probe="/ready")
NEXT = replace(GOOD, manifest="2", image="api:v2")


class FakeContainers:
    """Containers by image: which images there are, whether they run, and what their probe says."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.ended: dict[str, int] = {}
        self.probes: dict[str, str | None] = {}
        self.running: dict[str, str] = {}
        self.started: list[str] = []
        self.slow_to_end: set[str] = set()
        self.looks = self.questions = 0
        self._lock = threading.Lock()

    def pull(self, image: str) -> None:
        if image in self.missing:
            raise EngineError("ErrImagePull", f"manifest unknown: {image}")

    def run(self, image: str, name: str, workload: Workload, labels: Mapping[str, str]) -> str:
        with self._lock:
            self.running[name] = image
            self.started.append(image)
        return name

    def restart(self, container: str) -> None:
        self.started.append(self.running[container])

    def look(self, container: str, port: int) -> ContainerState:
        self.looks += 1
        image = self.running.get(container)
        if image is None:
            return ContainerState(running=False, exit_code=137)
        return ContainerState(running=image not in self.ended, exit_code=self.ended.get(image, 0), port=40000)

    def probe(self, container: str, look: ContainerState, workload: Workload) -> str | None:
        self.questions += 1
        return self.probes.get(workload.image, "")

    def logs(self, container: str, lines: int) -> list[str]:
        return ["last words"]

    def remove(self, container: str) -> None:
        if self.running.get(container) in self.slow_to_end:
            time.sleep(0.3)
        with self._lock:
            self.running.pop(container, None)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argocd_rollout, "POLL_STARTING", 0.005)
    monkeypatch.setattr(argocd_rollout, "POLL_READY", 0.005)
    monkeypatch.setattr(argocd_rollout, "PROBE_READY", 0.005)
    monkeypatch.setattr(argocd_rollout, "MIN_READY", 0.1)
    monkeypatch.setattr(argocd_rollout, "PULL_ERROR_SHOWN", 0.05)
    monkeypatch.setattr(argocd_rollout, "BACKOFF", (0.02,))


@pytest.fixture
def containers() -> FakeContainers:
    return FakeContainers()


@pytest.fixture
def deployment(containers: FakeContainers) -> Iterator[SandboxDeployment]:
    made = SandboxDeployment(APP, containers, lambda: None, deadline=0.4)
    yield made
    made.stop()
    assert containers.running == {}, "nothing is left behind"


def is_healthy(deployment: SandboxDeployment, image: str) -> bool:
    return deployment.rollout().health == "Healthy" and deployment.rollout().images == (image,)


def until_healthy(deployment: SandboxDeployment, image: str) -> None:
    until(lambda: is_healthy(deployment, image), f"a healthy {image}")


def test_before_anything_is_applied_the_application_is_missing(deployment):
    assert deployment.rollout().health == "Missing"


def test_what_is_applied_is_progressing_until_its_probe_passes(deployment, containers):
    containers.probes["api:v1"] = "not yet"
    deployment.apply(GOOD)
    until(lambda: containers.started == ["api:v1"], "the start")
    assert deployment.rollout().health == "Progressing"
    containers.probes["api:v1"] = ""
    until_healthy(deployment, "api:v1")
    assert deployment.rollout().urls == ("http://127.0.0.1:40000",)


def test_a_container_that_ends_while_its_probe_is_asked_was_never_ready():
    class Dying(FakeContainers):
        """As on a busy machine: the question takes long, and there is nobody left to answer it."""

        def probe(self, container: str, look: ContainerState, workload: Workload) -> str | None:
            self.ended[workload.image] = 1
            time.sleep(2 * argocd_rollout.MIN_READY)
            return None

    seen: list[str] = []
    deployment = SandboxDeployment(APP, Dying(), lambda: seen.append(deployment.rollout().health), deadline=0.5)
    deployment.apply(GOOD)
    until(lambda: "Degraded" in seen, "a degraded one")
    deployment.stop()
    assert "Healthy" not in seen


def test_applying_the_same_again_starts_nothing(deployment, containers):
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    deployment.apply(GOOD)
    assert (deployment.revision, containers.started) == (1, ["api:v1"])


def test_the_old_pods_stay_until_all_new_ones_are_ready(deployment, containers):
    deployment.apply(replace(GOOD, replicas=2))
    until_healthy(deployment, "api:v1")
    containers.probes["api:v2"] = "not yet"
    deployment.apply(NEXT)
    until(lambda: "api:v2" in containers.started, "the start of the next")
    assert deployment.rollout().images == ("api:v1", "api:v2")
    assert sorted(containers.running.values()) == ["api:v1", "api:v1", "api:v2"]
    containers.probes["api:v2"] = ""
    until_healthy(deployment, "api:v2")
    until(lambda: list(containers.running.values()) == ["api:v2"], "the end of the old ones")


def test_an_image_that_cannot_be_pulled(containers):
    told: list[str] = []
    deployment = SandboxDeployment(
        APP, containers, lambda: told.extend(pod.state.reason for pod in deployment.pods()), deadline=0.4
    )
    containers.missing.add("api:v1")
    deployment.apply(GOOD)
    until(lambda: deployment.rollout().health == "Degraded" and "ImagePullBackOff" in told, "a degraded one")
    assert [one for one in dict.fromkeys(told) if one != "ContainerCreating"] == ["ErrImagePull", "ImagePullBackOff"]
    assert deployment.pods()[0].state.health == "Degraded"
    containers.missing.clear()
    until_healthy(deployment, "api:v1")
    deployment.stop()


def test_a_container_that_ends_is_started_again_and_again(deployment, containers):
    containers.ended["api:v1"] = 3
    deployment.apply(GOOD)
    until(lambda: deployment.rollout().health == "Degraded", "a degraded one")
    state = deployment.pods()[0].state
    assert state.reason == "CrashLoopBackOff"
    pod = deployment.pods()[0]
    assert state.message == f"back-off 0.02s restarting failed container=api pod={pod.name}_default({pod.uid})"
    for container in ("", "api"):
        told = log_entries(deployment, pod.name, container, 5, previous=True)
        assert [(one["content"], one["last"]) for one in told] == [("last words", False), ("", True)]
    until(lambda: len(containers.started) >= 3, "the third start")
    assert any(event["reason"] == "BackOff" for event in deployment.events())
    containers.ended.clear()
    until_healthy(deployment, "api:v1")


def test_what_kubernetes_has_no_log_of_is_told_as_a_line_without_a_time(deployment):
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    name = deployment.pods()[0].name
    missing = f'previous terminated container "api" in pod "{name}" not found'
    for container, previous, said in (
        ("", True, missing), ("db", False, f"container db is not valid for pod {name}"),
    ):  # fmt: skip
        told = log_entries(deployment, name, container, 5, previous=previous)
        assert (told[0]["content"], told[0]["timeStampStr"], told[0]["podName"]) == (said, "0001-01-01T00:00:00Z", "")
    assert log_entries(deployment, "no-such-pod", "", 5, previous=False) == []


def test_without_a_way_to_ask_a_container_must_stay_up_for_a_moment(deployment, containers):
    containers.probes["api:v1"] = None
    started = time.monotonic()
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    assert time.monotonic() - started >= 0.1


def test_a_finished_rollout_whose_pod_falls_is_progressing_and_not_degraded(deployment, containers):
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    time.sleep(0.5)  # the deadline of the rollout is over
    containers.ended["api:v1"] = 1
    until(lambda: deployment.rollout().health != "Healthy", "the fall")
    assert deployment.rollout().health == "Progressing"


def test_a_removed_container_is_replaced(deployment, containers):
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    containers.running.clear()
    until(lambda: containers.started == ["api:v1", "api:v1"], "the second start")
    until_healthy(deployment, "api:v1")


def test_one_failed_probe_does_not_make_a_ready_pod_unready_but_three_do(deployment, containers):
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    containers.probes["api:v1"] = "Readiness probe failed: slow"
    until(lambda: deployment.rollout().health == "Progressing", "an unready one")
    assert any(event["reason"] == "Unhealthy" for event in deployment.events())


def test_a_pod_that_is_ready_is_looked_at_often_and_asked_seldom(deployment, containers, monkeypatch):
    """To ask may take a program started in the container: a dozen of ready pods kept two cores busy (measured)."""
    monkeypatch.setattr(argocd_rollout, "PROBE_READY", 3600.0)
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    asked, looks = containers.questions, containers.looks
    until(lambda: containers.looks > looks + 20, "20 looks")
    assert containers.questions == asked
    containers.running.clear()
    until(lambda: deployment.rollout().health == "Healthy" and containers.running, "another container")


def test_a_broken_rollout_is_given_up_for_the_next(deployment, containers):
    deployment.apply(GOOD)
    until_healthy(deployment, "api:v1")
    containers.missing.add("api:v2")
    deployment.apply(NEXT)
    until(lambda: deployment.rollout().health == "Degraded", "a degraded one")
    deployment.apply(replace(GOOD, manifest="3", image="api:v3"))
    until_healthy(deployment, "api:v3")


@pytest.mark.parametrize("last", [GOOD, NEXT], ids=["superseded", "retired"])
def test_the_end_waits_for_pods_that_gave_way_just_before(deployment, containers, last):
    first = GOOD if last is NEXT else NEXT
    containers.slow_to_end.add(first.image)
    deployment.apply(first)
    until(lambda: is_healthy(deployment, first.image) if last is NEXT else containers.running, "the first")
    deployment.apply(last)
    until_healthy(deployment, last.image)


def test_a_deployment_of_no_replicas_is_healthy(deployment):
    deployment.apply(replace(GOOD, replicas=0))
    assert deployment.rollout().health == "Healthy"


def test_without_an_engine_pods_are_ready_at_once():
    deployment = SandboxDeployment(APP, None, lambda: None, deadline=1)
    deployment.apply(GOOD)
    assert is_healthy(deployment, "api:v1")
    deployment.stop()
