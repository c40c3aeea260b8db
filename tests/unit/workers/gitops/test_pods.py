"""Pods of our image, where Argo CD calls the application healthy: no false proof, and no false alarm."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.gitops.pods import not_running

IMAGE = "harbor.example.com/shop/api:sha-2"
Json = dict[str, Any]


def node(kind: str, name: str, above: Json | None = None, health: str = "", **more: Any) -> Json:
    """Make a node of a resource tree."""
    made: Json = {"kind": kind, "namespace": "shop", "name": name, "uid": f"{kind}-{name}"} | more
    if above is not None:
        made["parentRefs"] = [{name: above[name] for name in ("kind", "namespace", "name", "uid")}]
    return made | ({"health": {"status": health}} if health else {})


def pod(above: Json | None, reason: str = "", ready: str = "", health: str = "", **more: Any) -> Json:
    told = {"Status Reason": reason, "Node": "n1", "Containers": ready}
    info = [{"name": name, "value": value} for name, value in told.items() if value]
    return node("Pod", more.pop("name", "api-0"), above, health, info=info, **({"images": [IMAGE]} | more))


CUSTOM = node("Cluster", "api")
SERVED = node("StatefulSet", "api", CUSTOM, "Progressing")
SETTLED = node("StatefulSet", "api", CUSTOM, "Healthy")
ROLLING = node("Deployment", "api", CUSTOM, "Progressing")
ROLLED = node("ReplicaSet", "api-1", ROLLING, "Healthy")
DEPLOYMENT = node("Deployment", "api", health="Healthy")
REPLICAS = node("ReplicaSet", "api-1", DEPLOYMENT, "Healthy")
IGNORED = node("Deployment", "api", health="Progressing")
CRON = node("CronJob", "api", health="Healthy")
JOB = node("Job", "api-1", CRON, "Progressing")
CUSTOM_JOB = node("Job", "api-1", CUSTOM, "Degraded")

UP = pod(CUSTOM, "Running", "1/1", "Healthy", name="api-up")
OLD = pod(CUSTOM, "Running", "1/1", "Healthy", name="api-old", images=["harbor.example.com/shop/api:sha-1"])
LEAVES = OLD | {"info": [{"name": "Status Reason", "value": "Terminating"}]}
ENDED = pod(CUSTOM_JOB, "Completed", "0/1", "Healthy", name="api-job")
CRASHES = pod(SERVED, "CrashLoopBackOff", "0/1", "Degraded")
PULLS = pod(CUSTOM, "ImagePullBackOff", "0/1", "Degraded")


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([], id="no pods"),
        pytest.param([CUSTOM, UP], id="up below a custom resource"),
        pytest.param(
            [CUSTOM, SETTLED, pod(SETTLED, "Running", "1/1", "Healthy"), pod(SETTLED, "Running", "0/1", name="b")],
            id="an operator's standby that is not ready on purpose",
        ),
        pytest.param([CUSTOM, pod(CUSTOM, "Completed", "0/1", "Healthy")], id="done"),
        pytest.param([CUSTOM, pod(CUSTOM, "Running", "1/1", "Progressing")], id="runs and is to end"),
        pytest.param([CUSTOM, pod(CUSTOM, "Running", "1/1")], id="an old server tells no health"),
        pytest.param([CUSTOM, pod(CUSTOM)], id="nothing known"),
        pytest.param([CUSTOM, UP, pod(CUSTOM, "Evicted", "0/1", "Degraded")], id="evicted, and another in its place"),
        pytest.param([CUSTOM, UP, pod(CUSTOM, "Terminating", "0/1", "Progressing")], id="the last of the old ones"),
        pytest.param([CUSTOM, UP, pod(CUSTOM, "Shutdown", "0/1", "Degraded")], id="its node was shut down"),
        pytest.param([CUSTOM, pod(CUSTOM, "Succeeded", "0/1")], id="done, told by its phase"),
        pytest.param([CUSTOM, UP, PULLS | {"images": ["docker.io/library/redis:7"]}], id="of another image"),
        pytest.param([CUSTOM, UP, LEAVES], id="an old one leaves"),
        pytest.param([CUSTOM, SETTLED, pod(SETTLED, "Running", "1/1", "Healthy"), ENDED, CUSTOM_JOB], id="both well"),
        pytest.param([CUSTOM, CUSTOM_JOB, pod(CUSTOM_JOB, "Error", "0/1", "Degraded")], id="a job that tries again"),
        pytest.param([CUSTOM, CUSTOM_JOB, pod(CUSTOM_JOB, "Running", "1/2", "Progressing")], id="a job's sidecar"),
        pytest.param([CRON, JOB, pod(JOB, "Error", "0/1", "Degraded")], id="yesterday's job failed"),
        pytest.param([CRON, JOB, pod(JOB, "Pending", "0/1", "Progressing")], id="a job that begins"),
        pytest.param([DEPLOYMENT, REPLICAS, pod(REPLICAS, "Running", "2/2", "Healthy")], id="a sidecar is up, too"),
        pytest.param(
            [DEPLOYMENT, REPLICAS, pod(REPLICAS, "Running", "1/1", "Healthy", name="a"), pod(REPLICAS, "Pending")],
            id="an autoscaler adds one",
        ),
        pytest.param(
            [DEPLOYMENT, REPLICAS, pod(REPLICAS, "Terminating", "1/1", "Healthy")], id="judged, and scaled to none"
        ),
        pytest.param([pod(None, "Running", "1/1", "Healthy")], id="a pod in Git"),
    ],
)
def test_pods_that_run_keep_nothing_up(nodes: list[Json]) -> None:
    assert not_running({"nodes": nodes}, IMAGE) == ""


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([CUSTOM, PULLS], "Pod shop/api-0 with our image is ImagePullBackOff with 0/1 containers ready"),
        ([CUSTOM, UP, PULLS], "Pod shop/api-0 with our image is ImagePullBackOff"),
        ([CUSTOM, SERVED, pod(SERVED, "ContainerCreating", "0/1", "Progressing")], "is ContainerCreating"),
        ([CUSTOM, SERVED, CUSTOM_JOB, ENDED, CRASHES], "is CrashLoopBackOff"),
        ([CUSTOM, SERVED, CUSTOM_JOB, CRASHES, ENDED], "is CrashLoopBackOff"),
        (
            [CUSTOM, SERVED, pod(SERVED, "Running", "1/1", "Healthy")],
            "but StatefulSet shop/api is Progressing",
        ),
        (
            [CUSTOM, ROLLING, ROLLED, pod(ROLLED, "Running", "1/1", "Healthy")],
            "Deployment shop/api is Progressing",
        ),
        ([CUSTOM, UP, OLD], "shop/api, but Pod shop/api-old still runs another version"),
        ([CUSTOM, SETTLED, pod(SETTLED, "ErrImagePull", "0/1")], "no health of Cluster shop/api, but Pod shop/api-0"),
        ([CUSTOM, pod(CUSTOM, "Running", "1/2", "Progressing")], "is Running with 1/2 containers ready"),
        ([CUSTOM, pod(CUSTOM, "CrashLoopBackOff", "0/1", "Degraded")], "is CrashLoopBackOff"),
        ([CUSTOM, pod(CUSTOM, "Init:ErrImagePull", "0/1", "Progressing")], "is Init:ErrImagePull"),
        ([CUSTOM, pod(CUSTOM, "", "", "Degraded")], "with our image is Degraded"),
        ([CUSTOM, pod(CUSTOM, "Evicted", "0/1", "Degraded")], "is Evicted with 0/1 containers ready"),
        ([CUSTOM, pod(CUSTOM, "Pending", name="a"), pod(CUSTOM, "Pending", name="b")], "is Pending (and 1 more)"),
        ([CUSTOM, CUSTOM_JOB, pod(CUSTOM_JOB, "ErrImagePull", "0/1", "Progressing")], "is ErrImagePull"),
        ([CUSTOM, CUSTOM_JOB, pod(CUSTOM_JOB, "Init:ErrImagePull", "0/1")], "is Init:ErrImagePull"),
        ([pod(CUSTOM, "Pending", "0/1", "Progressing")], "no health of Cluster shop/api, but Pod shop/api-0 with"),
        ([IGNORED, pod(IGNORED, "ErrImagePull", "0/1", "Degraded")], "Deployment shop/api is Progressing, but Pod"),
        ([CUSTOM | {"uid": ""}, pod(CUSTOM | {"uid": ""}, "Pending")], "Argo CD has no health of Cluster shop/api"),
    ],
)
def test_a_pod_that_does_not_run_is_named(nodes: list[Json], told: str) -> None:
    assert told in not_running({"nodes": nodes}, IMAGE)


@pytest.mark.parametrize(("operated", "told"), [(True, "Pod shop/api-0 of a hook alone runs our image"), (False, "")])
def test_a_hooks_pod_proves_nothing_where_an_operator_makes_all_others(operated: bool, told: str) -> None:
    hook = node("Job", "migrate", health="Healthy")
    nodes = [hook, pod(hook, "Completed", "0/1", "Healthy")]
    assert not_running({"nodes": nodes}, IMAGE, left_to_operators=operated) == told
    assert not_running({"nodes": [*nodes, CUSTOM, UP]}, IMAGE, left_to_operators=operated) == ""


def test_a_pod_is_known_by_its_digest() -> None:
    digest = "sha256:" + "a" * 64
    pulls = PULLS | {"images": [f"mirror.example.com/x@{digest}"]}
    assert not_running({"nodes": [CUSTOM, pulls]}, IMAGE, digest)
    assert not not_running({"nodes": [CUSTOM, pulls]}, IMAGE, digest.replace("a", "b"))


def test_resources_without_an_id_are_told_apart_by_their_namespace() -> None:
    one, other = ({**CUSTOM, "uid": "", "namespace": name} for name in ("one", "two"))
    up = pod(one, "Running", "1/1", "Healthy", uid="", namespace="one")
    coming = pod(other, "Pending", uid="", namespace="two")
    nodes = [one, other, coming, up]
    assert "Cluster two/api, but Pod two/api-0" in not_running({"nodes": nodes}, IMAGE)


def test_owners_that_own_each_other_end() -> None:
    one, other = node("A", "a"), node("B", "b")
    one["parentRefs"], other["parentRefs"] = [{"uid": "B-b"}], [{"uid": "A-a"}]
    assert "is Pending" in not_running({"nodes": [one, other, pod(one, "Pending")]}, IMAGE)


ODD = st.recursive(st.none() | st.text(max_size=3) | st.integers(), lambda inner: st.lists(inner, max_size=2))
NODE = st.fixed_dictionaries(
    {"kind": st.just("Pod"), "images": st.just([IMAGE])},
    optional={name: ODD | st.just([{}]) for name in ("uid", "info", "health", "parentRefs", "namespace", "name")},
)


@given(ODD | st.lists(NODE, max_size=3))
def test_a_tree_of_another_shape_does_no_harm(nodes: Any) -> None:
    assert isinstance(not_running({"nodes": nodes}, IMAGE), str)
