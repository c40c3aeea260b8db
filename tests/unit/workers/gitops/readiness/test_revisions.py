"""Later commits, reverted values, several sources and hydrated ones."""

import pytest

from orchestrator.domain.reasons import Reason
from tests.support.applications import LATER, NOW, OLD, OURS, REPO, expected, healthy
from tests.support.situations import watched
from workers.gitops.readiness import ERROR_GRACE, SLOW_ERROR_GRACE, VerdictKind, judge


def test_a_later_commit_that_contains_ours_counts():
    changes = {"status.sync.revision": LATER, "status.operationState.syncResult.revision": LATER}
    verdict = judge(healthy(changes), expected(), NOW)
    assert (verdict.kind, verdict.revision, verdict.strong) == (VerdictKind.SUCCESS, LATER, True)


def test_what_git_cannot_tell_yet_waits():
    verdict = judge(healthy({"status.sync.revision": LATER}), expected(contains=lambda _: None), NOW)
    assert (verdict.kind, verdict.detail) == (
        VerdictKind.WAIT, f"Git cannot tell yet whether {LATER[:12]} contains {OURS[:12]}",
    )  # fmt: skip


def test_a_value_that_somebody_changed_again_fails():
    wanted = expected(
        contains=lambda _: False,
        reverted=lambda revision: "values-prod.yaml has another value there" if revision == LATER else "",
    )
    verdict = judge(healthy({"status.sync.revision": LATER}), wanted, NOW)
    assert (verdict.kind, verdict.reason) == (VerdictKind.FAILED, Reason.CHANGE_REVERTED)
    assert verdict.detail == f"{LATER[:12]} contains {OURS[:12]}, but values-prod.yaml has another value there"


def test_each_revision_is_asked_for_once():
    asked = []
    changes = {"status.sync.revision": LATER, "status.operationState.syncResult.revision": LATER}
    judge(healthy(changes), expected(contains=lambda revision: asked.append(revision) or True), NOW)
    assert asked == [LATER]


def test_git_is_not_asked_for_what_names_no_commit():
    """The version of a chart, or a branch that Argo CD could not resolve."""
    asked = []
    wanted = expected(contains=lambda revision: asked.append(revision) or False)
    judge(healthy({"status.sync.revision": "1.8.2"}), wanted, NOW)
    assert asked == []


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
        ([OURS, OLD], [OTHER, VALUES], "wait"),
        ([OLD, OURS], [OTHER, VALUES], "success"),
        (["1.8.2", OURS, OLD], [CHART, VALUES, {**VALUES, "targetRevision": "HEAD"}], "wait"),
        ([OURS], [{"repoURL": "http://bad:port/x", "targetRevision": "main"}], "success"),
        (["1.8.2"], [CHART], "wait"),
    ],
)
def test_of_several_sources_ours_counts(revisions, sources, kind):
    assert judge(multi(revisions, sources), expected(), NOW).kind == kind


@pytest.mark.parametrize(
    ("contains", "said"),
    [
        (False, f"Argo CD compares with {OLD[:12]}, where the change of {OURS[:12]} is not in force"),
        (None, f"Git cannot tell yet whether {OLD[:12]} contains {OURS[:12]}"),
    ],
)
def test_of_several_revisions_the_one_that_lacks_our_commit_is_named(contains, said):
    """Argo CD finds out the revision of each source by itself, and a push may come in between."""
    application = multi([OURS, OLD], [VALUES, {**VALUES, "targetRevision": "HEAD"}])
    assert judge(application, expected(contains=lambda _: contains), NOW).detail == said


def test_the_sources_of_the_comparison_count_when_the_spec_has_changed_since():
    application = multi(["1.8.2", OURS], [VALUES, CHART], **{"status.sync": {
        "status": "Synced", "revisions": ["1.8.2", OURS], "comparedTo": {"sources": [CHART, VALUES]},
    }, "status.operationState": None})  # fmt: skip
    assert judge(application, expected(), NOW).kind is VerdictKind.SUCCESS


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
        (hydrated(DONE, **{"spec.sourceHydrator.hydrateTo": {"targetBranch": "next"}}), "success"),
    ],
)
def test_with_the_source_hydrator_our_commit_is_the_dry_one(application, kind):
    assert judge(application, expected(), NOW).kind == kind


