"""Custom resources without a health check: Argo CD calls them Healthy before their operator has begun."""

import pytest

from tests.support.applications import IMAGE, NOW, OLD_IMAGE, expected, healthy
from tests.support.situations import NO_OPERATION, RESULT, watched
from workers.gitops.operated import is_left_to_operators
from workers.gitops.readiness import VerdictKind, judge

CUSTOM = {"group": "db.example.com", "kind": "Cluster", "namespace": "p", "name": "db", "status": "Synced"}
GIVEN = {**CUSTOM, "images": [IMAGE]}
DEPLOYMENT = {"group": "apps", "kind": "Deployment", "namespace": "p", "name": "api", "status": "Synced"}
ODD = {"group": "example.com", "kind": {}, "name": []}
SET = {"group": "apps.kruise.io", "kind": "StatefulSet", "namespace": "p", "name": "api", "status": "Synced"}
MONITOR = {"group": "monitoring.coreos.com", "kind": "ServiceMonitor", "namespace": "p", "name": "api"}
JUDGED = {**CUSTOM, "health": {"status": "Healthy"}}
HOOK = {"group": "batch", "kind": "Job", "namespace": "p", "name": "migrate", "hook": True}


@pytest.mark.parametrize("live", [[], [OLD_IMAGE]], ids=["it has not begun", "the old pods run"])
@pytest.mark.parametrize(
    ("resources", "results"),
    [([CUSTOM], []), ([CUSTOM, HOOK], []), ([CUSTOM], [GIVEN]), ([CUSTOM, DEPLOYMENT], [GIVEN, DEPLOYMENT])],
    ids=["alone", "with a hook", "given our image", "given our image beside another workload"],
)
@pytest.mark.parametrize("noop", [False, True])
def test_the_operator_has_all_the_time_of_the_stage_to_begin(resources, results, live, noop):
    changes = {"status.resources": resources, RESULT: results, "status.summary.images": live}
    for lasting in (0, 3600):
        _, verdict = watched(healthy(changes), expected(noop=noop), lasting)
        assert (verdict.kind, verdict.reason, verdict.synced) == (VerdictKind.WAIT, "progressing", True)
        assert verdict.unready
        assert verdict.recheck_after
        assert verdict.detail.endswith("is not live yet; Argo CD has no health of Cluster/p/db")


@pytest.mark.parametrize("resources", [[CUSTOM], [CUSTOM, DEPLOYMENT]])
def test_a_pod_of_our_image_is_live_all_the_same(resources):
    assert judge(healthy({"status.resources": resources}), expected(), NOW).kind is VerdictKind.SUCCESS


@pytest.mark.parametrize(
    ("resources", "results"),
    [
        ([JUDGED], []),
        ([DEPLOYMENT, MONITOR], [{**DEPLOYMENT, "images": [IMAGE]}]),
        ([DEPLOYMENT, CUSTOM], [{**DEPLOYMENT, "images": [IMAGE]}]),
        ([SET], [{**SET, "images": [IMAGE]}]),
        ([{"kind": "ConfigMap"}, MONITOR], []),
        ([DEPLOYMENT, ODD], []),
    ],
    ids=[
        "it has a health check",
        "a deployment that is scaled to none",
        "beside a custom resource",
        "a custom resource of a kind that has pods, scaled to none",
        "no pods at all",
        "odd",
    ],
)
def test_other_applications_may_have_no_pods(resources, results):
    changes = {"status.resources": resources, RESULT: results, "status.summary.images": []}
    assert watched(healthy(changes), expected(), 40)[1].kind is VerdictKind.SUCCESS


@pytest.mark.parametrize("resources", [[DEPLOYMENT], [DEPLOYMENT, CUSTOM], [MONITOR]])
def test_another_image_is_told_soon_where_no_operator_is_waited_for(resources):
    changes = {"status.resources": resources, "status.summary.images": [OLD_IMAGE], **NO_OPERATION}
    assert watched(healthy(changes), expected(), 40)[1].reason == "image_not_deployed"


def of_group(group):
    """A resource of which Argo CD has no health, and whose kind says nothing."""
    return {**CUSTOM, "group": group, "kind": "Thing"}


@pytest.mark.parametrize(
    ("resources", "alone"),
    [
        ([CUSTOM], True),
        ([CUSTOM, HOOK], True),
        ([CUSTOM, DEPLOYMENT], False),
        ([CUSTOM, SET], False),
        ([SET], False),
        ([HOOK], False),
        ([of_group("db.example.com")], True),
        ([of_group("argoproj.io")], False),
        ([of_group("cilium.io")], False),
        ([of_group("rbac.authorization.k8s.io")], False),
        ([of_group("k8s.io.example.com")], True),
        ([JUDGED], False),
        ([], False),
    ],
)
def test_an_operator_alone_makes_the_pods_where_all_else_is_hooks(resources, alone):
    assert is_left_to_operators(healthy({"status.resources": resources})) is alone
