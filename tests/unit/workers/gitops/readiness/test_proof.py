"""What proves that our image is live, and what proves it only weakly."""

import pytest

from orchestrator.domain.reasons import Reason
from tests.support.applications import IMAGE, NOW, OLD, OLD_IMAGE, OURS, expected, healthy
from tests.support.situations import FAILED, NO_OPERATION, RESULT, RUNNING, seconds, watched
from workers.gitops.readiness import IMAGE_GRACE, VerdictKind, judge

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_synced_healthy_and_live_is_success():
    verdict = judge(healthy(), expected(), NOW)
    assert (verdict.kind, verdict.reason, verdict.synced, verdict.strong) == (
        VerdictKind.SUCCESS,
        Reason.HEALTHY,
        True,
        True,
    )
    assert verdict.detail == f"{OURS[:12]} is synced and healthy and {IMAGE} is live"
    assert (verdict.revision, verdict.live_images, verdict.recheck_after) == (OURS, (IMAGE,), None)


HOOK = {"kind": "Job", "namespace": "p", "name": "migrate", "hookType": "PreSync", "hookPhase": "Succeeded"}
API = {"kind": "Deployment", "namespace": "p", "name": "api", "status": "Synced", "syncPhase": "Sync"}


def test_a_file_whose_changes_argo_cd_does_not_look_at_is_told():
    annotated = {"metadata.annotations": {"argocd.argoproj.io/manifest-generate-paths": "."}}
    application = healthy({**annotated, "status.summary.images": [OLD_IMAGE]})
    hint = "; Argo CD makes manifests anew only for changes in . (manifest-generate-paths)"
    for values, told in (("helm/values-prod.yaml", True), ("helm/shop-api/values.yaml", False), ("", False)):
        verdict = watched(application, expected(values=values), IMAGE_GRACE)[1]
        assert verdict.reason is Reason.IMAGE_NOT_DEPLOYED
        assert verdict.detail.endswith(hint) is told


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
    assert first.kind is VerdictKind.WAIT
    assert (later.kind, later.strong) == (VerdictKind.SUCCESS, False)
    assert said in later.detail
    assert judge(healthy(changes), expected(), NOW + seconds(40), later.memory).kind is VerdictKind.SUCCESS


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


@pytest.mark.parametrize(
    ("results", "live", "kind"),
    [
        ([{**API, "kind": "StatefulSet", "images": [IMAGE]}], [OLD_IMAGE], "failed"),
        ([{**API, "kind": "DaemonSet", "images": [IMAGE, "envoy:1"]}], [OLD_IMAGE, "envoy:1"], "failed"),
        ([{**CRON, "images": [IMAGE]}], [OLD_IMAGE], "success"),
        ([{**API, "images": [IMAGE]}], ["redis:7"], "success"),
        ([{**API, "images": [IMAGE]}, {**API, "name": "worker", "images": [OLD_IMAGE]}], [OLD_IMAGE], "success"),
    ],
    ids=["on delete", "with another container", "at times", "scaled to none", "another workload keeps its own"],
)
def test_pods_that_stay_as_they_are_until_somebody_deletes_them_are_not_ours(results, live, kind):
    """Argo CD calls OnDelete and a partition Healthy at once (``getAppsv1StatefulSetHealth``)."""
    first, later = watched(healthy({RESULT: results, "status.summary.images": live}), expected(), IMAGE_GRACE)
    assert (first.kind, later.kind) == (VerdictKind.WAIT, kind)
    if kind == "failed":
        assert later.reason is Reason.IMAGE_NOT_DEPLOYED


def test_a_job_that_was_only_healed_is_no_excuse():
    asked = {"revision": OURS, "resources": [{"kind": "CronJob", "name": "nightly"}]}
    changes = {"status.operationState.operation.sync": asked, "status.history": [{"revision": OURS}], RESULT: [CRON]}
    application = healthy({**changes, "status.summary.images": ["a/b:1"]})
    assert watched(application, expected(), IMAGE_GRACE)[1].reason is Reason.IMAGE_NOT_DEPLOYED


def test_a_failed_operation_of_another_commit_is_no_excuse_either():
    changes = {**FAILED, "status.operationState.syncResult": {"revision": OLD, "resources": [{"images": [IMAGE]}]}}
    application = healthy({**changes, "status.summary.images": ["a/b:1"]})
    assert watched(application, expected(), IMAGE_GRACE)[1].reason is Reason.IMAGE_NOT_DEPLOYED


@pytest.mark.parametrize(
    "live", [[OLD_IMAGE], [OLD_IMAGE, IMAGE]], ids=["its pod is deleted", "its pod has completed"]
)
def test_the_image_of_a_hook_proves_nothing_about_the_workload(live):
    """The Job that migrates reads our key, the Deployment another one: Argo CD 3.1 tells what each was given."""
    results = [{**HOOK, "images": [IMAGE]}, {**API, "images": [OLD_IMAGE]}]
    first, later = watched(healthy({RESULT: results, "status.summary.images": live}), expected(), IMAGE_GRACE)
    assert (first.kind, later.reason) == (VerdictKind.WAIT, Reason.IMAGE_NOT_DEPLOYED)
    assert later.detail.endswith(f"but {IMAGE} is in hooks only, not among the applied images: {OLD_IMAGE}")


@pytest.mark.parametrize(
    "others",
    [[], [{**API, "images": ["nginx:1.27"]}], [{**API, "images": [IMAGE]}], [API]],
    ids=["a hook alone", "with what is not ours", "both", "an older server"],
)
def test_the_image_of_a_hook_counts_where_nothing_else_should_have_it(others):
    changes = {RESULT: [{**HOOK, "images": [IMAGE]}, *others]}
    assert judge(healthy(changes), expected(), NOW).kind is VerdictKind.SUCCESS
    gone = healthy({**changes, "status.summary.images": ["nginx:1.27"]})
    assert watched(gone, expected(), IMAGE_GRACE)[1].kind is VerdictKind.SUCCESS


