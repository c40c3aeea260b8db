"""What is final fails at once, and what may pass must last."""

import pytest

from orchestrator.domain.reasons import Reason
from tests.support.applications import LATER, NOW, OLD, OLD_IMAGE, OURS, condition, expected, healthy
from tests.support.situations import ARGO, FAILED, NO_OPERATION, OUT_OF_SYNC, seconds, watched
from workers.gitops.look import SOON
from workers.gitops.readiness import ERROR_GRACE, IMAGE_GRACE, SLOW_ERROR_GRACE, VerdictKind, judge, remembered

ERROR = {"status.operationState.phase": "Error", "status.operationState.message": "ComparisonError: no such chart"}

TIMEOUT = "failed to list refs: dial tcp 10.0.0.2:443: i/o timeout"


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"metadata.deletionTimestamp": "2026-08-22T03:12:00Z"}, "application_deleting", "being deleted"),
        (FAILED, "sync_failed", f"The sync of {OURS[:12]} ended as Failed: a hook failed"),
        ({**FAILED, **OUT_OF_SYNC}, "sync_failed", "a hook failed"),
        ({**ERROR, "status.sync": {"revision": "main", "status": "Unknown"}}, "manifests_invalid", "no such chart"),
        ({**ERROR, "status.operationState.message": f"ComparisonError: {TIMEOUT}"}, "comparison_failed", TIMEOUT),
        ({**FAILED, "status.operationState.message": TIMEOUT}, "sync_failed", TIMEOUT),
        ({**FAILED, "status.sync.revision": LATER}, "sync_failed", "a hook failed"),
        ({**FAILED, **OUT_OF_SYNC, "status.sync.revision": LATER, "spec.syncPolicy": None}, "sync_failed", "hook"),
    ],
)  # fmt: skip
def test_what_is_final_fails_at_once(changes, reason, said):
    verdict = judge(healthy(changes), expected(), NOW)
    assert (verdict.kind, verdict.reason, verdict.recheck_after) == (VerdictKind.FAILED, reason, None)
    assert said in verdict.detail


def test_a_sync_of_ours_that_a_network_stopped_is_to_be_asked_for_again_for_a_while():
    application = healthy({**ERROR, **OUT_OF_SYNC, "status.operationState.message": f"ComparisonError: {TIMEOUT}"})
    first, soon = watched(application, expected(sync=True), SLOW_ERROR_GRACE - 1)
    assert (first.kind, first.retry, soon.retry) == (VerdictKind.WAIT, True, True)
    then = judge(application, expected(sync=True), NOW + seconds(SLOW_ERROR_GRACE), soon.memory)
    assert (then.kind, then.reason, then.retry) == (VerdictKind.FAILED, Reason.COMPARISON_FAILED, False)


@pytest.mark.parametrize(
    "changes",
    [
        {**FAILED, "status.operationState.syncResult.revision": OLD, "status.sync.revision": OLD},
        {**FAILED, **OUT_OF_SYNC, "status.sync.revision": LATER},
        {**FAILED, "operation": {"sync": {}}},
        {**FAILED, **OUT_OF_SYNC, "status.operationState.operation.sync": {"revision": OURS, "dryRun": True}},
        {**FAILED, **OUT_OF_SYNC, "status.operationState.operation.sync": {"resources": [{"kind": "Job"}]}},
        {**FAILED, **OUT_OF_SYNC, "status.operationState.operation.sync": {"manifests": ["kind: Job"]}},
    ],
)
def test_a_failure_of_something_else_is_not_ours(changes):
    verdict = judge(healthy(changes), expected(), NOW)
    assert (verdict.kind, verdict.synced) == (VerdictKind.WAIT, False)


