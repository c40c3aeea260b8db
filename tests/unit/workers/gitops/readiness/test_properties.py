"""Whatever Argo CD says: every condition is needed, and odd shapes never raise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.applications import LATER, NOW, OLD, OLD_IMAGE, OURS, condition, expected, healthy
from workers.gitops.readiness import VerdictKind, judge

NOT_MET = [
    {"metadata.deletionTimestamp": "2026-08-22T03:12:00Z"},
    {"metadata.annotations": {"argocd.argoproj.io/refresh": ""}},
    {"operation": {"sync": {}}},
    {"status": None},
    {"status.sync": None},
    {"status.sync.status": None},
    {"status.sync.status": "OutOfSync"},
    {"status.sync.revision": None},
    {"status.sync.revision": OLD},
    {"status.sync.revision": OURS.upper()[:39]},
    {"status.health": None},
    {"status.health.status": "healthy"},
    {"status.health.status": "Degraded"},
    {"status.operationState.phase": None},
    {"status.operationState.phase": "Running"},
    {"status.operationState.phase": "Failed"},
    {"status.operationState.phase": "Error"},
    {"status.operationState.finishedAt": None},
    {"status.operationState.finishedAt": "2026-08-22T03:12:02Z"},
    {"status.reconciledAt": None},
    {"status.reconciledAt": "2026-08-22T03:11:07Z"},
    {"status.reconciledAt": "not a time"},
    {"status.summary": None},
    {"status.summary.images": [OLD_IMAGE]},
    {"status.conditions": [condition("ComparisonError")]},
    {"status.conditions": [condition("InvalidSpecError")]},
]


@given(st.lists(st.sampled_from(NOT_MET), min_size=1, max_size=3))
def test_a_single_condition_that_is_not_met_is_never_success(several):
    application = healthy()
    for changes in several:
        if "status" in application or not any(path.startswith("status.") for path in changes):
            application = healthy({**flat(application), **changes})
    assert judge(application, expected(), NOW).kind is not VerdictKind.SUCCESS


def flat(application):
    """Write an application as changes of the healthy one."""
    base = healthy()
    changes = {}

    def walk(now, was, prefix):
        for key in now.keys() | was.keys():
            path = f"{prefix}{key}"
            if isinstance(now.get(key), dict) and isinstance(was.get(key), dict):
                walk(now[key], was[key], f"{path}.")
            elif now.get(key) != was.get(key):
                changes[path] = now.get(key)

    walk(application, base, "")
    return changes


@pytest.mark.parametrize("changes", NOT_MET, ids=str)
def test_every_condition_is_needed(changes):
    assert judge(healthy(changes), expected(), NOW).kind is not VerdictKind.SUCCESS


NAMES = st.text(max_size=5) | st.sampled_from(["group", "health", "images", "kind", "name", "status", "type"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["Synced", "Healthy", OURS, LATER]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


PATHS = [
    "metadata",
    "metadata.annotations",
    "spec",
    "spec.sources",
    "spec.sourceHydrator",
    "spec.syncPolicy",
    "operation",
    "status",
    "status.sync",
    "status.sync.status",
    "status.sync.revision",
    "status.sync.revisions",
    "status.sync.comparedTo",
    "status.health",
    "status.health.status",
    "status.operationState",
    "status.operationState.phase",
    "status.operationState.operation",
    "status.operationState.syncResult",
    "status.operationState.finishedAt",
    "status.operationState.retryCount",
    "status.operationState.syncResult.resources",
    "status.conditions",
    "status.resources",
    "status.reconciledAt",
    "status.summary",
    "status.summary.images",
    "status.sourceHydrator",
]


@given(st.dictionaries(st.sampled_from(PATHS), JSON, max_size=4), JSON)
def test_odd_shapes_never_raise(changes, memory):
    application = {}
    try:
        application = healthy(dict(sorted(changes.items())))
    except (AttributeError, TypeError):
        application = changes  # two changes at odds with each other
    verdict = judge(application, expected(), NOW, memory if isinstance(memory, dict) else None)
    assert verdict.detail
    assert verdict.recheck_after is None or verdict.kind is VerdictKind.WAIT
