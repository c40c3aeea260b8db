"""A wait whose time is over ends with the cause where Argo CD knows it, and says who must act."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Trigger, Wait
from tests.support.deploying import GITOPS_COMMIT, IMAGE, FakeArgo, FakeMirror, application, live, order, tools
from tests.support.factories import NOW, later
from workers.gitops.words import LIMIT
from workers.stages import health, sync

OLD = "0" * 40
OUTPUTS: dict[str, Any] = {"gitops_commit": GITOPS_COMMIT, "committed_at": NOW.isoformat()}
POD = {
    "kind": "Pod",
    "namespace": "plate",
    "name": "db-0",
    "uid": "u",
    "info": [{"name": "Status Reason", "value": "ImagePullBackOff"}],
    "health": {"status": "Degraded", "message": "Back-off pulling image x"},
}


class Telling(FakeArgo):
    """Knows of one pod that cannot pull its image."""

    def resource_tree(self, name: str, **_: Any) -> dict[str, Any]:
        self.asked.append("tree")
        return {"nodes": [POD]}


class Silent(FakeArgo):
    """Shows the application and nothing else."""

    def resource_tree(self, name: str, **_: Any) -> dict[str, Any]:
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, "HTTP 500")


def look(stage: Any, argo: FakeArgo, seconds: float = 900, attempt: int = 1, **outputs: Any) -> Any:
    name = StageName.SYNC if stage is sync else StageName.HEALTH
    gitops = FakeMirror(line=(OLD, GITOPS_COMMIT), files={"web/values-stg.yaml": b"image:\n  tag: x\n"})
    given = replace(order(name, outputs=OUTPUTS | outputs, now=later(seconds)), deadline_at=later(900))
    stages = tuple(replace(one, attempt=attempt) if one.name is name else one for one in given.run.stages)
    given = replace(given, run=replace(given.run, stages=stages))
    return stage.run(given, tools(argocd=argo, gitops=gitops))


def running(revision: str, at: str) -> dict[str, Any]:
    """Make an application whose sync of `revision` waits for its resources, compared with `at`."""
    app = live(at, health="Progressing")
    app["operation"] = {"sync": {}}
    app["status"]["sync"]["status"] = "OutOfSync"
    state = app["status"]["operationState"]
    state |= {"phase": "Running", "message": "waiting for healthy state of apps/StatefulSet/db"}
    state["syncResult"] = {"revision": revision}
    del state["finishedAt"]
    return app


def test_a_rollout_that_hangs_names_the_pod() -> None:
    argo = Telling([live(health="Progressing")])
    assert isinstance(look(health, argo, 899), Wait)
    assert argo.asked == ["plain"], "a run that waits asks for no more than the application"
    outcome = look(health, argo)
    assert (type(outcome), outcome.reason) == (Fail, Reason.TIMED_OUT)
    assert outcome.detail == (
        "health not done after 900 s: Pod plate/db-0 is in ImagePullBackOff: Back-off pulling image x"
    )
    assert outcome.outputs["argocd_revision"] == GITOPS_COMMIT


@pytest.mark.parametrize("nodes", [5, "x", [5, "x", {"kind": "Pod", "health": "x"}], [POD | {"health": 5}]])
def test_a_resource_tree_of_another_shape_does_no_harm(nodes: Any) -> None:
    """The run is to end as what it is, not as an error of ours."""
    argo = Telling([live(health="Progressing")])
    argo.resource_tree = lambda name, **_: {"nodes": nodes}  # type: ignore[method-assign]
    outcome = look(health, argo)
    assert (type(outcome), outcome.reason) == (Fail, Reason.TIMED_OUT)


def test_a_degraded_state_that_came_too_late_to_last_names_the_pod() -> None:
    assert "ImagePullBackOff" in look(health, Telling([live(health="Degraded")])).detail


def test_a_sync_that_waits_for_health_itself_names_the_pod() -> None:
    outcome = look(sync, Telling([running(GITOPS_COMMIT, GITOPS_COMMIT)]))
    assert (type(outcome), outcome.reason) == (Fail, Reason.TIMED_OUT)
    assert outcome.detail.startswith("sync not done after 900 s: Pod plate/db-0 is in ImagePullBackOff")


def test_a_sync_of_an_older_commit_that_hangs_is_named_with_what_to_do() -> None:
    argo = Telling([running(OLD, GITOPS_COMMIT)])
    advice = f"Argo CD begins no other sync before that of {OLD[:12]} has ended: wait for it, or terminate it there"
    assert look(sync, argo, 10).detail == (
        f"The sync of {OLD[:12]} is running: waiting for healthy state of apps/StatefulSet/db; {advice}"
    )
    detail = look(sync, argo).detail
    assert detail.startswith("sync not done after 900 s: Pod plate/db-0 is in ImagePullBackOff: ")
    assert detail.endswith(f"; {advice}")


def test_what_is_told_is_bounded() -> None:
    app = running(OLD, GITOPS_COMMIT)
    app["status"]["operationState"]["message"] = "x" * 5000
    for argo in (Telling([app]), Silent([app])):
        assert len(look(sync, argo, 10).detail) <= LIMIT
        assert len(look(sync, argo).detail) <= LIMIT + len("sync not done after 900 s; last seen: ")


@pytest.mark.parametrize("argo", [FakeArgo, Silent])
def test_without_a_cause_the_last_state_is_told(argo: Any) -> None:
    app = live(health="Progressing")
    app["status"]["health"] = {}
    outcome = look(health, argo([app]))
    assert outcome.reason is Reason.TIMED_OUT
    assert outcome.detail == f"health not done after 900 s; last seen: {GITOPS_COMMIT[:12]} is without a health state"


@pytest.mark.parametrize("stage", [sync, health])
def test_resources_are_not_blamed_where_they_are_not_waited_for(stage: Any) -> None:
    argo = Telling([live(OLD)])
    outcome = look(stage, argo)
    assert "last seen: Argo CD compares with" in outcome.detail
    assert "tree" not in argo.asked


def test_who_was_waited_for_stays_the_reason() -> None:
    app = application(sync={"status": "OutOfSync", "revision": GITOPS_COMMIT}, health={"status": "Healthy"})
    app["spec"]["syncPolicy"] = {}
    outcome = look(sync, FakeArgo([app]))
    assert (type(outcome), outcome.reason) == (Fail, Reason.NOT_AUTOMATED)
    assert "sync not done after 900 s; last seen: " in outcome.detail


def automated() -> dict[str, Any]:
    """Make an application that Argo CD is to sync by itself and does not."""
    return application(sync={"status": "OutOfSync", "revision": GITOPS_COMMIT}, health={"status": "Healthy"})


DENY = [{"kind": "deny", "schedule": "0 22 * * 5", "duration": "60h", "manualSync": True}]
SAID = f"{GITOPS_COMMIT[:12]} is out of sync: a sync window denies syncs now (0 22 * * 5 for 60h)"


def test_a_sync_window_is_the_reason_to_wait_and_to_end() -> None:
    """The controller only logs it: no operation and no condition tell."""
    argo = FakeArgo([automated()], windows={"activeWindows": DENY, "assignedWindows": DENY, "canSync": True})
    outputs: dict[str, Any] = {}
    seen = []
    for seconds in (10, 12, 25, 40, 85):
        outcome = look(sync, argo, seconds, **outputs)
        outputs |= outcome.outputs
        seen.append((outcome.reason, argo.asked.count("windows")))
    pending, window = Reason.SYNC_PENDING, Reason.SYNC_WINDOW
    assert seen == [(pending, 0), (pending, 0), (window, 1), (window, 1), (window, 2)]
    assert outcome.detail == SAID
    ended = look(sync, argo, **outputs)
    assert (type(ended), ended.reason) == (Fail, Reason.SYNC_WINDOW)
    assert ended.detail == f"sync not done after 900 s; last seen: {SAID}"


def test_the_windows_are_asked_for_although_nothing_else_wakes_the_run() -> None:
    """Whatever wakes it before the time takes nothing of it away."""
    argo, outputs = FakeArgo([automated()]), dict[str, Any]()
    for seconds, rest in ((10, 15.0), (11, 14.0), (24.5, 1.0), (25, None), (26, None)):
        outcome = look(sync, argo, seconds, **outputs)
        assert outcome.after == rest
        outputs |= outcome.outputs
    assert argo.asked.count("windows") == 1


def test_a_failed_sync_of_another_commit_counts_when_no_window_is_shut() -> None:
    """While one is, Argo CD does not take back what it said of the sync before ours."""
    app = automated()
    app["status"] |= {"reconciledAt": later(5).isoformat()}
    app["status"]["conditions"] = [{"type": "SyncError", "message": f"Failed last sync attempt to [{OLD}]: no"}]
    argo, outputs = FakeArgo([app], windows={"activeWindows": DENY}), dict[str, Any]()
    for seconds in (10, 25, 100, 250, 400):
        outcome = look(sync, argo, seconds, **outputs)
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    assert (outcome.reason, outcome.after) == (Reason.SYNC_WINDOW, None)
    argo.windows = {}
    for seconds in (460, 470, 639):
        outcome = look(sync, argo, seconds, **outputs)
        assert (type(outcome), outcome.reason) == (Wait, Reason.SYNC_PENDING)
        outputs |= outcome.outputs
    assert look(sync, argo, 640, **outputs).reason is Reason.SYNC_FAILED


def test_a_sync_that_argo_cd_does_not_begin_is_not_waited_for_until_the_end() -> None:
    """With manifest-generate-paths it takes a commit that came during another sync for synced, and tells nobody."""
    argo, outputs = Telling([automated()], windows={}), dict[str, Any]()
    for seconds in (10, 25, 309):
        outcome = look(sync, argo, seconds, **outputs)
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    ended = look(sync, argo, 310, **outputs)
    assert (type(ended), ended.reason) == (Fail, Reason.SYNC_FAILED)
    assert "its sync has not begun, for 300 s, though Argo CD syncs by itself; a re-run asks it to" in ended.detail


def test_the_time_in_which_argo_cd_was_away_is_none_in_which_it_gave_a_sync_up() -> None:
    """While it is upgraded, say: what begins syncs is just starting as well."""
    argo, outputs = FakeArgo([automated()], windows={}), dict[str, Any]()
    for seconds in (10, 25):
        outputs |= look(sync, argo, seconds, **outputs).outputs
    for seconds, attempt in ((400, 40), (699, 1)):
        outcome = look(sync, argo, seconds, attempt, **outputs)
        assert (type(outcome), outcome.reason) == (Wait, Reason.SYNC_PENDING)
        outputs |= outcome.outputs
    assert look(sync, argo, 700, **outputs).reason is Reason.SYNC_FAILED


def test_the_time_of_a_window_is_none_in_which_argo_cd_gave_a_sync_up() -> None:
    argo, outputs = FakeArgo([automated()], windows={"activeWindows": DENY}), dict[str, Any]()
    for seconds in (10, 25, 400):
        outputs |= look(sync, argo, seconds, **outputs).outputs
    argo.windows = {}
    for seconds in (465, 699):
        outcome = look(sync, argo, seconds, **outputs)
        assert (type(outcome), outcome.reason) == (Wait, Reason.SYNC_PENDING)
        outputs |= outcome.outputs
    assert look(sync, argo, 700, **outputs).reason is Reason.SYNC_FAILED


@pytest.mark.parametrize(("windows", "asked"), [({}, 1), ({"activeWindows": DENY}, 0)])
def test_a_re_run_asks_for_a_sync_that_has_not_begun(windows: Any, asked: int) -> None:
    argo, outputs = FakeArgo([automated()], windows=windows), dict[str, Any]()
    for seconds in (10, 25, 40):
        given = order(StageName.SYNC, outputs=OUTPUTS | outputs, now=later(seconds), trigger=Trigger.RERUN)
        outputs |= sync.run(given, tools(argocd=argo, gitops=FakeMirror(line=(OLD, GITOPS_COMMIT)))).outputs
    assert argo.asked.count("sync") == asked


def test_a_window_that_has_ended_is_forgotten() -> None:
    argo = FakeArgo([automated()], windows={"activeWindows": DENY})
    outputs = dict(look(sync, argo, 10).outputs)
    outputs |= look(sync, argo, 30, **outputs).outputs
    assert outputs["window"]
    argo.windows = {"canSync": True}
    assert look(sync, argo, 100, **outputs).reason is Reason.SYNC_PENDING
    argo.answers = [running(GITOPS_COMMIT, GITOPS_COMMIT)]
    outputs |= look(sync, argo, 100, **outputs).outputs
    assert (outputs["unbegun"], outputs["window"], outputs["window_asked"]) == ("", "", "")


def test_an_operation_that_a_window_blocks_ends_with_the_window_too() -> None:
    app = running(GITOPS_COMMIT, GITOPS_COMMIT)
    app["status"]["operationState"]["message"] = "Sync operation blocked by sync window"
    assert look(sync, FakeArgo([app])).reason is Reason.SYNC_WINDOW


@pytest.mark.parametrize(
    "error", [Unavailable(Reason.ARGOCD_UNAVAILABLE, "HTTP 500"), Refused(Reason.ARGOCD_FORBIDDEN, "HTTP 403")]
)
def test_windows_that_cannot_be_read_are_none(error: PilotageError) -> None:
    class Closed(FakeArgo):
        def sync_windows(self, name: str, **_: Any) -> dict[str, Any]:
            raise error

    outcome = look(sync, Closed([automated()]))
    assert (type(outcome), outcome.reason) == (Fail, Reason.TIMED_OUT)


def test_windows_are_not_asked_for_where_a_person_is_waited_for() -> None:
    app = automated()
    app["spec"]["syncPolicy"] = {}
    argo = FakeArgo([app])
    look(sync, argo)
    assert "windows" not in argo.asked


def test_what_is_suspended_is_named_from_the_object_or_the_tree() -> None:
    held = {"kind": "CronJob", "namespace": "plate", "name": "nightly"}
    state = {"status": "Suspended", "message": "CronJob is Suspended"}
    app = live(health="Suspended")
    argo = FakeArgo([app])
    argo.resource_tree = lambda name, **_: {"nodes": [held | {"health": state}]}  # type: ignore[method-assign]
    ended = look(health, argo)
    assert (type(ended), ended.reason) == (Fail, Reason.SUSPENDED)
    assert ended.detail.endswith("900 s: CronJob plate/nightly is Suspended: CronJob is Suspended")
    app["status"]["resources"] = [held | {"health": state}]
    named = f"{GITOPS_COMMIT[:12]} is Suspended because of CronJob/plate/nightly"
    assert look(health, FakeArgo([app]), 10).detail == named
    assert look(health, FakeArgo([app])).detail == f"health not done after 900 s; last seen: {named}"


def test_a_success_is_confirmed_after_the_deadline() -> None:
    app = live()
    app["status"]["reconciledAt"] = app["status"]["operationState"]["finishedAt"]
    first = look(health, FakeArgo([app]))
    assert isinstance(first, Wait)
    assert first.confirm
    assert isinstance(look(health, FakeArgo([app]), 902, **first.outputs), Done)


UNJUDGED = {"kind": "Cluster", "namespace": "plate", "name": "db", "uid": "c"}
OURS = POD | {"images": [IMAGE], "parentRefs": [{"kind": "Cluster", "name": "db", "uid": "c"}]}
UP = OURS | {"health": {"status": "Healthy"}, "info": [{"name": "Status Reason", "value": "Running"}]}


@pytest.mark.parametrize("noop", [False, True])
def test_a_pod_that_cannot_pull_is_not_live_where_argo_cd_has_no_health_of_its_owner(noop: bool) -> None:
    argo = FakeArgo([live()], nodes=[UNJUDGED, OURS])
    waits = look(health, argo, 20, noop=noop)
    assert (type(waits), waits.reason, waits.after) == (Wait, Reason.PROGRESSING, 10.0)
    assert waits.detail.startswith(
        "Argo CD has no health of Cluster plate/db, but Pod plate/db-0 with our image is Im"
    )
    ends = look(health, argo, 900, noop=noop)
    assert (type(ends), ends.reason) == (Fail, Reason.DEGRADED), "no more time would mend that"
    assert "Pod plate/db-0 is in ImagePullBackOff: Back-off pulling image x" in ends.detail
    argo.nodes = [UNJUDGED, UP]
    assert look(health, argo, 30, noop=noop, confirming=later(20).isoformat()).reason is Reason.HEALTHY


@pytest.mark.parametrize(
    "said", ["ContainerCreating", "Pending", "Running", "CrashLoopBackOff", "Init:CrashLoopBackOff"]
)
def test_a_pod_that_may_yet_become_well_ends_as_late_and_one_that_crashes_as_degraded(said: str) -> None:
    coming = OURS | {"health": {"status": "Progressing"}, "info": [{"name": "Status Reason", "value": said}]}
    ends = look(health, FakeArgo([live()], nodes=[UNJUDGED, coming]))
    assert (type(ends), ends.reason) == (Fail, Reason.DEGRADED if "Crash" in said else Reason.TIMED_OUT)


def test_pods_that_cannot_be_read_prove_nothing() -> None:
    with pytest.raises(Unavailable):
        look(health, Silent([live()]), 20)


def test_who_is_waited_for_stays_the_reason_though_a_pod_crashes() -> None:
    ends = look(health, FakeArgo([live(health="Suspended")], nodes=[OURS]))
    assert (type(ends), ends.reason) == (Fail, Reason.SUSPENDED)