def test_a_sync_of_single_resources_that_failed_is_not_the_one_that_applied_our_commit():
    """A person healed one by hand, in vain; all of our commit was applied before, as the history shows."""
    only = {"status.operationState.operation.sync": {"revision": OURS, "resources": [{"kind": "Job"}]}}
    application = healthy({**FAILED, **only, "status.history": [{"id": 7, "revision": OURS}]})
    assert judge(application, expected(), NOW).kind is VerdictKind.SUCCESS


PASSING = (
    "rpc error: code = Unavailable desc = dial tcp: connection refused",
    "failed to list refs: context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    "Failed to fetch default: `git fetch origin --tags --force --prune` failed timeout after 1m30s",
    'failed to list refs: unexpected requesting "https://git.example.com/x.git" status code: 503',
    "fatal: unable to access 'https://git.example.com/x.git/': The requested URL returned error: 502",
    "failed to list refs: unexpected client error: status code: 429",
    "fatal: the remote end hung up unexpectedly",
    "fatal: fetch-pack: unexpected disconnect while reading sideband packet",
    "read tcp 10.0.0.1:4000->10.0.0.2:443: read: connection reset by peer",
    "unknown error: remote: Internal API unreachable",
    'Get "https://git.example.com/x.git/info/refs": EOF',
    "fatal: unable to access 'https://git.example.com/x.git/': Could not resolve host: git.example.com",
    "fatal: unable to access 'https://git.example.com/x.git/': Failed to connect: Couldn't connect to server",
    "ssh: connect to host git.example.com port 22: No route to host",
    "Connection closed by remote host",
    "server answered 429 Too Many Requests",
    "toomanyrequests: You have reached your pull rate limit",
    "rpc error: code = Canceled desc = context canceled",
    "rpc error: code = Unknown desc = `helm dependency build` failed signal: killed",
    (
        "rpc error: code = Internal desc = Failed to checkout FETCH_HEAD: fatal: Unable to create"
        " '<path to cached source>/.git/index.lock': File exists. Another git process seems to be running"
    ),
    "failed to diff 481fbe3e687c..85dd68870f5c: failed exit status 128: fatal: Invalid revision range 481fbe..85dd68",
)
"""What a Git server or a network in trouble has Argo CD say (issues of argo-cd 16532, 17609, 24744, and of its own
repo-server 6106, 7898, 10426, 21014)."""
OF_CHART = (
    "Error: parse error at (web/templates/deployment.yaml:40): unexpected EOF",
    "template: web/templates/x.yaml:1:2: nil pointer evaluating interface {}.timeout",
    "Deployment.apps is invalid: livenessProbe.timeoutSeconds: Invalid value: 0",
    "values don't meet the specifications of the schema(s) in the following chart(s): timeoutSeconds is required",
)
"""What a developer has to mend, in words like those."""
OF_ACCESS = (
    (
        "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc ="
        " failed to list refs: authentication required: Unauthorized"
    ),
    (
        "rpc error: code = Internal desc = Failed to fetch default: `git fetch origin` failed exit status 128: fatal:"
        " could not read Username for 'https://git.example.com': terminal prompts disabled"
    ),
    "rpc error: code = Unknown desc = unable to resolve 'main' to a commit SHA",
    "rpc error: code = Unknown desc = repository not found: Repository not found",
    'failed to list refs: unexpected requesting "https://git.example.com/x.git" status code: 403',
    "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]",
    "ssh: handshake failed: knownhosts: key is unknown",
    "code = Internal desc = Failed to initialize git repo: mkdir /tmp/_argocd-repo: no such file or directory",
    "failed to write manifest: write /dev/shm/123: no space left on device",
    f"Target revision {OURS} in Git is not signed, but a signature is required",
    "Found good signature made with RSA key 4AEE18F83AFDEB23, but this key is not allowed in AppProject",
    f"Could not verify commit signature on revision '{OURS}', check logs for more information.",
    "code = PermissionDenied desc = helm repos https://charts.example.com are not permitted in project 'shop'",
    'Get "https://git.example.com/x.git/info/refs": x509: certificate signed by unknown authority',
    (
        'Failed to load live state: failed to get cluster info for "https://10.0.0.1": error synchronizing cache'
        " state : the server has asked for the client to provide credentials"
    ),
)
"""What Argo CD says where it is not let in, and no developer can mend it."""
BEFORE = "2026-08-22T03:09:00Z"


