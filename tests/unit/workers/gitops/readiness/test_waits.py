"""What only needs time waits; what needs a person says so."""

import pytest

from orchestrator.domain.reasons import Reason
from tests.support.applications import LATER, NOW, OLD, OLD_IMAGE, OURS, condition, expected, healthy
from tests.support.situations import ARGO, NO_OPERATION, OUT_OF_SYNC, RESULT, RUNNING, watched
from workers.gitops.readiness import VerdictKind, judge

DIFFERS = [{"kind": "ConfigMap", "namespace": "p", "name": "old", "status": "OutOfSync"}]
PRUNE = [{**DIFFERS[0], "requiresPruning": True}]


@pytest.mark.parametrize(
    ("changes", "reason", "synced", "said"),
    [
        ({"metadata.annotations": {f"{ARGO}/refresh": "normal"}}, "sync_pending", False, "asked to refresh"),
        ({"metadata.annotations": {f"{ARGO}/hydrate": "normal"}}, "sync_pending", False, "asked to refresh"),
        ({"operation": {"sync": {}}}, "sync_pending", False, "has been requested and has not begun"),
        ({**NO_OPERATION, **OUT_OF_SYNC, "operation": {"sync": {}}}, "sync_pending", False, "has been requested"),
        (RUNNING, "sync_pending", False, f"The sync of {OURS[:12]} is running"),
        ({"status.operationState.phase": "Terminating"}, "sync_pending", False, "is terminating"),
        ({"status.operationState.finishedAt": None}, "sync_pending", False, "is succeeded"),
        ({**RUNNING, "status.operationState.retryCount": 2}, "sync_pending", False, "(retry 2)"),
        (
            {"status.operationState.phase": "Running", "status.operationState.syncResult": None,
             "status.operationState.operation": None},
            "sync_pending", False, "The sync of an unknown revision is running",
        ),
        (
            {**RUNNING, "status.operationState.message": "Sync operation blocked by sync window"},
            "sync_window", False, "blocked by sync window",
        ),
        (
            {**RUNNING, "status.operationState.syncResult.revision": OLD, "status.operationState.operation": None},
            "sync_pending", False, f"Argo CD begins no other sync before that of {OLD[:12]} has ended",
        ),
        ({"status.sync.revision": OLD}, "sync_pending", False, f"compares with {OLD[:12]}, where the change of"),
        ({"status.sync.revision": "main"}, "sync_pending", False, "has not compared with"),
        ({"status.sync.revision": None}, "sync_pending", False, "has not compared with"),
        ({"status.sync.status": "Unknown"}, "sync_pending", False, "cannot tell whether"),
        ({**OUT_OF_SYNC, **NO_OPERATION}, "sync_pending", False, "its sync has not begun"),
        ({**OUT_OF_SYNC, "status.reconciledAt": "2026-08-22T03:11:00Z"}, "sync_pending", False, "not compared again"),
        ({**OUT_OF_SYNC, "status.reconciledAt": "2026-08-22T03:11:08Z"}, "sync_pending", False, "not compared again"),
        ({"status.reconciledAt": "2026-08-22T03:11:07Z"}, "progressing", True, "has not been looked at since"),
        ({"status.reconciledAt": None}, "progressing", True, "has not been looked at since"),
        ({"status.health.status": "Progressing"}, "progressing", True, "is Progressing"),
        ({"status.health.status": "Missing"}, "progressing", True, "is Missing"),
        ({"status.health.status": "Unknown"}, "progressing", True, "is Unknown"),
        ({"status.health": None}, "progressing", True, "without a health state"),
        ({"status.summary": {"isAppOfApps": True}}, "progressing", True, "its health says nothing about"),
    ],
)  # fmt: skip
def test_what_only_needs_time_waits(changes, reason, synced, said):
    for lasting in (0, 3600):
        _, verdict = watched(healthy(changes), expected(), lasting)
        assert (verdict.kind, verdict.reason, verdict.synced) == (VerdictKind.WAIT, reason, synced)
        assert said in verdict.detail