def test_a_hydrated_commit_that_nobody_has_merged_is_named():
    """With ``hydrateTo`` it comes to another branch first."""
    state = f"{OURS[:12]} is hydrated as {HYDRATED[:12]}, but Argo CD compares with {OLD[:12]} of "
    verdict = judge(hydrated(DONE, revision=OLD), expected(), NOW)
    assert (verdict.kind, verdict.detail) == (VerdictKind.WAIT, f"{state}its branch")
    staged = {
        "spec.sourceHydrator.syncSource": {"targetBranch": "env/prod"},
        "spec.sourceHydrator.hydrateTo": {"targetBranch": "env/prod-next"},
    }
    verdict = judge(hydrated(DONE, revision=OLD, **staged), expected(), NOW)
    assert verdict.detail == f"{state}env/prod; somebody has to merge env/prod-next into it"
    assert (verdict.kind, verdict.reason) == (VerdictKind.NEEDS_HUMAN, "merge_required")
    assert verdict.recheck_after, "no list shows that it was merged"


MERGED = "96" * 20


@pytest.mark.parametrize(
    ("dry", "staged", "kind"),
    [(OURS, True, "success"), (LATER, True, "success"), (OLD, True, "needs_human"), ("", True, "needs_human"),
     (OURS, False, "wait")],
)  # fmt: skip
def test_a_merge_of_what_was_hydrated_is_known_by_what_it_was_made_of(dry, staged, kind):
    """A merge, or a squash, is another commit than the hydrated one."""
    changes = {"status.operationState.syncResult.revision": MERGED}
    changes |= {"spec.sourceHydrator.hydrateTo": {"targetBranch": "env/prod-next"}} if staged else {}
    known = {(MERGED, "env/prod"): dry}
    application = hydrated(DONE, revision=MERGED, **changes)
    application["spec"]["sourceHydrator"]["syncSource"] = {"targetBranch": "env/prod"}
    wanted = expected(dry_of=lambda revision, branch: known.get((revision, branch), ""))
    assert judge(application, wanted, NOW).kind == kind


def test_a_hydration_of_our_commit_that_keeps_failing_is_final():
    failing = {**NOT_DONE, "currentOperation": {"phase": "Failed", "drySHA": OURS, "message": "helm: no"}}
    first, then = watched(hydrated(failing), expected(), ERROR_GRACE)
    assert (first.kind, then.kind, then.reason) == (VerdictKind.WAIT, VerdictKind.FAILED, Reason.MANIFESTS_INVALID)
    assert then.detail == f"The source hydrator failed at {OURS[:12]}: helm: no"


NAMELESS = {"phase": "Failed", "startedAt": "2026-08-22T03:10:00Z", "message": "Failed to hydrate: helm: no"}
"""Where it cannot make the manifests it names no commit (``hydrate``)."""


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ({**NOT_DONE, "currentOperation": NAMELESS}, "manifests_invalid", "failed: Failed to hydrate: helm: no"),
        ({"currentOperation": NAMELESS}, "manifests_invalid", "failed: Failed to hydrate: helm: no"),
        (
            {**NOT_DONE, "currentOperation": {**NAMELESS, "startedAt": "2026-08-22T03:09:59Z"}},
            "sync_pending", f"compares with {OLD[:12]}",
        ),
        ({**NOT_DONE, "currentOperation": {"phase": "Failed"}}, "sync_pending", f"compares with {OLD[:12]}"),
    ],
)  # fmt: skip
def test_a_hydration_that_fails_without_naming_its_commit_is_ours_after_our_push(state, reason, said):
    _, then = watched(hydrated(state), expected(), ERROR_GRACE)
    assert then.reason == reason
    assert said in then.detail


def test_a_hydration_after_ours_that_fails_is_not_ours():
    later = {**DONE, "currentOperation": NAMELESS}
    assert judge(hydrated(later), expected(), NOW).kind is VerdictKind.SUCCESS
    assert watched(hydrated(later, revision=OLD), expected(), ERROR_GRACE)[1].kind is VerdictKind.WAIT


def test_a_hydration_that_a_server_in_trouble_stops_has_time_to_be_tried_again():
    """The hydrator itself waits two minutes before that."""
    failing = {**NOT_DONE, "currentOperation": {**NAMELESS, "message": "failed to list refs: i/o timeout"}}
    assert watched(hydrated(failing), expected(), SLOW_ERROR_GRACE - 1)[1].kind is VerdictKind.WAIT
    then = watched(hydrated(failing), expected(), SLOW_ERROR_GRACE)[1]
    assert (then.kind, then.reason) == (VerdictKind.FAILED, Reason.COMPARISON_FAILED)
