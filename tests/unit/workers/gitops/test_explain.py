"""One sentence about what is wrong, the gravest thing first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.applications import condition, healthy
from tests.support.effort import grows_with
from workers.gitops.explain import container_of, last_words, ran, why_unhealthy
from workers.gitops.words import LIMIT

DEGRADED = healthy({"status.health": {"status": "Degraded", "message": "apps/Deployment:p/api"}})


def node(kind="Pod", name="api-1", status="Degraded", message="", reason="", born="2026-08-22T03:11:05Z", **more):
    info = [{"name": "Containers", "value": "0/1"}] + ([{"name": "Status Reason", "value": reason}] if reason else [])
    health = {"status": status, "message": message}
    return {"kind": kind, "namespace": "p", "name": name, "health": health, "info": info, "createdAt": born, **more}


def tree(*nodes):
    return {"nodes": list(nodes)}


def event(reason, message, about=None, kind="Warning", at="2026-08-22T03:12:00Z"):
    about = about or {"kind": "Pod", "namespace": "p", "name": "api-1"}
    return {"type": kind, "reason": reason, "message": message, "involvedObject": about, "lastTimestamp": at}


PULL = node(reason="ImagePullBackOff", message="Back-off pulling image")
CRASH = node(reason="CrashLoopBackOff", message="back-off 5m0s restarting failed container")
DEPLOYMENT = node("Deployment", "api", message="exceeded its progress deadline", born="2026-03-04T21:30:33Z")
QUOTA = {"kind": "ReplicaSet", "namespace": "p", "name": "api-6d9f"}


@pytest.mark.parametrize(
    ("nodes", "events", "sentence"),
    [
        ([PULL, DEPLOYMENT], [], "Pod p/api-1 is in ImagePullBackOff: Back-off pulling image"),
        (
            [PULL], [event("Failed", "Error: ErrImagePull"), event("Failed", 'Failed to pull image "x": not found')],
            'Pod p/api-1 is in ImagePullBackOff: Failed to pull image "x": not found',
        ),
        (
            [PULL], [event("Failed", "Error: ErrImagePull"), event("Failed", "Error: of the container beside it")],
            "Pod p/api-1 is in ImagePullBackOff: Error: ErrImagePull",
        ),
        (
            [PULL], [event("Failed", "Error: ErrImagePull"), event("Unhealthy", "Liveness probe failed: /pull: 500")],
            "Pod p/api-1 is in ImagePullBackOff: Error: ErrImagePull",
        ),
        (
            [{**CRASH, "uid": "b"}],
            [event("Failed", "of the pod before", {"kind": "Pod", "namespace": "p", "name": "api-1", "uid": "a"})],
            "Pod p/api-1 is in CrashLoopBackOff: back-off 5m0s restarting failed container",
        ),
        ([node(reason="OOMKilled", name="b"), node(reason="Error", name="a")], [], "Pod p/b is in OOMKilled"),
        ([node(reason="RunContainerError", name="b"), node(reason="Error", name="a")], [], "Pod p/b is in Run"),
        (
            [DEPLOYMENT], [event("FailedBinding", "no persistent volumes available")],
            "Pod p/api-1: FailedBinding: no persistent volumes available",
        ),
        ([CRASH, DEPLOYMENT], [], "Pod p/api-1 is in CrashLoopBackOff: back-off 5m0s restarting failed container"),
        (
            [CRASH], [event("Unhealthy", "Liveness probe failed: HTTP 500")],
            "Pod p/api-1 is in CrashLoopBackOff: Liveness probe failed: HTTP 500",
        ),
        (
            [CRASH], [event("Unhealthy", "Readiness probe failed: Get http://10.0.0.7:8080/: connection refused")],
            "Pod p/api-1 is in CrashLoopBackOff: back-off 5m0s restarting failed container",
        ),
        (
            [{**CRASH, "uid": "a"}], [event("Unhealthy", "of another pod", {"kind": "Pod", "uid": "b"})],
            "Pod p/api-1 is in CrashLoopBackOff: back-off 5m0s restarting failed container",
        ),
        (
            [CRASH], [event("Failed", "of another pod", {"kind": "Pod", "namespace": "p", "name": "api-2"})],
            "Pod p/api-1 is in CrashLoopBackOff: back-off 5m0s restarting failed container",
        ),
        ([CRASH, PULL], [], "Pod p/api-1 is in ImagePullBackOff: Back-off pulling image"),
        ([node(reason="Init:CrashLoopBackOff")], [], "Pod p/api-1 is in Init:CrashLoopBackOff"),
        (
            [node(name="old", reason="Error", born="2026-08-20T00:00:00Z"), node(name="new", reason="Error")], [],
            "Pod p/new is in Error",
        ),
        ([node(reason="SomethingNew", message="odd")], [], "Pod p/api-1 is SomethingNew: odd"),
        ([node(message="odd")], [], "Pod p/api-1 is Degraded: odd"),
        ([DEPLOYMENT], [], "Deployment p/api is Degraded: exceeded its progress deadline"),
        (
            [DEPLOYMENT], [event("FailedCreate", "pods is forbidden: exceeded quota: mem", QUOTA)],
            "ReplicaSet p/api-6d9f: FailedCreate: pods is forbidden: exceeded quota: mem",
        ),
        (
            [node(status="Progressing", reason="Pending"), DEPLOYMENT],
            [event("FailedScheduling", "0/3 nodes are available: insufficient memory")],
            "Pod p/api-1: FailedScheduling: 0/3 nodes are available: insufficient memory",
        ),
        (
            [node(status="Progressing")], [event("Unhealthy", "Readiness probe failed: connection refused")],
            "Pod p/api-1: Unhealthy: Readiness probe failed: connection refused",
        ),
        ([node(status="Progressing", reason="Creating")], [], "Pod p/api-1 is not ready (Creating)"),
        ([node(status="Progressing")], [], "Pod p/api-1 is not ready (Progressing)"),
        ([node(status="Healthy")], [event("Pulled", "fine", kind="Normal")], "The application is Degraded: apps/"),
        ([], [event("Strange", "unknown words")], "Pod p/api-1: Strange: unknown words"),
        ([node("Service", "web", status="Missing")], [], "Service p/web is Missing"),
        ([], [], "The application is Degraded: apps/Deployment:p/api"),
        (
            [], [event("OperationCompleted", "Sync operation failed", {"kind": "Application", "name": "api"})],
            "The application is Degraded: apps/Deployment:p/api",
        ),
        ([node("Service", "web", "Progressing")], [], "Service p/web is Progressing"),
        (
            [node("Deployment", "api", "Progressing", "1 old replicas are pending termination", born="2026"),
             node("Service", "web", "Progressing"), node(status="Healthy")], [],
            "Deployment p/api is Progressing: 1 old replicas are pending termination",
        ),
        (
            [node("Deployment", "api", "Progressing", "0 of 1 updated replicas are available"),
             node(status="Progressing", reason="Creating")], [],
            "Pod p/api-1 is not ready (Creating)",
        ),
        (
            [node("CronJob", "nightly", "Suspended", "CronJob is Suspended")], [],
            "CronJob p/nightly is Suspended: CronJob is Suspended",
        ),
        (
            [node("CronJob", "nightly", "Suspended", "CronJob is Suspended"), node(status="Progressing")], [],
            "Pod p/api-1 is not ready (Progressing)",
        ),
    ],
)  # fmt: skip
def test_the_gravest_cause_is_told(nodes, events, sentence):
    assert why_unhealthy(DEGRADED, tree(*nodes), events).startswith(sentence)
    assert why_unhealthy(DEGRADED, tree(*nodes), {"items": events}).startswith(sentence)


BACK_OFF = "back-off 40s restarting failed container=web pod=api-1_p(9f1c)"
PROBE = event("Unhealthy", "Liveness probe failed: HTTP 500")


@pytest.mark.parametrize(
    ("pod", "events", "sentence"),
    [
        (
            node(reason="CrashLoopBackOff", message=BACK_OFF), [],
            "Pod p/api-1 is in CrashLoopBackOff; its log ends: no DB",
        ),
        (
            node(reason="CrashLoopBackOff", message=BACK_OFF), [PROBE],
            "Pod p/api-1 is in CrashLoopBackOff: Liveness probe failed: HTTP 500; its log ends: no DB",
        ),
    ],
)  # fmt: skip
def test_the_last_words_of_a_pod_are_quoted(pod, events, sentence):
    assert why_unhealthy(DEGRADED, tree(pod), events, {"p/api-1": "no DB"}) == sentence
    assert BACK_OFF in why_unhealthy(DEGRADED, tree(pod), [], {"p/other": "no DB"})


def test_last_words_are_bounded():
    assert len(why_unhealthy(DEGRADED, tree(CRASH), [PROBE], {"p/api-1": "x" * 5000})) <= LIMIT


@pytest.mark.parametrize(
    ("message", "events", "name"),
    [
        (BACK_OFF, [], "web"),
        ("", [event("BackOff", "Back-off restarting failed container web in pod api-1_p(9f1c)")], "web"),
        ("", [event("BackOff", "Back-off restarting failed container")], ""),
        ("", [event("BackOff", "Back-off restarting failed container db in pod x", {"uid": "b"})], ""),
        (None, [], ""),
    ],
)
def test_the_container_is_the_one_that_the_kubelet_names(message, events, name):
    assert container_of(node(reason="CrashLoopBackOff", message=message), events) == name


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], ""),
        (["", "  "], ""),
        (["Traceback", "\x1b[31mValueError: no DB\x1b[0m", "", "\x1b[0m"], "ValueError: no DB"),
    ],
)
def test_the_last_line_that_says_anything_counts(lines, said):
    assert last_words(lines) == said


@pytest.mark.parametrize(
    ("reason", "so"),
    [
        ("CrashLoopBackOff", True),
        ("Init:Error", True),
        ("OOMKilled", True),
        ("Running", True),
        ("ImagePullBackOff", False),
        ("", False),
    ],
)
def test_who_has_run_may_have_said_why(reason, so):
    assert ran(node(reason=reason)) is so


def test_the_newest_event_of_a_kind_counts():
    events = [
        event("Unhealthy", "new", at="2026-08-22T03:13:00Z"),
        event("Unhealthy", "old", at="2026-08-22T03:12:00Z"),
        {**event("Unhealthy", "newest"), "series": {"lastObservedTime": "2026-08-22T03:14:00.000000Z"}},
    ]
    assert why_unhealthy(DEGRADED, {}, events) == "Pod p/api-1: Unhealthy: newest"
    assert why_unhealthy(DEGRADED, {}, events[:2]) == "Pod p/api-1: Unhealthy: new"


HOOK = {
    "kind": "Job",
    "namespace": "p",
    "name": "migrate",
    "hookType": "PostSync",
    "hookPhase": "Failed",
    "message": "no",
}
REFUSED = {
    "kind": "Deployment",
    "namespace": "p",
    "name": "api",
    "status": "SyncFailed",
    "message": "field is immutable",
}


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ([{"status": "Synced"}, HOOK], "PostSync hook Job p/migrate failed: no"),
        ([{**HOOK, "hookPhase": "Error"}], "PostSync hook Job p/migrate failed: no"),
        ([REFUSED], "Deployment p/api could not be applied: field is immutable"),
        ([{**HOOK, "hookPhase": "Running"}], "The sync failed: one or more tasks failed"),
        (None, "The sync failed: one or more tasks failed"),
    ],
)
def test_what_a_sync_could_not_apply_comes_first(resources, sentence):
    state = {"phase": "Failed", "message": "one or more tasks failed", "syncResult": {"resources": resources}}
    assert why_unhealthy(healthy({"status.operationState": state}), tree(PULL), []) == sentence


def test_errors_of_the_application_come_before_pods():
    application = healthy(
        {"status.conditions": [condition("OrphanedResourceWarning"), condition("ComparisonError", "no")]}
    )
    assert why_unhealthy(application, tree(PULL), []) == "ComparisonError: no"


def test_older_servers_have_the_health_of_resources_in_the_object():
    resources = [
        {"kind": "Deployment", "namespace": "p", "name": "api", "health": {"status": "Degraded", "message": "late"}}
    ]
    application = healthy({"status.resources": resources, "status.health.status": "Degraded"})
    assert why_unhealthy(application, {}, []) == "Deployment p/api is Degraded: late"


def test_a_suspended_resource_in_the_object_is_named_after_what_is_unwell():
    held = {"kind": "CronJob", "namespace": "p", "name": "nightly", "health": {"status": "Suspended"}}
    application = healthy({"status.resources": [held], "status.health.status": "Suspended"})
    assert why_unhealthy(application, {}, []) == "CronJob p/nightly is Suspended"
    assert why_unhealthy(application, tree(DEPLOYMENT), []).startswith("Deployment p/api is Degraded")


def test_nothing_wrong_says_nothing():
    assert why_unhealthy(healthy(), tree(node(status="Healthy"), node("Service", "web", status="Healthy")), []) == ""


@pytest.mark.parametrize("uid", [str, lambda number: ""])
def test_the_work_grows_with_the_pods_and_not_with_their_square(uid):
    def differing(count):
        nodes = [{**node(reason="CrashLoopBackOff"), "name": f"p-{n}", "uid": uid(n)} for n in range(count)]
        about = [{"kind": "Pod", "namespace": "p", "name": f"p-{n}", "uid": uid(n)} for n in range(count)]
        events = [
            {"type": "Warning", "reason": "Failed", "message": f"of {n}", "involvedObject": about[n]}
            for n in range(count)
        ]
        assert "is in CrashLoopBackOff: of " in why_unhealthy(DEGRADED, tree(*nodes), events)

    def alike(count):
        pod = {**node(reason="CrashLoopBackOff"), "uid": uid(0)}
        about = {"kind": "Pod", "namespace": "p", "name": pod["name"], "uid": uid(0)}
        event = {"type": "Warning", "reason": "Failed", "message": "of it", "involvedObject": about}
        assert "is in CrashLoopBackOff: of it" in why_unhealthy(DEGRADED, tree(*[pod] * count), [event] * count)

    assert grows_with(differing, 50) < 6
    assert grows_with(alike, 100) < 6  # of each resource no more warnings than that are looked at


def test_long_and_hostile_messages_are_made_fit():
    message = "\x1b[31m" + "x" * 9 + " x" * 900 + "\nline\u202e 한글 끝"
    sentence = why_unhealthy(DEGRADED, tree(node(reason="Error", message=message)), [])
    assert sentence.startswith("Pod p/api-1 is in Error: [31mxxx")
    assert sentence.endswith("line 한글 끝")
    assert len(sentence) <= LIMIT
    assert "\n" not in sentence


def test_a_resource_without_a_name_is_told_as_such():
    assert (
        why_unhealthy({}, {"nodes": [{"health": {"status": "Degraded"}}]}, [])
        == "Resource (without a name) is Degraded"
    )


KEYS = [
    "kind",
    "name",
    "uid",
    "health",
    "status",
    "info",
    "nodes",
    "type",
    "reason",
    "message",
    "items",
    "involvedObject",
    "series",
    "conditions",
    "operationState",
    "phase",
    "syncResult",
    "resources",
    "hookType",
    "hookPhase",
    "value",
    "createdAt",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "Pod", "Degraded", "Failed", "Warning"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


@given(JSON, JSON, JSON)
def test_odd_shapes_never_raise(application, nodes, events):
    assert len(why_unhealthy(application, {"nodes": nodes}, events)) <= LIMIT
    assert len(why_unhealthy(application, nodes, events)) <= LIMIT