@pytest.mark.parametrize(
    ("changes", "reason", "synced"),
    [
        ({"status.health.status": "Suspended"}, "suspended", True),
        ({**OUT_OF_SYNC, "status.resources": PRUNE}, "prune_required", True),
        (
            {**OUT_OF_SYNC, "status.resources": None, RESULT: [{"status": "PruneSkipped"}]},
            "prune_required", True,
        ),
        ({**OUT_OF_SYNC, "status.resources": PRUNE + DIFFERS}, "out_of_sync", True),
        ({**OUT_OF_SYNC, "status.resources": DIFFERS * 5}, "out_of_sync", True),
        ({**OUT_OF_SYNC, "status.resources": None}, "out_of_sync", True),
        ({**OUT_OF_SYNC, "status.conditions": [condition("SharedResourceWarning")]}, "shared_resource", True),
        ({**OUT_OF_SYNC, **NO_OPERATION, "spec.syncPolicy": None}, "not_automated", False),
        ({**OUT_OF_SYNC, **NO_OPERATION, "spec.syncPolicy.automated": {"enabled": False}}, "not_automated", False),
    ],
)  # fmt: skip
def test_what_waits_for_a_person_says_so_until_the_deadline(changes, reason, synced):
    for lasting in (0, 3600):
        _, verdict = watched(healthy(changes), expected(), lasting)
        assert (verdict.kind, verdict.reason, verdict.synced) == (VerdictKind.NEEDS_HUMAN, reason, synced)


@pytest.mark.parametrize(("revision", "in_the_way"), [(OURS, False), (LATER, False), (OLD, True)])
def test_only_the_sync_of_something_else_is_in_the_way(revision, in_the_way):
    running = {**RUNNING, "status.operationState.syncResult.revision": revision}
    assert bool(judge(healthy(running), expected(), NOW).obstacle) is in_the_way


RETRIED = "one or more objects failed to apply, reason: field is immutable. Retrying attempt #3 at 3:14AM."


@pytest.mark.parametrize(("finished", "unready"), [(None, True), ("2026-08-22T03:13:00Z", False)])
def test_a_sync_that_is_to_be_tried_again_says_itself_why(finished, unready):
    """No pod that is not ready somewhere explains what could not be applied."""
    changes = {"phase": "Running", "finishedAt": finished, "retryCount": 3, "message": RETRIED}
    verdict = judge(
        healthy({f"status.operationState.{key}": value for key, value in changes.items()}), expected(), NOW
    )
    assert (verdict.kind, verdict.unready) == (VerdictKind.WAIT, unready)
    assert "field is immutable" in verdict.detail


def test_what_is_suspended_is_named():
    held = [{"kind": "CronJob", "namespace": "p", "name": "nightly", "health": {"status": "Suspended"}}]
    changes = {"status.health.status": "Suspended", "status.resources": held}
    verdict = judge(healthy(changes), expected(), NOW)
    assert (verdict.reason, verdict.unready) == (Reason.SUSPENDED, False)
    assert verdict.detail == f"{OURS[:12]} is Suspended because of CronJob/p/nightly"
    unnamed = judge(healthy({"status.health.status": "Suspended"}), expected(), NOW)
    assert (unnamed.detail, unnamed.unready) == (f"{OURS[:12]} is Suspended", True), "the tree has to tell"


ON_TOP = {**OUT_OF_SYNC, "status.sync.revision": LATER, "status.resources": DIFFERS}
"""Our commit is applied and live; somebody has pushed another one since."""


@pytest.mark.parametrize(
    ("changes", "sync", "reason"),
    [
        (ON_TOP, False, "sync_pending"),
        ({**ON_TOP, "spec.syncPolicy": None}, True, "sync_pending"),
        ({**ON_TOP, "spec.syncPolicy": None}, False, "not_automated"),
    ],
)
def test_a_commit_on_top_of_ours_is_not_said_to_be_applied(changes, sync, reason):
    verdict = judge(healthy(changes), expected(sync=sync), NOW)
    assert (verdict.reason, verdict.synced, verdict.unsynced) == (reason, True, True)
    assert (
        f"{OURS[:12]} is applied, but Argo CD compares with {LATER[:12]}, whose sync has not begun" in verdict.detail
    )


def test_an_application_set_with_a_rolling_sync_needs_no_person():
    operation = {"initiatedBy": {"username": "applicationset-controller"}, "sync": {"revision": OLD}}
    changes = {"spec.syncPolicy": None, "metadata.ownerReferences": [{"kind": "ApplicationSet", "name": "shop"}]}
    changes |= {"status.operationState.operation": operation, "status.operationState.syncResult.revision": OLD}
    verdict = judge(healthy({**OUT_OF_SYNC, **changes}), expected(), NOW)
    assert (verdict.kind, verdict.reason) == (VerdictKind.WAIT, Reason.SYNC_PENDING)
    assert verdict.detail.endswith("its sync has not begun, which its ApplicationSet does in steps")
    assert not verdict.unbegun, "the steps before may take any time, which is neither a window nor a sync given up"


