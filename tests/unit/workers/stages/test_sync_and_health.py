"""Looking at Argo CD: one refresh, then plain reads; proof or one sentence why not."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Trigger, Wait
from tests.support.deploying import (
    GITOPS_COMMIT,
    FakeArgo,
    FakeCommits,
    FakeMirror,
    application,
    landed,
    live,
    order,
    tools,
)
from tests.support.factories import NOW, later
from workers.stages import commit, health, sync
from workers.stages.looking import CONFIRM

OLD = "0" * 40
OUTPUTS: dict[str, Any] = {"gitops_commit": GITOPS_COMMIT, "committed_at": NOW.isoformat()}


def look(stage: Any, argo: FakeArgo, **fields: Any) -> Any:
    name = StageName.SYNC if stage is sync else StageName.HEALTH
    outputs = OUTPUTS | fields.pop("outputs", {})
    gitops = FakeMirror(line=(OLD, GITOPS_COMMIT), files={"web/values-stg.yaml": b"image:\n  tag: x\n"})
    return stage.run(order(name, outputs=outputs, **({"now": later(10)} | fields)), tools(argocd=argo, gitops=gitops))


@pytest.mark.parametrize(
    ("time", "seconds"),
    [(NOW.isoformat(), 10.0), (later(10).isoformat(), 0.0), (later(99).isoformat(), 0.0), ("soon", 0.0), (None, 0.0)],
)
def test_a_time_that_lies_ahead_or_is_none_is_now(time: Any, seconds: float) -> None:
    """Another machine, whose clock is ahead, may have written it."""
    assert order(StageName.SYNC, now=later(10)).seconds_since(time) == seconds


def test_argo_cd_is_asked_to_refresh_once_and_then_only_read() -> None:
    argo = FakeArgo([live(OLD)])
    first = look(sync, argo)
    assert isinstance(first, Wait)
    second = look(sync, argo, outputs=dict(first.outputs), now=later(20))
    assert isinstance(second, Wait)
    assert argo.asked == ["normal", "plain"]


@pytest.mark.parametrize(("stage", "first"), [(sync, live(OLD)), (health, live(health="Progressing"))])
def test_what_many_looks_see_is_in_the_log_once(stage: Any, first: dict[str, Any]) -> None:
    """Argo CD tells of each change of each pod, and a rollout of twenty pods is Progressing for minutes."""
    said: list[str] = []
    asked = order(StageName.SYNC if stage is sync else StageName.HEALTH, outputs=OUTPUTS, now=later(10))
    for seen in (first, first, live()):
        outcome = stage.run(asked, tools(log=said.append, argocd=FakeArgo([seen])))
        stages = tuple(replace(one, detail=outcome.detail) for one in asked.run.stages)
        asked = replace(asked, run=replace(asked.run, stages=stages), outputs={**asked.outputs, **outcome.outputs})
    assert [line.partition(":")[0] for line in said] == [
        Reason.SYNC_PENDING if stage is sync else Reason.PROGRESSING,
        Reason.HEALTHY,
    ]


def test_a_refresh_is_repeated_after_a_minute_without_a_sign_of_our_commit() -> None:
    argo = FakeArgo([live(OLD)])
    asked = {"refreshed_at": NOW.isoformat()}
    look(sync, argo, outputs=asked, now=later(61))
    assert argo.asked == ["normal"]


@pytest.mark.parametrize("stage", [sync, health])
def test_a_comparison_that_went_wrong_is_made_again_before_it_counts(stage: Any) -> None:
    """By itself Argo CD compares every few minutes: one bad moment of its Git would be taken for two."""
    argo = FakeArgo([broken()])
    outputs: dict[str, Any] = {"refreshed_at": NOW.isoformat()}
    for seconds in (10, 19, 20):
        outcome = look(stage, argo, outputs=outputs, now=later(seconds))
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    assert argo.asked == ["plain", "plain", "normal"]
    assert isinstance(look(stage, argo, outputs=outputs, now=later(30)), Fail)


def test_comparisons_are_asked_for_now_and_then_while_git_is_in_trouble() -> None:
    argo = FakeArgo([broken("failed to list refs: i/o timeout")])
    outputs: dict[str, Any] = {"sync_asked": NOW.isoformat(), "refreshed_at": NOW.isoformat()}
    for seconds in range(10, 190, 10):
        outcome = look(sync, argo, outputs=outputs, now=later(seconds))
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    assert argo.asked.count("normal") == 3


def broken(words: str = "no such chart") -> dict[str, Any]:
    app = live(OLD)
    at = NOW.isoformat().replace("+00:00", "Z")
    app["status"]["conditions"] = [{"type": "ComparisonError", "message": words, "lastTransitionTime": at}]
    return app


def test_a_waiting_run_asks_nothing_by_itself() -> None:
    waiting = look(health, FakeArgo([live(health="Progressing")]))
    assert waiting.after is None, "the watch wakes it, or its deadline"


def test_what_the_watch_cannot_see_is_looked_at_now_and_then() -> None:
    waiting = look(sync, FakeArgo([live(OLD)]))
    assert waiting.after == 30.0, "no list shows a revision, and the refresh is to be repeated after a minute"


def test_sync_is_done_when_our_commit_is_applied_even_if_not_yet_healthy() -> None:
    outcome = look(sync, FakeArgo([live(health="Progressing")]))
    assert isinstance(outcome, Done)
    assert outcome.outputs["argocd_revision"] == GITOPS_COMMIT
    assert outcome.detail == f"Argo CD applied {GITOPS_COMMIT[:12]}"


def test_sync_tells_of_a_later_commit_that_contains_ours() -> None:
    later_one = "f" * 40
    gitops = FakeMirror(line=(OLD, GITOPS_COMMIT, later_one), files={"web/values-stg.yaml": b"image:\n  tag: x\n"})
    given = order(StageName.SYNC, outputs=OUTPUTS, now=later(10))
    outcome = sync.run(given, tools(argocd=FakeArgo([live(later_one)]), gitops=gitops))
    assert outcome.detail == f"Argo CD applied {later_one[:12]}, which contains {GITOPS_COMMIT[:12]}"


def test_who_cannot_look_into_git_says_why() -> None:
    """Argo CD is at a later commit, and our own access has ended meanwhile."""
    away = Refused(Reason.GITOPS_REFUSED, "https://git.example.com/platform/gitops.git: the login was not accepted")
    gitops, argo = FakeMirror(line=(OLD, GITOPS_COMMIT), error=away), FakeArgo([live("f" * 40)])
    for now in (later(10), later(4000)):
        given = order(StageName.SYNC, outputs=OUTPUTS, now=now)
        outcome = sync.run(given, tools(argocd=argo, gitops=gitops))
        assert outcome.detail.endswith(f"whether {'f' * 12} contains {GITOPS_COMMIT[:12]} ({away})")
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.TIMED_OUT


def test_health_is_done_at_once_on_the_strongest_evidence_and_writes_the_receipt() -> None:
    outcome = look(health, FakeArgo([live()]))
    assert isinstance(outcome, Done)
    receipt = outcome.outputs["receipt"]
    assert (receipt["gitops_commit"], receipt["argocd_revision"]) == (GITOPS_COMMIT, GITOPS_COMMIT)
    assert receipt["digest"].startswith("sha256:")
    assert receipt["live_images"]


def test_weaker_evidence_wants_a_second_look_that_may_come_after_the_deadline() -> None:
    application = live()
    application["status"]["reconciledAt"] = application["status"]["operationState"]["finishedAt"]
    first = look(health, FakeArgo([application]))
    assert isinstance(first, Wait)
    assert (first.reason, first.after, first.confirm) == (Reason.CONFIRMING, CONFIRM, True)
    second = look(health, FakeArgo([live(health="Progressing")]), outputs=dict(first.outputs))
    assert isinstance(second, Wait)
    assert not second.confirm
    assert isinstance(look(health, FakeArgo([application]), outputs=dict(first.outputs), now=later(12)), Done)


def test_a_look_that_an_event_caused_is_not_the_second_one() -> None:
    """The watch wakes a run as soon as it waits: two looks within a moment would prove nothing more than one."""
    application = live()
    application["status"]["reconciledAt"] = application["status"]["operationState"]["finishedAt"]
    argo, outputs = FakeArgo([application]), dict[str, Any]()
    for seconds, rest in ((10, 2.0), (10, 2.0), (11, 1.0), (9, 2.0)):
        outcome = look(health, argo, outputs=outputs, now=later(seconds))
        assert isinstance(outcome, Wait)
        assert (outcome.after, outcome.confirm) == (rest, True)
        outputs |= outcome.outputs
    assert isinstance(look(health, argo, outputs=outputs, now=later(11)), Done), (
        "2 s after the earliest, by any clock"
    )
    interrupted = look(health, FakeArgo([live(OLD)]), outputs=outputs, now=later(11))
    anew = look(health, argo, outputs=outputs | dict(interrupted.outputs), now=later(12))
    assert anew.after == CONFIRM
    older = look(health, argo, outputs={"confirming": True}, now=later(12))  # as a worker of the version before wrote
    assert older.after == CONFIRM


def test_a_re_run_whose_value_is_in_git_already_wants_its_image_all_the_same() -> None:
    """The chart does not read the key: a second try without any change must not end well, and be promoted."""
    queue = FakeCommits(result=landed(created=False, previous=()))
    outputs = dict(commit.run(order(StageName.COMMIT), tools(commits=queue)).outputs)
    argo = FakeArgo([live(image="harbor.example.com/plate/plate-web:sha-000000000000")])
    for seconds in (10, 12, 39):
        outcome = look(health, argo, outputs=outputs, now=later(seconds))
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    assert look(health, argo, outputs=outputs, now=later(40)).reason is Reason.IMAGE_NOT_DEPLOYED


def test_a_stale_healthy_is_not_taken_for_a_success() -> None:
    for stage in (sync, health):
        assert isinstance(look(stage, FakeArgo([live(OLD)])), Wait)


def test_argo_cd_that_does_not_answer_is_unknown_never_a_failed_app() -> None:
    for stage in (sync, health):
        with pytest.raises(Unavailable):
            look(stage, FakeArgo([Unavailable(Reason.ARGOCD_UNAVAILABLE, "HTTP 429")]))


@pytest.mark.parametrize("stage", [sync, health])
@pytest.mark.parametrize("begins", [0.0, 300.0])
def test_an_application_may_be_missing_for_a_minute_in_a_row(stage: Any, begins: float) -> None:
    """Trouble of Kubernetes looks the same, and may come in the middle of a long rollout."""
    gone = FakeArgo([Refused(Reason.APPLICATION_MISSING, "not found")])
    outputs: dict[str, Any] = {}
    for seconds in (0, 30, 59):
        outcome = look(stage, gone, outputs=outputs, now=later(begins + seconds))
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    end = look(stage, gone, outputs=outputs, now=later(begins + 60))
    assert isinstance(end, Fail)
    assert end.reason is Reason.APPLICATION_MISSING


@pytest.mark.parametrize("stage", [sync, health])
def test_an_application_that_is_seen_again_may_be_missing_for_another_minute(stage: Any) -> None:
    gone, seen = Refused(Reason.APPLICATION_MISSING, "not found"), live(health="Progressing")
    seen["operation"] = {"sync": {}}
    outputs: dict[str, Any] = {}
    for seconds, answer in ((0, gone), (50, seen), (61, gone)):
        outcome = look(stage, FakeArgo([answer]), outputs=outputs, now=later(seconds))
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs


def test_health_counts_anew_after_a_sync_that_saw_the_application_again() -> None:
    gone = Refused(Reason.APPLICATION_MISSING, "not found")
    outputs = dict(look(sync, FakeArgo([gone])).outputs)
    done = look(sync, FakeArgo([live()]), outputs=outputs, now=later(15))
    assert isinstance(done, Done)
    assert isinstance(look(health, FakeArgo([gone]), outputs=outputs | dict(done.outputs), now=later(90)), Wait)


def test_what_had_to_last_goes_on_lasting_while_the_application_is_missing() -> None:
    outputs: dict[str, Any] = {}
    burning = live(health="Degraded")
    for seconds, answer in ((10, burning), (40, Refused(Reason.APPLICATION_MISSING, "not found"))):
        outputs |= look(health, FakeArgo([answer]), outputs=outputs, now=later(seconds)).outputs
    assert isinstance(look(health, FakeArgo([burning]), outputs=outputs, now=later(75)), Fail)


def test_degraded_counts_only_when_it_lasts() -> None:
    argo = FakeArgo([live(health="Degraded")])
    first = look(health, argo)
    assert isinstance(first, Wait)
    assert first.after is not None, "a time of its own, nothing else would wake it"
    last = look(health, argo, outputs=dict(first.outputs), now=later(200))
    assert isinstance(last, Fail)
    assert last.reason is Reason.DEGRADED


def out_of_sync() -> dict[str, Any]:
    return application(sync={"status": "OutOfSync", "revision": GITOPS_COMMIT}, health={"status": "Healthy"})


def test_a_sync_is_asked_for_once_where_it_is_configured() -> None:
    argo = FakeArgo([out_of_sync()])
    first = look(sync, argo, environment_sync=True)
    assert argo.asked == ["normal", "sync"]
    look(sync, argo, environment_sync=True, outputs=dict(first.outputs), now=later(12))
    assert argo.asked == ["normal", "sync", "plain"]


@pytest.mark.parametrize("status", ["x", {"sync": "x"}, {"sync": ["OutOfSync"]}])
def test_an_application_of_another_shape_is_waited_for_without_a_sync(status: Any) -> None:
    argo = FakeArgo([application() | {"status": status}])
    assert isinstance(look(sync, argo, environment_sync=True), Wait)
    assert argo.asked == ["normal"]


def failed_sync() -> dict[str, Any]:
    app = live()
    app["status"]["operationState"] |= {"phase": "Failed", "message": "one or more objects failed to apply"}
    app["status"]["sync"]["status"] = "OutOfSync"
    return app


def test_a_failed_sync_of_our_commit_fails_the_run() -> None:
    outcome = look(sync, FakeArgo([failed_sync()]))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.SYNC_FAILED


def test_a_re_run_of_a_commit_that_argo_cd_gave_up_asks_for_a_sync() -> None:
    argo = FakeArgo([failed_sync()])
    outcome = look(sync, argo, trigger=Trigger.RERUN)
    assert isinstance(outcome, Wait)
    assert argo.asked == ["normal", "sync"]


def test_a_later_commit_that_keeps_our_value_counts() -> None:
    later_commit = "8" * 40
    argo = FakeArgo([live(later_commit)])
    gitops = FakeMirror(line=(OLD, GITOPS_COMMIT, later_commit), files={"web/values-stg.yaml": b"image:\n  tag: x\n"})
    given = order(StageName.SYNC, outputs=OUTPUTS, now=later(10))
    assert isinstance(sync.run(given, tools(argocd=argo, gitops=gitops)), Done)


LATER, LAST = "8" * 40, "b" * 40
TRAILER = "Pilotage-Run: 8"


class Changed(FakeMirror):
    """Our value, then another one, which stays in later commits."""

    def read(self, commit: str, path: str) -> bytes | None:
        return b"image:\n  tag: ours\n" if commit == GITOPS_COMMIT else b"image:\n  tag: other\n"


@pytest.mark.parametrize(
    "messages",
    [{}, {LATER: "Revert it"}, {GITOPS_COMMIT: f"Deploy it\n\n{TRAILER}"}, {LAST: f"Another app\n\n{TRAILER}"}],
    ids=["unknown", "a person", "ours alone", "a person, and a run that changed another value of the file"],
)
def test_a_value_that_somebody_changed_again_is_said_to_be_reverted(messages: dict[str, str]) -> None:
    gitops = Changed(line=(OLD, GITOPS_COMMIT, LATER, LAST), messages=messages)
    given = order(StageName.SYNC, outputs=OUTPUTS, now=later(10))
    outcome = sync.run(given, tools(argocd=FakeArgo([live(LAST)]), gitops=gitops))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.CHANGE_REVERTED


def test_the_value_of_a_later_run_is_waited_for_until_that_run_is_known_to_have_landed() -> None:
    """Its worker may have been killed between its push and writing that down; then it takes a while."""
    gitops = Changed(line=(OLD, GITOPS_COMMIT, LATER, LAST), messages={LATER: f"Deploy it\n\n{TRAILER}"})
    given = order(StageName.SYNC, outputs=OUTPUTS, now=later(10))
    outcome = sync.run(given, tools(argocd=FakeArgo([live(LAST)]), gitops=gitops))
    assert isinstance(outcome, Wait)
    assert f"{LAST[:12]}, where the change of {GITOPS_COMMIT[:12]} is not in force" in outcome.detail
