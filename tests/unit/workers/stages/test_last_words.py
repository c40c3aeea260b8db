"""The one sentence about a pod that crashes quotes how its log ends, where we may read it."""

from typing import Any

import pytest

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName
from tests.support.deploying import GITOPS_COMMIT, IMAGE, FakeArgo, FakeMirror, live, order, tools
from tests.support.factories import NOW, later
from workers.gitops.words import LIMIT
from workers.stages import health

BACK_OFF = "back-off 40s restarting failed container=web pod=web-1_plate(u)"
SINCE = {"what": f"Degraded {GITOPS_COMMIT} 2026-11-24 09:00:03+00:00", "since": NOW.isoformat()}


class Crashing(FakeArgo):
    """One pod crashes; its logs are what the test says, in turn."""

    reason = "CrashLoopBackOff"
    said: list[list[str] | PilotageError]
    wanted: list[dict[str, Any]]

    def resource_tree(self, name: str, **_: Any) -> dict[str, Any]:
        info = [{"name": "Status Reason", "value": self.reason}]
        pod = {"kind": "Pod", "namespace": "plate", "name": "web-1", "uid": "u", "info": info}
        return {"nodes": [pod | {"health": {"status": "Degraded", "message": BACK_OFF}}]}

    def logs(self, name: str, pod: str, namespace: str, **more: Any) -> list[str]:
        self.wanted.append({"pod": pod, "namespace": namespace} | more)
        answer = self.said.pop(0)
        if isinstance(answer, PilotageError):
            raise answer
        return answer


def fail(*said: list[str] | PilotageError, reason: str = "CrashLoopBackOff") -> tuple[Fail, Crashing, list[str]]:
    argo = Crashing([live(health="Degraded")])
    argo.reason, argo.said, argo.wanted = reason, list(said), []
    logged: list[str] = []
    return ended(argo, logged), argo, logged


def ended(
    argo: FakeArgo,
    logged: list[str] | None = None,
    reason: Reason = Reason.DEGRADED,
    memory: dict[str, Any] = SINCE,
) -> Fail:
    logged = [] if logged is None else logged
    outputs = {"gitops_commit": GITOPS_COMMIT, "committed_at": NOW.isoformat(), "memory": memory}
    given = order(StageName.HEALTH, outputs=outputs, now=later(200), environment_project="plate")
    outcome = health.run(given, tools(logged.append, argocd=argo, gitops=FakeMirror(line=(GITOPS_COMMIT,))))
    assert isinstance(outcome, Fail)
    assert outcome.reason is reason
    return outcome


def test_the_log_of_the_container_that_ended_is_quoted() -> None:
    outcome, argo, logged = fail(["starting", "cannot open /etc/plate/config.yaml", ""])
    assert outcome.detail == (
        "Pod plate/web-1 is in CrashLoopBackOff; its log ends: cannot open /etc/plate/config.yaml"
    )
    assert argo.wanted == [
        {
            "pod": "web-1",
            "namespace": "plate",
            "project": "plate",
            "app_namespace": "",
            "container": "web",
            "previous": True,
            "lines": 20,
        }
    ]
    assert "starting\ncannot open /etc/plate/config.yaml\n" in logged


def test_the_present_container_is_asked_where_there_is_none_before_it() -> None:
    outcome, argo, _ = fail([], ["no DB"])
    assert outcome.detail.endswith("its log ends: no DB")
    assert [one["previous"] for one in argo.wanted] == [True, False]


@pytest.mark.parametrize(
    "said",
    [
        [[], []],
        [Refused(Reason.ARGOCD_FORBIDDEN, "permission denied: logs, get")],
        [Refused(Reason.APPLICATION_MISSING, "not found")],
        [Unavailable(Reason.ARGOCD_UNAVAILABLE, "HTTP 403")],
    ],
    ids=["nothing said", "no right", "not found", "unclear"],
)
def test_without_a_log_the_sentence_stays_as_it_is(said: Any) -> None:
    assert fail(*said)[0].detail == f"Pod plate/web-1 is in CrashLoopBackOff: {BACK_OFF}"


def test_the_log_of_a_pod_that_runs_and_is_not_well_is_copied_and_not_quoted() -> None:
    """One that fails its probes: its last line is any line."""
    outcome, argo, logged = fail([], ["listening on 8080", "GET /healthz 500"], reason="Running")
    assert outcome.detail == f"Pod plate/web-1 is Running: {BACK_OFF}"
    told = ["the log of pod plate/web-1 ends:", "listening on 8080\nGET /healthz 500", f"degraded: {outcome.detail}"]
    assert logged[-3:] == told
    assert [one["previous"] for one in argo.wanted] == [True, False]


