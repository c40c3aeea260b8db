"""The rule by which a deploy counts as live, case by case."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.reasons import Reason
from tests.support.applications import IMAGE, LATER, NOW, OLD, OLD_IMAGE, OURS, REPO, condition, expected, healthy
from workers.gitops.readiness import ERROR_GRACE, IMAGE_GRACE, SLOW_ERROR_GRACE, Kind, judge


def seconds(count):
    return timedelta(seconds=count)


def watched(application, wanted, lasting, memory=None):
    """Look twice, `lasting` seconds apart, and return both verdicts."""
    first = judge(application, wanted, NOW, memory)
    return first, judge(application, wanted, NOW + seconds(lasting), first.memory)


def test_synced_healthy_and_live_is_success():
    verdict = judge(healthy(), expected(), NOW)
    assert (verdict.kind, verdict.reason, verdict.synced, verdict.strong) == (
        Kind.SUCCESS,
        Reason.HEALTHY,
        True,
        True,
    )
    assert verdict.detail == f"{OURS[:12]} is synced and healthy and {IMAGE} is live"
    assert (verdict.revision, verdict.live_images, verdict.recheck_after) == (OURS, (IMAGE,), None)


ARGO = "argocd.argoproj.io"
RESULT = "status.operationState.syncResult.resources"
OUT_OF_SYNC = {"status.sync.status": "OutOfSync"}
NO_OPERATION = {"status.operationState": None}
RUNNING = {"status.operationState.phase": "Running", "status.operationState.finishedAt": None}
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
        ({"status.sync.revision": OLD}, "sync_pending", False, f"compares with {OLD[:12]}, which does not contain"),
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
        assert (verdict.kind, verdict.reason, verdict.synced) == (Kind.WAIT, reason, synced)
        assert said in verdict.detail
        assert verdict.recheck_after


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
        assert (verdict.kind, verdict.reason, verdict.synced) == (Kind.NEEDS_HUMAN, reason, synced)
        assert verdict.recheck_after == 30.0


def test_missing_automation_is_no_problem_where_we_sync_ourselves():
    application = healthy({**OUT_OF_SYNC, **NO_OPERATION, "spec.syncPolicy": None})
    assert judge(application, expected(sync=True), NOW).reason is Reason.SYNC_PENDING


FAILED = {"status.operationState.phase": "Failed", "status.operationState.message": "a hook failed"}
ERROR = {"status.operationState.phase": "Error", "status.operationState.message": "ComparisonError: no such chart"}


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"metadata.deletionTimestamp": "2026-08-22T03:12:00Z"}, "application_deleting", "being deleted"),
        (FAILED, "sync_failed", f"The sync of {OURS[:12]} ended as Failed: a hook failed"),
        ({**FAILED, **OUT_OF_SYNC}, "sync_failed", "a hook failed"),
        ({**ERROR, "status.sync": {"revision": "main", "status": "Unknown"}}, "manifests_invalid", "no such chart"),
        ({**FAILED, "status.sync.revision": LATER}, "sync_failed", "a hook failed"),
        ({**FAILED, **OUT_OF_SYNC, "status.sync.revision": LATER, "spec.syncPolicy": None}, "sync_failed", "hook"),
    ],
)  # fmt: skip
def test_what_is_final_fails_at_once(changes, reason, said):
    verdict = judge(healthy(changes), expected(), NOW)
    assert (verdict.kind, verdict.reason, verdict.recheck_after) == (Kind.FAILED, reason, None)
    assert said in verdict.detail


@pytest.mark.parametrize(
    "changes",
    [
        {**FAILED, "status.operationState.syncResult.revision": OLD, "status.sync.revision": OLD},
        {**FAILED, **OUT_OF_SYNC, "status.sync.revision": LATER},
        {**FAILED, "operation": {"sync": {}}},
        {**FAILED, **OUT_OF_SYNC, "status.operationState.operation.sync": {"revision": OURS, "dryRun": True}},
        {**FAILED, **OUT_OF_SYNC, "status.operationState.operation.sync": {"resources": [{"kind": "Job"}]}},
    ],
)
def test_a_failure_of_something_else_is_not_ours(changes):
    assert judge(healthy(changes), expected(), NOW).kind is Kind.WAIT


PASSING = "rpc error: code = Unavailable desc = dial tcp: connection refused"
BEFORE = "2026-08-22T03:09:00Z"


@pytest.mark.parametrize(
    ("changes", "grace", "reason"),
    [
        ({"status.health.status": "Degraded"}, 60, "degraded"),
        ({"status.health.status": "Degraded", **OUT_OF_SYNC}, 60, "degraded"),
        ({"status.conditions": [condition("ComparisonError")]}, ERROR_GRACE, "manifests_invalid"),
        ({"status.conditions": [condition("ComparisonError", at=BEFORE)]}, ERROR_GRACE, "manifests_invalid"),
        ({"status.conditions": [condition("InvalidSpecError")]}, ERROR_GRACE, "application_invalid"),
        ({"status.conditions": [condition("UnknownError")]}, ERROR_GRACE, "application_invalid"),
        ({"status.conditions": [condition("ComparisonError", PASSING)]}, SLOW_ERROR_GRACE, "manifests_invalid"),
        (
            {"status.conditions": [condition("InvalidSpecError", at=BEFORE)], "status.reconciledAt": BEFORE},
            SLOW_ERROR_GRACE, "application_invalid",
        ),
        ({**OUT_OF_SYNC, **NO_OPERATION, "status.conditions": [condition("SyncError")]}, ERROR_GRACE, "sync_failed"),
        ({"status.summary.images": [OLD_IMAGE]}, IMAGE_GRACE, "image_not_deployed"),
        ({**NO_OPERATION, "status.summary": {}}, IMAGE_GRACE, "image_not_deployed"),
    ],
)  # fmt: skip
def test_what_may_pass_must_last(changes, grace, reason):
    application = healthy(changes)
    first, soon = watched(application, expected(), grace - 1)
    assert (first.kind, soon.kind) == (Kind.WAIT, Kind.WAIT)
    assert first.reason is not Reason(reason)
    assert 1.0 <= soon.recheck_after <= first.recheck_after <= 10.0
    then = judge(application, expected(), NOW + seconds(grace), soon.memory)
    assert (then.kind, then.reason) == (Kind.FAILED, reason)


def test_an_error_from_before_the_push_does_not_stop_a_sync():
    changes = {**OUT_OF_SYNC, **NO_OPERATION, "status.reconciledAt": BEFORE}
    application = healthy({**changes, "status.conditions": [condition("SyncError", at=BEFORE)]})
    assert watched(application, expected(), 3600)[1].kind is Kind.WAIT


def test_degraded_that_passes_begins_anew():
    degraded, progressing = (
        healthy({"status.health.status": "Degraded"}),
        healthy({"status.health.status": "Progressing"}),
    )
    first = judge(degraded, expected(), NOW)
    assert judge(healthy(), expected(), NOW + seconds(50), first.memory).kind is Kind.SUCCESS
    other = healthy({"status.health.status": "Degraded", "status.operationState.finishedAt": "2026-08-22T03:11:30Z"})
    assert judge(other, expected(), NOW + seconds(100), first.memory).kind is Kind.WAIT
    between = judge(progressing, expected(), NOW + seconds(50), first.memory)
    assert judge(degraded, expected(), NOW + seconds(61), between.memory).kind is Kind.FAILED


def test_degraded_without_an_operation_of_ours_counts_too():
    changes = {"status.operationState.syncResult.revision": OLD, "status.health.status": "Degraded"}
    assert watched(healthy(changes), expected(), 61)[1].reason is Reason.DEGRADED


@pytest.mark.parametrize("memory", [None, {}, {"what": 1}, {"what": "image " + OURS, "since": "yesterday"}])
def test_an_odd_memory_counts_as_none(memory):
    assert judge(healthy({"status.summary": {}}), expected(), NOW, memory).kind is Kind.WAIT


def test_a_clock_that_went_back_does_not_lengthen_the_wait():
    application = healthy({"status.health.status": "Degraded"})
    first = judge(application, expected(), NOW + seconds(1000))
    again = judge(application, expected(), NOW, first.memory)
    assert judge(application, expected(), NOW + seconds(60), again.memory).kind is Kind.FAILED


def test_a_later_commit_that_contains_ours_counts():
    changes = {"status.sync.revision": LATER, "status.operationState.syncResult.revision": LATER}
    verdict = judge(healthy(changes), expected(), NOW)
    assert (verdict.kind, verdict.revision, verdict.strong) == (Kind.SUCCESS, LATER, True)


def test_what_git_cannot_tell_yet_waits():
    verdict = judge(healthy({"status.sync.revision": LATER}), expected(contains=lambda _: None), NOW)
    assert (verdict.kind, verdict.detail) == (
        Kind.WAIT, f"Git cannot tell yet whether {LATER[:12]} contains {OURS[:12]}",
    )  # fmt: skip


def test_a_value_that_somebody_changed_again_fails():
    wanted = expected(
        contains=lambda _: False, reverted=lambda revision: revision == LATER, values="values-prod.yaml"
    )
    verdict = judge(healthy({"status.sync.revision": LATER}), wanted, NOW)
    assert (verdict.kind, verdict.reason) == (Kind.FAILED, Reason.CHANGE_REVERTED)
    assert verdict.detail == f"{LATER[:12]} contains {OURS[:12]}, but values-prod.yaml has another value there"


def test_each_revision_is_asked_for_once():
    asked = []
    changes = {"status.sync.revision": LATER, "status.operationState.syncResult.revision": LATER}
    judge(healthy(changes), expected(contains=lambda revision: asked.append(revision) or True), NOW)
    assert asked == [LATER]


def test_no_operation_is_needed_when_the_value_was_there_before():
    verdict = judge(healthy({"status.operationState.syncResult.revision": OLD}), expected(), NOW)
    assert (verdict.kind, verdict.strong) == (Kind.SUCCESS, True)


def test_a_change_that_alters_no_manifest_is_success_only_when_expected():
    changes = {"status.operationState.syncResult.revision": OLD, "status.summary.images": [OLD_IMAGE]}
    assert judge(healthy(changes), expected(noop=True), NOW).kind is Kind.SUCCESS
    assert watched(healthy(changes), expected(), IMAGE_GRACE)[1].reason is Reason.IMAGE_NOT_DEPLOYED


CRON = {"kind": "CronJob", "namespace": "p", "name": "nightly", "status": "Synced", "message": "cronjob configured"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status.summary": {}}, "no pod runs at present"),
        (
            {
                "status.summary.images": ["a/b:1"],
                RESULT: [{**CRON, "images": [IMAGE]}],
            },
            f"it applied {IMAGE}, which no pod runs at present",
        ),
        (
            {"status.summary.images": ["a/b:1"], RESULT: [CRON]},
            "CronJob/p/nightly was applied, whose pods run only at times",
        ),
    ],
)
def test_an_image_that_no_pod_need_run_is_a_weak_success_after_a_while(changes, said):
    first, later = watched(healthy(changes), expected(), IMAGE_GRACE)
    assert first.kind is Kind.WAIT
    assert (later.kind, later.strong) == (Kind.SUCCESS, False)
    assert said in later.detail
    assert judge(healthy(changes), expected(), NOW + seconds(40), later.memory).kind is Kind.SUCCESS


@pytest.mark.parametrize(
    "resources",
    [
        [{**CRON, "message": "cronjob unchanged"}],
        [{**CRON, "images": ["other/image:1"]}],
        [{**CRON, "kind": "Service"}],
    ],
)
def test_a_job_that_has_nothing_to_do_with_it_is_no_excuse(resources):
    changes = {"status.summary.images": ["a/b:1"], "status.operationState.syncResult.resources": resources}
    assert watched(healthy(changes), expected(), IMAGE_GRACE)[1].reason is Reason.IMAGE_NOT_DEPLOYED


def test_a_failed_operation_of_another_commit_is_no_excuse_either():
    changes = {**FAILED, "status.operationState.syncResult": {"revision": OLD, "resources": [{"images": [IMAGE]}]}}
    application = healthy({**changes, "status.summary.images": ["a/b:1"]})
    assert watched(application, expected(), IMAGE_GRACE)[1].reason is Reason.IMAGE_NOT_DEPLOYED


def test_a_comparison_in_the_second_of_the_end_wants_a_second_look():
    verdict = judge(healthy({"status.reconciledAt": "2026-08-22T03:11:08Z"}), expected(), NOW)
    assert (verdict.kind, verdict.strong) == (Kind.SUCCESS, False)


SAME_SECOND = {"status.reconciledAt": "2026-08-22T03:11:08Z"}


def test_a_rollout_seen_under_way_after_the_operation_needs_no_second_look_when_it_has_ended():
    before = judge(healthy({**SAME_SECOND, "status.health.status": "Progressing"}), expected(), NOW)
    verdict = judge(healthy(SAME_SECOND), expected(), NOW + seconds(1), before.memory)
    assert (before.kind, verdict.kind, verdict.strong) == (Kind.WAIT, Kind.SUCCESS, True)


def test_a_rollout_seen_under_way_before_the_operation_ended_proves_nothing():
    before = judge(healthy({**RUNNING, "status.health.status": "Progressing"}), expected(), NOW)
    verdict = judge(healthy(SAME_SECOND), expected(), NOW + seconds(1), before.memory)
    assert (verdict.kind, verdict.strong) == (Kind.SUCCESS, False)


def test_a_registry_that_a_webhook_rewrote_is_accepted_and_told():
    verdict = judge(healthy({"status.summary.images": ["mirror.local/shop/api:sha-2"]}), expected(), NOW)
    assert verdict.kind is Kind.SUCCESS
    assert "mirror.local/shop/api:sha-2 (under another name than the one written) is live" in verdict.detail


def multi(revisions, sources, **changes):
    """An application with several sources."""
    return healthy(
        {
            "spec.source": None,
            "spec.sources": sources,
            "status.sync": {"status": "Synced", "revisions": revisions},
            "status.operationState.syncResult": {"revision": "", "revisions": revisions},
            **changes,
        }
    )


CHART = {"repoURL": "https://charts.example.com", "chart": "webapp", "targetRevision": "1.8.2"}
VALUES = {"repoURL": "git@git.example.com:platform/gitops.git", "targetRevision": "main", "ref": "values"}
PINNED = {"repoURL": REPO, "targetRevision": "charts-v1", "path": "charts/web"}
INSIDE = {"repoURL": "http://gitea.gitea.svc:3000/platform/gitops", "targetRevision": "HEAD"}
OTHER = {"repoURL": "https://git.example.com/other/repo.git", "targetRevision": "main"}


@pytest.mark.parametrize(
    ("revisions", "sources", "kind"),
    [
        (["1.8.2", OURS], [CHART, VALUES], "success"),
        (["1.8.2", OLD], [CHART, VALUES], "wait"),
        ([OLD, OURS], [PINNED, VALUES], "success"),
        ([OURS, OLD], [PINNED, VALUES], "wait"),
        ([OURS, LATER], [VALUES, {**VALUES, "targetRevision": "refs/heads/main"}], "success"),
        ([OURS, OLD], [VALUES, {**VALUES, "targetRevision": "HEAD"}], "wait"),
        (["1.8.2", OURS], [CHART, INSIDE], "success"),
        ([OLD, OURS], [OTHER, INSIDE], "success"),
        ([OLD, OLD], [OTHER, INSIDE], "wait"),
        ([OURS], [{"repoURL": "http://bad:port/x", "targetRevision": "main"}], "success"),
        (["1.8.2"], [CHART], "wait"),
    ],
)
def test_of_several_sources_ours_counts(revisions, sources, kind):
    assert judge(multi(revisions, sources), expected(), NOW).kind == kind


def test_the_sources_of_the_comparison_count_when_the_spec_has_changed_since():
    application = multi(["1.8.2", OURS], [VALUES, CHART], **{"status.sync": {
        "status": "Synced", "revisions": ["1.8.2", OURS], "comparedTo": {"sources": [CHART, VALUES]},
    }, "status.operationState": None})  # fmt: skip
    assert judge(application, expected(), NOW).kind is Kind.SUCCESS


HYDRATED = "95" * 20


def hydrated(state, revision=HYDRATED, **changes):
    """An application with the source hydrator."""
    return healthy(
        {
            "spec.source": None,
            "spec.sourceHydrator": {"drySource": {"repoURL": REPO, "targetRevision": "main"}},
            "status.sourceHydrator": state,
            "status.sync.revision": revision,
            "status.operationState.syncResult.revision": HYDRATED,
            **changes,
        }
    )


DONE = {"lastSuccessfulOperation": {"drySHA": OURS, "hydratedSHA": HYDRATED}}
NOT_DONE = {"lastSuccessfulOperation": {"drySHA": OLD, "hydratedSHA": HYDRATED}}


@pytest.mark.parametrize(
    ("application", "kind"),
    [
        (hydrated(DONE), "success"),
        (hydrated(DONE, revision=OLD), "wait"),
        (hydrated(DONE, revision="env/prod"), "wait"),
        (hydrated(NOT_DONE), "wait"),
        (hydrated({}), "wait"),
        (hydrated({**DONE, "currentOperation": {"phase": "Failed", "drySHA": OLD}}), "success"),
    ],
)
def test_with_the_source_hydrator_our_commit_is_the_dry_one(application, kind):
    assert judge(application, expected(), NOW).kind == kind


def test_a_hydration_of_our_commit_that_keeps_failing_is_final():
    failing = {**NOT_DONE, "currentOperation": {"phase": "Failed", "drySHA": OURS, "message": "helm: no"}}
    first, then = watched(hydrated(failing), expected(), ERROR_GRACE)
    assert (first.kind, then.kind, then.reason) == (Kind.WAIT, Kind.FAILED, Reason.MANIFESTS_INVALID)
    assert then.detail == f"The source hydrator failed at {OURS[:12]}: helm: no"


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
    assert judge(application, expected(), NOW).kind is not Kind.SUCCESS


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
    assert judge(healthy(changes), expected(), NOW).kind is not Kind.SUCCESS


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["Synced", "Healthy", OURS, LATER]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
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
    assert (verdict.recheck_after is None) == (verdict.kind in (Kind.SUCCESS, Kind.FAILED))


@pytest.mark.parametrize(
    ("changes", "quiet"),
    [
        ({"status.health.status": "Progressing"}, False),
        (RUNNING, False),
        ({**OUT_OF_SYNC, **NO_OPERATION}, False),
        ({"status.health.status": "Suspended"}, False),
        ({"status.sync.revision": OLD}, True),
        ({"status.reconciledAt": "2026-08-22T03:11:07Z"}, True),
        ({"status.health.status": "Degraded"}, True),
        ({"status.summary.images": [OLD_IMAGE]}, True),
    ],
)
def test_a_wait_says_when_no_list_can_end_it(changes, quiet):
    assert judge(healthy(changes), expected(), NOW).quiet == quiet