@pytest.mark.parametrize(
    ("changes", "grace", "reason"),
    [
        ({"status.health.status": "Degraded"}, 60, "degraded"),
        ({"status.health.status": "Degraded", **OUT_OF_SYNC}, 60, "degraded"),
        ({"status.conditions": [condition("ComparisonError")]}, ERROR_GRACE, "manifests_invalid"),
        ({"status.conditions": [condition("ComparisonError", at=BEFORE)]}, ERROR_GRACE, "manifests_invalid"),
        *(
            ({"status.conditions": [condition("ComparisonError", words)]}, ERROR_GRACE, "manifests_invalid")
            for words in OF_CHART
        ),
        ({"status.conditions": [condition("InvalidSpecError")]}, ERROR_GRACE, "application_invalid"),
        ({"status.conditions": [condition("UnknownError")]}, ERROR_GRACE, "application_invalid"),
        *(
            ({"status.conditions": [condition("ComparisonError", words)]}, SLOW_ERROR_GRACE, "comparison_failed")
            for words in PASSING
        ),
        *(
            ({"status.conditions": [condition("ComparisonError", words)]}, ERROR_GRACE, "comparison_failed")
            for words in OF_ACCESS
        ),
        ({"status.conditions": [condition("InvalidSpecError", OF_ACCESS[3])]}, ERROR_GRACE, "comparison_failed"),
        (
            {"status.conditions": [condition("InvalidSpecError")], "status.reconciledAt": BEFORE},
            ERROR_GRACE, "application_invalid",
        ),
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
    first, soon = watched(application, expected(), grace - 0.5)
    assert (first.kind, soon.kind) == (VerdictKind.WAIT, VerdictKind.WAIT)
    assert first.reason is not Reason(reason)
    assert 1.0 <= soon.recheck_after <= first.recheck_after <= 10.0
    then = judge(application, expected(), NOW + seconds(grace), soon.memory)
    assert (then.kind, then.reason) == (VerdictKind.FAILED, reason)


def test_an_error_that_another_comparison_may_not_have_waits_for_it_and_counts_all_the_same():
    error = {"status.conditions": [condition("InvalidSpecError")]}
    asked = healthy({**error, "metadata.annotations": {f"{ARGO}/refresh": "normal"}})
    first, then = watched(asked, expected(), ERROR_GRACE)
    assert (first.kind, then.kind) == (VerdictKind.WAIT, VerdictKind.WAIT)
    assert then.recheck_after == SOON
    answered = judge(healthy(error), expected(), NOW + seconds(ERROR_GRACE), then.memory)
    assert answered.reason is Reason.APPLICATION_INVALID


def test_an_error_from_before_the_push_does_not_stop_a_sync():
    changes = {**OUT_OF_SYNC, **NO_OPERATION, "status.reconciledAt": BEFORE}
    application = healthy({**changes, "status.conditions": [condition("SyncError", at=BEFORE)]})
    assert watched(application, expected(), 3600)[1].kind is VerdictKind.WAIT


OLD_FAILED = {"status.operationState.phase": "Failed", "status.operationState.syncResult": {"revision": OLD}}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (f"Failed last sync attempt to [{OLD}]: one or more objects failed to apply", "wait"),
        (f"Failed sync attempt to {OLD}: one or more objects failed to apply", "wait"),
        (f"Failed last sync attempt to [1.8.2 {OLD}]: {OURS} is not theirs", "wait"),
        (f"Failed last sync attempt to [1.8.2 {OURS}]: one or more objects failed to apply", "failed"),
        ("Failed last sync attempt to []: failed to load the project", "failed"),
        (f"Skipping sync attempt to [{OURS}]: auto-sync will wipe out all resources", "failed"),
    ],
)
def test_a_failed_sync_of_another_commit_does_not_fail_ours_while_a_window_is_shut(message, kind):
    """Argo CD neither syncs then nor takes back what it said of the sync before (``processAppRefreshQueueItem``)."""
    error = condition("SyncError", message, at=BEFORE)
    first, later = watched(healthy({**OUT_OF_SYNC, **OLD_FAILED, "status.conditions": [error]}), expected(), 60)
    assert (first.kind, later.kind) == (VerdictKind.WAIT, kind)
    if kind == "wait":
        assert later.unbegun, "the windows have to be asked for"
        assert f"its sync has not begun (SyncError: {message})" in later.detail