NOT_OURS = {"status.operationState.syncResult.revision": OLD}
OF_CRON = {"status.resources": [CRON], "status.summary.images": [OLD_IMAGE]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, f"{IMAGE} is live"),
        ({"status.summary.images": [f"cache.local/shop/api:sha-2@{DIGEST}"]}, "under another name"),
        ({"status.summary": None}, "no pod runs at present"),
        ({"status.summary.images": [OLD_IMAGE], RESULT: [{"images": [IMAGE]}]}, "which no pod runs at present"),
        (OF_CRON, "the pods of CronJob/p/nightly run only at times"),
        ({**OF_CRON, **NO_OPERATION}, "the pods of CronJob/p/nightly run only at times"),
        ({**OF_CRON, RESULT: [{"images": ["a/b:1"]}]}, "the pods of CronJob/p/nightly run only at times"),
    ],
)
def test_what_git_had_already_and_is_deployed_is_a_success_at_once(changes, said):
    verdict = judge(healthy({**NOT_OURS, **changes}), expected(noop=True, digest=DIGEST), NOW)
    assert verdict.kind is VerdictKind.SUCCESS
    assert said in verdict.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"status.summary.images": [OLD_IMAGE]},
        {"status.summary.images": ["nginx:1.27"]},
        {"status.summary.images": [f"{IMAGE}@{OTHER}"]},
        {"status.summary.images": ["mirror.local/cache/shop/api:sha-1"]},
        {"status.summary.images": [OLD_IMAGE], **NO_OPERATION},
        {**OF_CRON, RESULT: [{"images": [OLD_IMAGE]}]},
        {**OF_CRON, "status.resources": [{**CRON, "kind": "Job", "hook": True}]},
    ],
)
def test_a_re_run_does_not_take_another_image_for_ours_because_git_had_the_value(changes):
    """The first run fails as the chart does not read the key; a second one changes nothing about that."""
    application, wanted = healthy({**NOT_OURS, **changes}), expected(noop=True, digest=DIGEST)
    first, later = watched(application, wanted, IMAGE_GRACE)
    assert (first.kind, later.kind, later.reason) == (VerdictKind.WAIT, VerdictKind.FAILED, Reason.IMAGE_NOT_DEPLOYED)


def test_a_comparison_in_the_second_of_the_end_wants_a_second_look():
    verdict = judge(healthy({"status.reconciledAt": "2026-08-22T03:11:08Z"}), expected(), NOW)
    assert (verdict.kind, verdict.strong) == (VerdictKind.SUCCESS, False)


SAME_SECOND = {"status.reconciledAt": "2026-08-22T03:11:08Z"}


def test_a_rollout_seen_under_way_after_the_operation_needs_no_second_look_when_it_has_ended():
    before = judge(healthy({**SAME_SECOND, "status.health.status": "Progressing"}), expected(), NOW)
    verdict = judge(healthy(SAME_SECOND), expected(), NOW + seconds(1), before.memory)
    assert (before.kind, verdict.kind, verdict.strong) == (VerdictKind.WAIT, VerdictKind.SUCCESS, True)


def test_a_rollout_seen_under_way_before_the_operation_ended_proves_nothing():
    before = judge(healthy({**RUNNING, "status.health.status": "Progressing"}), expected(), NOW)
    verdict = judge(healthy(SAME_SECOND), expected(), NOW + seconds(1), before.memory)
    assert (verdict.kind, verdict.strong) == (VerdictKind.SUCCESS, False)


ROLLED_BACK = {
    "status.operationState.operation.sync": {"revision": OLD},
    "status.operationState.syncResult": {"revision": OLD},
}
"""Somebody has set the application back in Argo CD while our commit was still rolling out."""


@pytest.mark.parametrize(("ended", "kind"), [("02", "wait"), ("01", "success"), ("00", "success")])
def test_what_was_compared_before_another_sync_ended_is_what_that_sync_changed(ended, kind):
    """Argo CD writes the end of an operation first, then compares: in between the state of before stands there."""
    verdict = judge(
        healthy({**ROLLED_BACK, "status.operationState.finishedAt": f"2026-08-22T03:12:{ended}Z"}), expected(), NOW
    )
    assert (verdict.kind, verdict.strong) == (kind, ended == "00")


def test_a_dry_run_changes_nothing_and_no_comparison_follows():
    asked = {"status.operationState.operation.sync": {"revision": OLD, "dryRun": True}}
    verdict = judge(healthy({**asked, "status.operationState.finishedAt": "2026-08-22T03:13:00Z"}), expected(), NOW)
    assert (verdict.kind, verdict.strong) == (VerdictKind.SUCCESS, True)


def test_a_rollout_of_ours_proves_nothing_after_another_sync():
    before = judge(healthy({**SAME_SECOND, "status.health.status": "Progressing"}), expected(), NOW)
    ended = {"status.operationState.finishedAt": "2026-08-22T03:12:01Z"}
    verdict = judge(healthy({**ROLLED_BACK, **ended}), expected(), NOW, before.memory)
    assert (verdict.kind, verdict.strong) == (VerdictKind.SUCCESS, False)


def test_a_registry_that_a_webhook_rewrote_is_accepted_and_told():
    verdict = judge(healthy({"status.summary.images": ["mirror.local/shop/api:sha-2"]}), expected(), NOW)
    assert verdict.kind is VerdictKind.SUCCESS
    assert "mirror.local/shop/api:sha-2 (under another name than the one written) is live" in verdict.detail
