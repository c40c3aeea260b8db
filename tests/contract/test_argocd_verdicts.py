"""The situations of the contract data and the verdict that each must get."""

import json
from datetime import datetime, timedelta

import pytest

from tests.support.contracts import CONTRACTS, contract_files
from workers.gitops.explain import why_unhealthy
from workers.gitops.readiness import LIST_FIELDS, Expected, VerdictKind, fingerprint, judge

SAMPLES = CONTRACTS / "argocd" / "samples"
INDEX = json.loads((SAMPLES / "index.json").read_text()) if contract_files("argocd/samples/index.json") else {}
ROWS = [(row["file"], row["verdict"]) for row in INDEX.get("samples", []) if row["verdict"]]
# Every run of ours expects its image, even where Git had the value already.
ROWS = [(file, "failed" if verdict == "success_if_noop" else verdict) for file, verdict in ROWS]
NOW = datetime.fromisoformat("2026-08-22T03:22:00Z")
LONG_AFTER = NOW + timedelta(minutes=4)
# Final only when it lasts: the first look waits.
MUST_LAST = {
    "10-degraded-after-sync.json",
    "12-comparison-error.json",
    "21-no-manifest-change-no-operation.json",
    "27-invalid-spec.json",
}
pytestmark = pytest.mark.skipif(not INDEX, reason="the contract data is not here; tests/unit has samples of its own")


def sample(file):
    return json.loads((SAMPLES / file).read_text())


def expected(**changes):
    target = INDEX["target"]
    values = {
        "commit": target["revision"],
        "image": target["image"],
        "pushed_at": datetime.fromisoformat(target["pushed_at"]),
        "addresses": ("https://git.example.com/platform/gitops.git",),
        "branch": "main",
        "contains": lambda revision: revision == target["later_revision"],
    }
    return Expected(**(values | changes))


@pytest.mark.parametrize(("file", "verdict"), ROWS)
def test_every_situation_gets_its_verdict(file, verdict):
    application = sample(file)
    kind = VerdictKind(verdict.removesuffix("_if_ancestor"))
    first = judge(application, expected(), NOW)
    assert first.kind is (VerdictKind.WAIT if file in MUST_LAST else kind)
    later = judge(application, expected(), LONG_AFTER, first.memory)
    assert later.kind is kind


def test_a_later_commit_without_ours_is_not_success():
    application = sample("19-superseded-by-later-commit.json")
    assert judge(application, expected(contains=lambda _: False), NOW).kind is VerdictKind.WAIT
    assert judge(application, expected(contains=lambda _: None), NOW).kind is VerdictKind.WAIT
    overwritten = expected(contains=lambda _: False, reverted=lambda _: "it is gone")
    assert judge(application, overwritten, NOW).reason == "change_reverted"


@pytest.mark.parametrize("noop", [False, True])
def test_no_manifest_change_is_a_failure_while_another_image_is_live(noop):
    application = sample("21-no-manifest-change-no-operation.json")
    first = judge(application, expected(noop=noop), NOW)
    assert first.kind is VerdictKind.WAIT
    assert judge(application, expected(noop=noop), LONG_AFTER, first.memory).reason == "image_not_deployed"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("12-comparison-error.json", "manifests_invalid"),
        ("13-operation-error-comparison.json", "manifests_invalid"),
        ("15-operation-failed.json", "sync_failed"),
        ("17-missing-never-synced.json", "not_automated"),
        ("18-suspended-paused-rollout.json", "suspended"),
        ("22-prune-skipped-stays-outofsync.json", "prune_required"),
        ("23-sync-window-blocked.json", "sync_window"),
        ("26-deleting.json", "application_deleting"),
        ("27-invalid-spec.json", "application_invalid"),
        ("34-shared-resource-flapping.json", "shared_resource"),
        ("35-postsync-hook-failed.json", "sync_failed"),
    ],
)
def test_the_reason_says_who_must_act(file, reason):
    first = judge(sample(file), expected(), NOW)
    assert judge(sample(file), expected(), LONG_AFTER, first.memory).reason == reason


def test_a_rollout_seen_in_the_stream_goes_from_waiting_to_success():
    lines = (SAMPLES / "stream-applications.ndjson").read_text().splitlines()
    applications = [json.loads(line)["result"]["application"] for line in lines]
    kinds = [judge(application, expected(), NOW).kind for application in applications]
    assert kinds[-1] is VerdictKind.SUCCESS
    assert set(kinds[:-1]) == {VerdictKind.WAIT}
    prints = [fingerprint(application) for application in applications]
    assert len(set(prints)) > len(prints) / 2


def test_the_real_application_is_read():
    application = sample("90-extracted-diff-cache.json")
    assert judge(application, expected(), NOW).kind is VerdictKind.WAIT
    assert fingerprint(application)


def test_the_resource_tree_names_the_pod_and_its_reason():
    tree = sample("resource-tree.json")
    sentence = why_unhealthy(sample("07-synced-progressing.json"), tree, [])
    assert sentence.startswith("Pod shop-prod/shop-api-6d9f-x2x is in ImagePullBackOff: Back-off pulling image")


OF_THE_CLUSTER = [row[0] for row in ROWS if row[1] == "failed" and not row[0].startswith(("21-", "26-"))]


@pytest.mark.parametrize("file", OF_THE_CLUSTER)
def test_every_failure_of_the_cluster_has_a_cause(file):
    assert ": " in why_unhealthy(sample(file), {}, [])


def test_nothing_is_wrong_in_the_cluster_where_another_image_is_healthy_or_the_application_goes():
    assert why_unhealthy(sample("21-no-manifest-change-no-operation.json"), {}, []) == ""
    assert why_unhealthy(sample("26-deleting.json"), {}, []) == "Deployment shop-prod/shop-api is Progressing"


def test_the_fields_of_the_list_are_those_that_the_server_knows():
    # argo-cd, server/application/forwarder_overwrite.go: a fixed table; other names are dropped without a word
    known = [
        "metadata.name",
        "metadata.namespace",
        "metadata.annotations",
        "metadata.labels",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "spec",
        "status.sourceHydrator",
        "status.sync.status",
        "status.health",
        "status.summary",
        "status.operationState.startedAt",
        "status.operationState.finishedAt",
        "status.resources",
        "operation.sync",
        "status.operationState.phase",
        "status.operationState.operation.sync",
    ]
    assert {field.removeprefix("items.") for field in LIST_FIELDS} <= set(known)