def test_a_failed_sync_of_another_commit_ends_the_wait_when_nothing_follows():
    """With manifest-generate-paths Argo CD may say so for good: our commit came while the other one was retried."""
    error = condition("SyncError", f"Failed last sync attempt to [{OLD}]: no", at=BEFORE)
    application = healthy({**OUT_OF_SYNC, **OLD_FAILED, "status.conditions": [error]})
    then = watched(application, expected(), SLOW_ERROR_GRACE)[1]
    assert (then.kind, then.reason, then.unbegun) == (VerdictKind.FAILED, Reason.SYNC_FAILED, True)


def test_with_the_source_hydrator_a_sync_error_names_the_hydrated_commit():
    error = condition("SyncError", f"Failed last sync attempt to [{'95' * 20}]: no")
    changes = {**OUT_OF_SYNC, **NO_OPERATION, "status.conditions": [error], "status.sync.revision": "95" * 20}
    done = {"lastSuccessfulOperation": {"drySHA": OURS, "hydratedSHA": "95" * 20}}
    changes |= {"spec.sourceHydrator": {"drySource": {}}, "status.sourceHydrator": done}
    assert watched(healthy(changes), expected(), ERROR_GRACE)[1].reason is Reason.SYNC_FAILED


def test_degraded_that_passes_begins_anew():
    degraded, progressing = (
        healthy({"status.health.status": "Degraded"}),
        healthy({"status.health.status": "Progressing"}),
    )
    first = judge(degraded, expected(), NOW)
    assert judge(healthy(), expected(), NOW + seconds(50), first.memory).kind is VerdictKind.SUCCESS
    other = healthy({"status.health.status": "Degraded", "status.operationState.finishedAt": "2026-08-22T03:11:30Z"})
    assert judge(other, expected(), NOW + seconds(100), first.memory).kind is VerdictKind.WAIT
    between = judge(progressing, expected(), NOW + seconds(50), first.memory)
    again = judge(degraded, expected(), NOW + seconds(61), between.memory)
    assert (again.kind, again.recheck_after) == (VerdictKind.WAIT, 10.0), "50 s so far"
    assert judge(degraded, expected(), NOW + seconds(71), again.memory).kind is VerdictKind.FAILED


def test_a_blink_at_each_end_of_a_rollout_is_not_degraded_all_the_time():
    """``FailedGetResourceMetric``: an autoscaler is Degraded while the pods are too new to be measured."""
    looks = (("Degraded", 0), ("Degraded", 10), ("Progressing", 15), ("Progressing", 200), ("Degraded", 280))
    memory = {}
    for health, at in looks:
        verdict = judge(healthy({"status.health.status": health}), expected(), NOW + seconds(at), memory)
        memory = verdict.memory
        assert verdict.kind is VerdictKind.WAIT
    degraded = healthy({"status.health.status": "Degraded"})
    assert judge(degraded, expected(), NOW + seconds(339), memory).kind is VerdictKind.WAIT
    assert judge(degraded, expected(), NOW + seconds(340), memory).kind is VerdictKind.FAILED