HEALED = {
    **OUT_OF_SYNC,
    "spec.syncPolicy.automated": {"selfHeal": True},
    "status.resources": DIFFERS,
    "status.operationState.operation": {
        "initiatedBy": {"automated": True},
        "sync": {"revision": OURS, "resources": [{"kind": "ConfigMap", "name": "old"}], "selfHealAttemptsCount": 3},
    },
    "status.history": [{"id": 6, "revision": OLD}, {"id": 7, "revision": OURS}],
}
"""Our commit is applied; something in the cluster undoes a part of it, and Argo CD heals that again and again."""


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({}, "out_of_sync", f"{OURS[:12]} is applied; still different: ConfigMap/p/old"),
        ({"status.conditions": [condition("SharedResourceWarning", "of two")]}, "shared_resource", "of two"),
        ({"status.history": [{"id": 7, "revision": OLD}]}, "sync_pending", "its sync has not begun"),
        ({"status.history": None}, "sync_pending", "its sync has not begun"),
        ({"status.operationState.syncResult.revision": OLD}, "sync_pending", "its sync has not begun"),
    ],
)
def test_what_argo_cd_heals_in_vain_was_applied_before(changes, reason, said):
    """A sync that heals names the resources that differ (``autoSync``), and takes the place of the whole one."""
    _, verdict = watched(healthy({**HEALED, **changes}), expected(), 3600)
    assert verdict.reason == reason
    assert said in verdict.detail


@pytest.mark.parametrize(
    ("value", "so"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False), (None, False)]
)
def test_an_application_that_argo_cd_is_told_to_leave_alone_is_named_as_such(value, so):
    """Its controller does not even answer a request to refresh (``canProcessApp``)."""
    annotations = {f"{ARGO}/refresh": "normal", f"{ARGO}/skip-reconcile": value}
    verdict = judge(healthy({"metadata.annotations": annotations, "status.sync.revision": OLD}), expected(), NOW)
    assert verdict.kind is VerdictKind.WAIT
    assert (f"it has the annotation {ARGO}/skip-reconcile" in verdict.detail) is so
    assert ("asked to refresh" in verdict.detail) is not so


def test_who_else_keeps_the_state_of_an_application_may_prove_it():
    """Open Cluster Management does so, for applications of other clusters."""
    annotations = {f"{ARGO}/refresh": "normal", f"{ARGO}/skip-reconcile": "true"}
    assert judge(healthy({"metadata.annotations": annotations}), expected(), NOW).kind is VerdictKind.SUCCESS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "prune_required"),
        ({"spec.syncPolicy.automated": {"prune": True}}, "sync_pending"),
        ({"status.resources": PRUNE + DIFFERS}, "sync_pending"),
        ({"status.resources": None}, "sync_pending"),
    ],
)
@pytest.mark.parametrize("base", [{**OUT_OF_SYNC, **NO_OPERATION}, ON_TOP], ids=["nothing applied", "on top of ours"])
def test_what_only_is_to_be_pruned_begins_no_sync_by_itself(base, changes, reason):
    """A later commit takes a resource out of Git, and automated syncs do not prune."""
    shown = {"status.resources": PRUNE, "spec.syncPolicy.automated": {}}
    verdict = judge(healthy({**base, **shown, **changes}), expected(), NOW)
    assert verdict.reason == reason
    degraded = healthy({**base, **shown, **changes, "status.health.status": "Degraded"})
    assert ("is Degraded" in judge(degraded, expected(), NOW).detail) is (
        base is ON_TOP or reason == "prune_required"
    )


def test_missing_automation_is_no_problem_where_we_sync_ourselves():
    application = healthy({**OUT_OF_SYNC, **NO_OPERATION, "spec.syncPolicy": None})
    assert judge(application, expected(sync=True), NOW).reason is Reason.SYNC_PENDING


def test_no_operation_is_needed_when_the_value_was_there_before():
    verdict = judge(healthy({"status.operationState.syncResult.revision": OLD}), expected(), NOW)
    assert (verdict.kind, verdict.strong) == (VerdictKind.SUCCESS, True)


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({"status.health.status": "Progressing"}, None),
        (RUNNING, None),
        ({**OUT_OF_SYNC, **NO_OPERATION}, None),
        ({"status.health.status": "Suspended"}, None),
        ({"status.sync.revision": OLD}, 30.0),
        ({"status.reconciledAt": "2026-08-22T03:11:07Z"}, 3.0),
        ({"status.health.status": "Degraded"}, 10.0),
        ({"status.summary.images": [OLD_IMAGE]}, 10.0),
    ],
)
def test_a_wait_says_when_to_look_where_no_list_can_end_it(changes, after):
    assert judge(healthy(changes), expected(), NOW).recheck_after == after