def test_of_many_pods_the_ones_that_are_still_coming_are_looked_at_last() -> None:
    pods = [
        {
            **PENDING,
            "name": f"web-{number}",
            "uid": f"u{number}",
            "info": [{"name": "Status Reason", "value": reason}],
        }
        for number, reason in enumerate(["ContainerCreating", "Running", "Running", "CrashLoopBackOff"])
    ]
    pods[3]["health"] = {"status": "Degraded", "message": BACK_OFF}
    well = [{**PENDING, "name": f"well-{number}", "health": {"status": "Healthy"}} for number in range(3)]
    argo = Several([live(health="Degraded")])
    pods = [*well, *pods]
    argo.pods, argo.said, argo.wanted = tuple(pods), [["no DB"], [], [], []], []
    assert ended(argo).detail == "Pod plate/web-3 is in CrashLoopBackOff; its log ends: no DB"
    assert [one["pod"] for one in argo.wanted] == ["web-3", "web-1", "web-1"], "three pods are looked at"


EVICTED = {
    "kind": "Pod",
    "namespace": "plate",
    "name": "web-0",
    "uid": "o",
    "images": [f"{IMAGE.rpartition(':')[0]}:sha-000000000000"],
    "info": [{"name": "Status Reason", "value": "Evicted"}],
    "health": {"status": "Degraded", "message": "The node was low on resource: memory"},
}
PENDING = {
    "kind": "Pod",
    "namespace": "plate",
    "name": "web-1",
    "uid": "u",
    "images": [IMAGE],
    "health": {"status": "Progressing"},
}
TOO_FEW = {
    "type": "Warning",
    "reason": "FailedScheduling",
    "message": "0/3 nodes are available",
    "involvedObject": {"kind": "Pod", "uid": "u", "namespace": "plate", "name": "web-1"},
}


class Several(Crashing):
    """A few pods; the events of `lost` cannot be had."""

    pods: tuple[dict[str, Any], ...] = ()
    lost = ""

    def resource_tree(self, name: str, **_: Any) -> dict[str, Any]:
        return {"nodes": list(self.pods)}

    def events(self, name: str, *, resource: Any = None, **_: Any) -> list[dict[str, Any]]:
        if resource and resource["name"] == self.lost:
            raise Refused(Reason.ARGOCD_REFUSED, "HTTP 400: web-1 not found as part of application")
        return [TOO_FEW] if resource and resource["name"] == "web-1" else []


def cause(*pods: dict[str, Any], lost: str = "") -> str:
    argo = Several([live(health="Degraded")])
    argo.pods, argo.lost = pods, lost
    return ended(argo).detail


def test_a_pod_of_the_image_before_is_not_the_cause_while_one_of_ours_is_unwell() -> None:
    """What the kubelet evicted weeks ago is still there, as failed."""
    old = [{**EVICTED, "name": f"web-{number}", "uid": f"o{number}"} for number in range(10, 14)]
    assert cause(*old, PENDING) == "Pod plate/web-1: FailedScheduling: 0/3 nodes are available"
    assert cause(EVICTED) == "Pod plate/web-0 is in Evicted: The node was low on resource: memory"


def test_a_pod_in_trouble_does_not_explain_what_has_nothing_to_do_with_it() -> None:
    argo = Several([live(health="Healthy", image="harbor.example.com/plate/plate-web:sha-000000000000")])
    argo.pods = (EVICTED,)
    lasting = {"what": f"image {GITOPS_COMMIT}", "since": NOW.isoformat()}
    detail = ended(argo, reason=Reason.IMAGE_NOT_DEPLOYED, memory=lasting).detail
    assert f"{IMAGE} is not among the live images" in detail


def test_a_sync_that_failed_and_was_not_ours_is_not_the_cause() -> None:
    """Somebody tried one resource, or a dry run, after ours."""
    tried = live(health="Degraded")
    asked = {"sync": {"revision": GITOPS_COMMIT, "resources": [{"kind": "Job", "name": "x"}]}}
    tried["status"]["operationState"] |= {"phase": "Failed", "message": "field is immutable", "operation": asked}
    tried["status"]["conditions"] = [{"type": "SyncError", "message": "Failed last sync attempt"}]
    argo = Several([tried])
    argo.pods = (EVICTED,)
    detail = ended(argo, memory=SINCE | {"what": f"Degraded {GITOPS_COMMIT} None"}).detail
    assert detail == "Pod plate/web-0 is in Evicted: The node was low on resource: memory"


def test_a_pod_of_something_else_may_be_the_cause() -> None:
    db = {**EVICTED, "name": "db-0", "images": ["postgres:17"]}
    assert cause(db, PENDING) == "Pod plate/db-0 is in Evicted: The node was low on resource: memory"


def test_a_pod_that_was_replaced_meanwhile_does_not_hide_the_cause() -> None:
    assert cause(EVICTED, lost="web-0") == "Pod plate/web-0 is in Evicted: The node was low on resource: memory"


def test_a_pod_that_never_ran_is_not_asked_for_its_log() -> None:
    assert fail(reason="ImagePullBackOff")[1].wanted == []


def test_last_words_are_bounded() -> None:
    assert len(fail(["x" * 100_000])[0].detail) <= LIMIT