def test_a_clock_that_goes_back_in_a_pause_does_not_lengthen_it():
    degraded, memory = healthy({"status.health.status": "Degraded"}), {}
    for health, at in (("Degraded", 0), ("Progressing", 90), ("Degraded", 50)):
        memory = judge(healthy({"status.health.status": health}), expected(), NOW + seconds(at), memory).memory
    assert judge(degraded, expected(), NOW + seconds(60), memory).kind is VerdictKind.FAILED


@pytest.mark.parametrize(
    ("since", "changes", "kind"),
    [
        ("2026-08-22T03:10:00Z", {}, "failed"),
        ("2026-08-22T03:09:59Z", {}, "wait"),
        ("2026-08-22T03:11:01Z", {}, "failed"),
        (None, {}, "failed"),
        (BEFORE, {"status.operationState.startedAt": None}, "failed"),
        (BEFORE, {"status.operationState.startedAt": BEFORE}, "failed"),
        (BEFORE, {"status.operationState.syncResult.revision": OLD}, "failed"),
    ],
)
def test_what_was_degraded_all_the_time_before_our_sync_is_not_its_fault(since, changes, kind):
    """A nightly job that failed (counts since 3.2), or an autoscaler without metrics, is no reason to go back."""
    health = {"status": "Degraded", "lastTransitionTime": since}
    verdict = watched(healthy({"status.health": health, **changes}), expected(), 3600)[1]
    assert (verdict.kind, verdict.synced) == (kind, True)
    if kind == "wait":
        assert verdict.unready, "the tree has to tell what"
        assert "is Degraded, and has been so since before our commit: 2026-08-22 03:09 UTC" in verdict.detail


def test_degraded_without_an_operation_of_ours_counts_too():
    changes = {"status.operationState.syncResult.revision": OLD, "status.health.status": "Degraded"}
    assert watched(healthy(changes), expected(), 61)[1].reason is Reason.DEGRADED


@pytest.mark.parametrize("memory", [None, {}, {"what": 1}, {"what": "image " + OURS, "since": "yesterday"}])
def test_an_odd_memory_counts_as_none(memory):
    assert judge(healthy({"status.summary": {}}), expected(), NOW, memory).kind is VerdictKind.WAIT


def test_a_clock_that_went_back_does_not_lengthen_the_wait():
    application = healthy({"status.health.status": "Degraded"})
    first = judge(application, expected(), NOW + seconds(1000))
    again = judge(application, expected(), NOW, first.memory)
    assert judge(application, expected(), NOW + seconds(60), again.memory).kind is VerdictKind.FAILED


def test_an_error_that_has_passed_does_not_count_with_the_next_one():
    wrong = healthy({"status.conditions": [condition("ComparisonError")]})
    first = judge(wrong, expected(), NOW)
    clean = judge(healthy({"status.health.status": "Progressing"}), expected(), NOW + seconds(10), first.memory)
    assert "what" not in clean.memory
    again = judge(wrong, expected(), NOW + seconds(300), clean.memory)
    assert again.kind is VerdictKind.WAIT


@pytest.mark.parametrize(
    ("words", "so"), [("Manifest generation error (cached): no such chart", True), ("no", False)]
)
def test_an_error_that_argo_cd_only_remembers_is_noted(words, so):
    wrong = healthy(
        {"status.conditions": [condition("ComparisonError", f"rpc error: code = Unknown desc = {words}")]}
    )
    assert remembered(judge(wrong, expected(), NOW).memory) is so


def test_an_error_does_not_count_while_another_comparison_is_on_its_way():
    wrong = {"status.conditions": [condition("ComparisonError")]}
    first = judge(healthy(wrong), expected(), NOW)
    asked = healthy({**wrong, "metadata.annotations": {"argocd.argoproj.io/refresh": "normal"}})
    assert judge(asked, expected(), NOW + seconds(60), first.memory).kind is VerdictKind.WAIT
    assert judge(healthy(wrong), expected(), NOW + seconds(60), first.memory).kind is VerdictKind.FAILED
