"""The one sentence about a pod that crashes quotes how its log ends, where we may read it."""

from typing import Any

import pytest

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName
from tests.support.deploying import GITOPS_COMMIT, FakeArgo, FakeMirror, live, order, tools
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
    outputs = {"gitops_commit": GITOPS_COMMIT, "committed_at": NOW.isoformat(), "memory": SINCE}
    logged: list[str] = []
    given = order(StageName.HEALTH, outputs=outputs, now=later(200), environment_project="plate")
    outcome = health.run(given, tools(logged.append, argocd=argo, gitops=FakeMirror(line=(GITOPS_COMMIT,))))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.DEGRADED
    return outcome, argo, logged


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
            "lines": 10,
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


def test_a_pod_that_never_ran_is_not_asked_for_its_log() -> None:
    assert fail(reason="ImagePullBackOff")[1].wanted == []


def test_last_words_are_bounded() -> None:
    assert len(fail(["x" * 100_000])[0].detail) <= LIMIT
