"""Somebody pushes on top of our commit while it is being proven: it is synced, and what is said of it is true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Wait
from tests.support.deploying import GITOPS_COMMIT, FakeArgo, FakeMirror, live, order, tools
from tests.support.factories import COMMIT, NOW, later
from workers.stages import health, sync
from workers.stages.looking import CONFIRM

OLD = "0" * 40
OUTPUTS: dict[str, Any] = {"gitops_commit": GITOPS_COMMIT, "committed_at": NOW.isoformat()}
VALUE = f"sha-{COMMIT[:12]}".encode()
NEWER = "7" * 40


def on_top(**changes: Any) -> dict[str, Any]:
    """Make an application that has applied our commit, and differs from one that a person pushed since."""
    app = live()
    app["spec"]["syncPolicy"] = {}
    app["status"]["sync"] = {"status": "OutOfSync", "revision": NEWER}
    app["status"] |= changes
    return app


def look_since(stage: Any, argo: FakeArgo, seconds: float, outputs: dict[str, Any], value: bytes = VALUE) -> Any:
    files = Versions(line=(OLD, GITOPS_COMMIT, NEWER), content={NEWER: b"image:\n  tag: " + value + b"\n"})
    name = StageName.SYNC if stage is sync else StageName.HEALTH
    given = order(name, outputs=OUTPUTS | outputs, now=later(seconds), environment_sync=True)
    return stage.run(given, tools(argocd=argo, gitops=files))


@dataclass
class Versions(FakeMirror):
    """Our value in the file, and what else it has in some commits."""

    content: Mapping[str, bytes | None] = field(default_factory=dict)

    def read(self, commit: str, path: str) -> bytes | None:
        return self.content.get(commit, b"image:\n  tag: " + VALUE + b"\n")


@pytest.mark.parametrize("state", ["Healthy", "Progressing", "Degraded"])
def test_a_commit_that_came_on_top_of_ours_is_synced_once_where_we_sync(state: str) -> None:
    """Nobody else syncs this application: the run could only wait until its time was over."""
    argo, outputs = FakeArgo([on_top(health={"status": state})]), dict[str, Any]()
    for seconds in (10, 11, 40):
        outcome = look_since(health, argo, seconds, outputs)
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    assert argo.asked == ["plain", "sync", "plain", "plain"]
    assert isinstance(look_since(health, FakeArgo([live(NEWER)]), 50, outputs), Done)


@pytest.mark.parametrize(
    "between", [on_top(), Refused(Reason.APPLICATION_MISSING, "not found")], ids=["a commit on top", "missing"]
)
def test_what_was_seen_before_something_else_is_not_confirmed_by_what_comes_after(between: Any) -> None:
    """A sync of what came on top began a rollout in between, whose first success may be that of the old pods."""
    weak = live(NEWER)
    weak["status"]["reconciledAt"] = weak["status"]["operationState"]["finishedAt"]
    outputs: dict[str, Any] = {}
    for seconds, seen in ((10.0, weak), (10.5, between), (30.0, weak)):
        outcome = look_since(health, FakeArgo([seen]), seconds, outputs)
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    assert (outcome.after, outcome.confirm) == (CONFIRM, True)
    assert isinstance(look_since(health, FakeArgo([weak]), 32, outputs), Done)


def test_a_sync_that_another_one_kept_from_beginning_is_asked_for_again() -> None:
    argo, outputs = Busy([on_top()]), dict[str, Any]()
    for seconds in (10, 11):
        outputs |= look_since(health, argo, seconds, outputs).outputs
    assert argo.asked.count("sync") == 2


class Busy(FakeArgo):
    """Has an operation under way whenever a sync is asked for."""

    def sync(self, name: str, *, project: str = "", app_namespace: str = "") -> bool:
        return not super().sync(name, project=project, app_namespace=app_namespace)


def test_the_stage_sync_asks_again_for_a_commit_that_its_sync_did_not_apply() -> None:
    app = on_top()
    app["status"]["operationState"]["syncResult"]["revision"] = OLD
    argo, outputs = FakeArgo([app]), {"sync_asked": NOW.isoformat(), "refreshed_at": NOW.isoformat()}
    outputs |= look_since(sync, argo, 20, outputs).outputs
    look_since(sync, argo, 21, outputs)
    assert argo.asked == ["plain", "sync", "plain"]


@pytest.mark.parametrize(
    ("app", "value"),
    [
        (on_top(), b"other"),
        (on_top(reconciledAt="2026-11-24T09:00:03Z"), VALUE),
        (on_top() | {"operation": {"sync": {}}}, VALUE),
        (on_top(sync={"status": "OutOfSync", "revision": GITOPS_COMMIT}), VALUE),
        (on_top(sync={"status": "Unknown", "revision": NEWER}), VALUE),
        (on_top(operationState={"phase": "Running"}), VALUE),
    ],
    ids=[
        "another value",
        "compared before the end of the last sync",
        "a sync is requested",
        "ours",
        "unknown",
        "at work",
    ],
)
def test_nothing_else_is_synced_after_ours(app: dict[str, Any], value: bytes) -> None:
    argo = FakeArgo([app])
    look_since(health, argo, 10, {}, value)
    assert argo.asked == ["plain"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"image:\n  tag: other\n", "web/values-stg.yaml has another value there"),
        (None, "web/values-stg.yaml is not there any more"),
        (
            b"web:\n  image: {tag: " + VALUE + b"}\n",
            "our value cannot be read in web/values-stg.yaml any more: line 1: image is missing in this map",
        ),
    ],
    ids=["another value", "file moved", "key moved"],
)
def test_what_is_said_of_a_value_that_is_not_in_force_is_true(content: bytes | None, said: str) -> None:
    files = Versions(line=(OLD, GITOPS_COMMIT, NEWER), content={NEWER: content})
    given = order(StageName.SYNC, outputs=OUTPUTS, now=later(10))
    outcome = sync.run(given, tools(argocd=FakeArgo([live(NEWER)]), gitops=files))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.CHANGE_REVERTED
    assert outcome.detail == f"{NEWER[:12]} contains {GITOPS_COMMIT[:12]}, but {said}"


def test_a_commit_that_changed_the_rest_of_the_file_keeps_ours_in_force_and_needs_no_server() -> None:
    newer = b"replicas: 2\nimage:\n  tag: " + VALUE + b"\n"
    away = Unavailable(Reason.GITOPS_UNAVAILABLE, "down")
    files = Versions(line=(OLD, GITOPS_COMMIT, NEWER), content={NEWER: newer}, error=away)
    given = order(StageName.SYNC, outputs=OUTPUTS, now=later(10))
    assert isinstance(sync.run(given, tools(argocd=FakeArgo([live(NEWER)]), gitops=files)), Done)


@pytest.mark.parametrize(("head", "ends"), [(NEWER, Done), ("6" * 40, Wait)])
def test_the_head_of_a_branch_that_was_rewritten_counts_where_the_server_has_forgotten_our_commit(
    head: str, ends: type
) -> None:
    files = Versions(line=(OLD, NEWER), head=head)
    given = order(StageName.SYNC, outputs=OUTPUTS, now=later(10))
    assert isinstance(sync.run(given, tools(argocd=FakeArgo([live(NEWER)]), gitops=files)), ends)


def test_when_its_time_is_over_a_run_asks_for_no_sync() -> None:
    argo = FakeArgo([on_top()])
    assert isinstance(look_since(health, argo, 600, {}), Fail)
    assert "sync" not in argo.asked
