"""What is found out before any build."""

from typing import Any

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Rival, StageName, Trigger, Wait
from tests.support.deploying import IMAGE, FakeArgo, FakeMirror, application, order, tools
from tests.support.factories import COMMIT, later
from tests.support.registries import FakeHarbor, FakeRegistry
from workers.stages import check

OLD, NEW = "1" * 40, "2" * 40
CHECK = StageName.CHECK
MAIN = "refs/heads/main"


def done(outcome: Any) -> Done:
    assert isinstance(outcome, Done)
    return outcome


def test_all_is_well_and_the_run_learns_its_image() -> None:
    outputs = done(check.run(order(CHECK), tools())).outputs
    assert outputs["image"] == IMAGE
    assert (outputs["commit"], outputs["title"], outputs["author"]) == (COMMIT, "Change the greeting", "Mina")


def test_what_an_author_wrote_reads_as_it_is_everywhere() -> None:
    source = FakeMirror(subject="Fix \u202egnihton \x1b[31mat all\x07", author="Mi\u202ena\x9b")
    outputs = done(check.run(order(CHECK), tools(source=source))).outputs
    assert (outputs["title"], outputs["author"]) == ("Fix gnihton at all", "Mina")


def test_a_title_is_cut_between_words() -> None:
    """Half a secret would not be known as one when the rest is masked."""
    source = FakeMirror(subject="x" * 190 + " glpat-Ab12Cd34Ef56", author="M" * 201)
    outputs = done(check.run(order(CHECK), tools(source=source))).outputs
    assert (outputs["title"], outputs["author"]) == ("… glpat-Ab12Cd34Ef56", "…")


def test_a_manual_run_of_a_branch_finds_its_commit() -> None:
    manual = order(CHECK, commit="", ref="main", trigger=Trigger.MANUAL)
    outputs = done(check.run(manual, tools(source=FakeMirror(line=(OLD, NEW))))).outputs
    assert outputs["commit"] == NEW
    assert outputs["image"].endswith(f":sha-{NEW[:12]}")


@pytest.mark.parametrize(("configured", "asked"), [("", "plate"), ("own", "own")])
def test_the_project_of_the_application_is_remembered_for_the_looks_after_it(configured: str, asked: str) -> None:
    seen = application()
    seen["spec"]["project"] = "plate"
    outputs = done(check.run(order(CHECK), tools(argocd=FakeArgo([seen])))).outputs
    later_on = order(StageName.SYNC, outputs=outputs, environment_project=configured)
    assert later_on.where == {"project": asked, "app_namespace": ""}


@pytest.mark.parametrize(
    ("clients", "reason"),
    [
        ({"source": FakeMirror(line=())}, Reason.COMMIT_NOT_FOUND),
        ({"gitops": FakeMirror()}, Reason.VALUES_FILE_MISSING),
        ({"gitops": FakeMirror(files={"web/values-stg.yaml": b"image: {}\n"})}, Reason.VALUES_KEY_REFUSED),
        ({"argocd": FakeArgo([Refused(Reason.ARGOCD_FORBIDDEN, "")])}, Reason.ARGOCD_FORBIDDEN),
        ({"argocd": FakeArgo([{**application(), "spec": {"source": {}}}])}, Reason.APPLICATION_MISMATCH),
        ({"harbor": FakeHarbor(projects=frozenset())}, Reason.REGISTRY_PROJECT_MISSING),
        ({"registry": FakeRegistry(error=Refused(Reason.REGISTRY_UNAUTHORIZED, ""))}, Reason.REGISTRY_UNAUTHORIZED),
    ],
)
def test_what_would_go_wrong_later_is_said_now(clients: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(Refused) as refusal:
        check.run(order(CHECK), tools(**clients))
    assert refusal.value.reason is reason


def test_an_application_must_be_missing_for_a_while() -> None:
    """Its parent may be about to create it, and trouble of Kubernetes looks the same."""
    gone = FakeArgo([Refused(Reason.APPLICATION_MISSING, "permission denied")])
    outputs: dict[str, Any] = {}
    for seconds in (0, 19):
        outcome = check.run(order(CHECK, outputs=outputs, now=later(seconds)), tools(argocd=gone))
        assert isinstance(outcome, Wait)
        assert (outcome.reason, outcome.after) == (Reason.APPLICATION_MISSING, 5)
        outputs |= outcome.outputs
    again = order(CHECK, outputs=outputs, now=later(20))
    assert isinstance(check.run(again, tools()), Done), "it is there now"
    with pytest.raises(Refused) as refusal:
        check.run(again, tools(argocd=gone))
    assert refusal.value.reason is Reason.APPLICATION_MISSING


def test_the_values_file_and_line_are_named() -> None:
    gitops = FakeMirror(files={"web/values-stg.yaml": b"image:\n  tag: a\n  tag: b\n"})
    with pytest.raises(Refused, match=r"web/values-stg\.yaml:\d"):
        check.run(order(CHECK), tools(gitops=gitops))


def test_an_older_commit_never_goes_over_a_newer_one() -> None:
    rivals = (Rival(run=3, commit=NEW, landed=True, begun=True),)
    outcome = check.run(order(CHECK, commit=OLD, rivals=rivals), tools(source=FakeMirror(line=(OLD, NEW))))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.detail) == (Reason.OLDER_COMMIT, "run 3 has a newer commit")


@pytest.mark.parametrize(
    ("ref", "rival_of", "left"),
    [(MAIN, MAIN, True), (MAIN, "refs/heads/hotfix", None), ("refs/tags/v1", "refs/tags/v1", None)],
)
def test_a_branch_has_left_a_commit_if_it_holds_a_newer_one_of_its_own(
    ref: str, rival_of: str, left: bool | None
) -> None:
    rivals = (Rival(run=3, commit=NEW, ref=rival_of, landed=True, begun=True),)
    late = order(CHECK, commit=OLD, ref=ref, rivals=rivals)
    outcome = check.run(late, tools(source=FakeMirror(line=(OLD, NEW))))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.outputs.get("left")) == (Reason.OLDER_COMMIT, left)


def test_a_newer_commit_that_this_machine_has_not_seen_is_fetched() -> None:
    rivals = (Rival(run=3, commit=NEW, landed=True, begun=True),)
    source = FakeMirror(line=(OLD, NEW), away={NEW})
    assert isinstance(check.run(order(CHECK, commit=OLD, rivals=rivals), tools(source=source)), Fail)
    assert source.fetched == [OLD, OLD, NEW]


def test_a_copy_that_cannot_compare_what_it_has_is_no_answer() -> None:
    source = FakeMirror(line=(OLD, NEW), compares=False)
    rivals = (Rival(run=3, commit=NEW, landed=True, begun=True),)
    with pytest.raises(Unavailable, match="cannot be compared here"):
        check.run(order(CHECK, commit=OLD, rivals=rivals), tools(source=source))


def test_a_person_may_deploy_an_older_commit() -> None:
    rivals = (Rival(run=3, commit=NEW, landed=True, begun=True),)
    manual = order(CHECK, commit=OLD, rivals=rivals, trigger=Trigger.MANUAL)
    assert done(check.run(manual, tools(source=FakeMirror(line=(OLD, NEW))))).outputs["older_than"] == [3]


def test_what_this_machine_has_not_seen_is_taken_for_newer_than_what_a_person_wants() -> None:
    rivals = (Rival(run=3, commit=NEW, landed=True, begun=True), Rival(run=4, commit=OLD, begun=True))
    source = FakeMirror(line=(OLD, NEW), away={NEW})
    manual = order(CHECK, commit=OLD, rivals=rivals, trigger=Trigger.MANUAL)
    assert done(check.run(manual, tools(source=source))).outputs["older_than"] == [3]
    assert source.fetched == [OLD]


def test_a_person_who_wants_what_nothing_newer_has_begun_for_goes_back_to_nothing() -> None:
    rivals = (Rival(run=9, commit=NEW), Rival(run=3, commit="3" * 40, landed=True, begun=True))
    manual = order(CHECK, commit=OLD, rivals=rivals, trigger=Trigger.MANUAL)
    assert (
        "older_than"
        not in done(check.run(manual, tools(source=FakeMirror(line=(OLD, NEW), parted=("3" * 40,))))).outputs
    )


def test_waiting_runs_of_older_commits_are_overtaken_and_others_not() -> None:
    rivals = (
        Rival(run=3, commit=OLD),
        Rival(run=4, commit=OLD, begun=True),
        Rival(run=5, commit=OLD, landed=True, begun=True),
        Rival(run=9, commit=OLD),
        Rival(run=2, commit=NEW),
        Rival(run=6, commit="3" * 40),  # of a history that was forced away
    )
    outcome = check.run(order(CHECK, commit=NEW, rivals=rivals), tools(source=FakeMirror(line=(OLD, NEW))))
    assert done(outcome).outputs["obsolete"] == [3, 6]


def test_a_push_does_not_take_the_place_of_a_rollback_and_another_rollback_does() -> None:
    rivals = (Rival(run=3, commit=OLD, rolls_back=True),)
    for trigger, obsolete in ((Trigger.PUSH, []), (Trigger.ROLLBACK, [3])):
        begun = order(CHECK, commit=NEW, rivals=rivals, trigger=trigger)
        outcome = check.run(begun, tools(source=FakeMirror(line=(OLD, NEW))))
        assert done(outcome).outputs.get("obsolete", []) == obsolete


@pytest.mark.parametrize(
    ("approved", "of_rival", "counts"),
    [(True, False, False), (False, False, True), (True, True, True), (False, True, True)],
)
def test_a_newer_commit_that_nobody_has_approved_keeps_no_approved_one_back(
    approved: bool, of_rival: bool, counts: bool
) -> None:
    rivals = (Rival(run=9, commit=NEW, approved=of_rival, begun=True), Rival(run=3, commit="3" * 40))
    outcome = check.run(
        order(CHECK, commit=OLD, rivals=rivals, approved=approved), tools(source=FakeMirror(line=(OLD, NEW)))
    )
    if counts:
        assert isinstance(outcome, Fail)
        assert outcome.reason is Reason.OLDER_COMMIT
    else:
        assert done(outcome).outputs["unapproved"] == [9]
        assert "older_than" not in outcome.outputs, "nobody goes back on purpose"
        assert done(outcome).outputs["obsolete"] == [3]


def test_a_push_whose_branch_was_rewritten_since_is_not_deployed_if_a_second_look_agrees() -> None:
    source = FakeMirror(line=(OLD, NEW), parted=(COMMIT,))
    first = check.run(order(CHECK, ref="refs/heads/main"), tools(source=source))
    assert isinstance(first, Wait)
    assert (first.reason, first.after) == (Reason.REWRITTEN, 5)
    again = order(CHECK, outputs=first.outputs, ref="refs/heads/main", now=later(10))
    outcome = check.run(again, tools(source=source))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.detail) == (Reason.REWRITTEN, "refs/heads/main has parted from it")
    assert outcome.outputs["left"]
    assert isinstance(check.run(again, tools()), Done), "the server has caught up"


@pytest.mark.parametrize(
    ("tip", "said"),
    [(OLD, "refs/heads/main does not hold it"), (None, "there is no refs/heads/main")],
)
def test_a_push_that_its_branch_does_not_hold_for_a_minute_is_not_deployed(tip: str | None, said: str) -> None:
    source = FakeMirror(line=(OLD, NEW), tip=tip)
    first = check.run(order(CHECK, commit=NEW, ref=MAIN), tools(source=source))
    assert isinstance(first, Wait)
    assert (first.reason, first.detail) == (Reason.REWRITTEN, f"{said}; looking once more")
    again = order(CHECK, commit=NEW, ref=MAIN, outputs=first.outputs, now=later(59))
    second = check.run(again, tools(source=source))
    assert isinstance(second, Wait)
    last = order(CHECK, commit=NEW, ref=MAIN, outputs=second.outputs, now=later(60))
    outcome = check.run(last, tools(source=source))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.detail) == (Reason.REWRITTEN, said)
    assert isinstance(check.run(last, tools(source=FakeMirror(line=(OLD, NEW)))), Done), "the server has caught up"


@pytest.mark.parametrize("fields", [{"ref": "refs/tags/v1"}, {"trigger": Trigger.MANUAL}, {"attempt": 2}])
def test_a_tag_a_person_and_a_re_run_need_no_branch(fields: dict[str, Any]) -> None:
    source = FakeMirror(line=(OLD, NEW), tip=OLD)
    assert isinstance(check.run(order(CHECK, **{"commit": NEW, "ref": MAIN} | fields), tools(source=source)), Done)


def test_a_copy_that_cannot_tell_what_a_branch_holds_is_no_answer() -> None:
    source = FakeMirror(line=(OLD, NEW), compares=False)
    with pytest.raises(Unavailable, match="cannot be compared here"):
        check.run(order(CHECK, commit=OLD, ref=MAIN), tools(source=source))


@pytest.mark.parametrize(
    ("rival", "obsolete"),
    [
        (Rival(run=3, commit=NEW, ref=MAIN, landed=True, begun=True), None),
        (Rival(run=3, commit=NEW, ref=MAIN, begun=True), None),
        (Rival(run=3, commit=NEW, ref=MAIN), [3]),
    ],
)
def test_a_branch_that_was_set_back_is_deployed_once_it_has_stayed_there(
    rival: Rival, obsolete: list[int] | None
) -> None:
    source = FakeMirror(line=(OLD, NEW), tip=OLD)
    first = check.run(order(CHECK, commit=OLD, ref=MAIN, rivals=(rival,)), tools(source=source))
    assert isinstance(first, Wait)
    words = "run 3 has a newer commit, which refs/heads/main does not hold; looking once more"
    assert (first.reason, first.detail, first.after) == (Reason.OLDER_COMMIT, words, 5)
    again = order(CHECK, commit=OLD, ref=MAIN, rivals=(rival,), outputs=first.outputs, now=later(60))
    outputs = done(check.run(again, tools(source=source))).outputs
    assert (outputs["dropped"], outputs.get("obsolete")) == ([3], obsolete)
    assert outputs.get("older_than") == ([3] if rival.begun else None)
    caught_up = check.run(again, tools(source=FakeMirror(line=(OLD, NEW))))
    assert isinstance(caught_up, Fail)
    assert caught_up.reason is Reason.OLDER_COMMIT


@pytest.mark.parametrize("fields", [{"attempt": 2}, {"ref": "refs/heads/hotfix"}, {"ref": "refs/tags/v1"}])
def test_only_what_came_from_the_same_branch_can_be_dropped_from_it(fields: dict[str, Any]) -> None:
    rivals = (Rival(run=3, commit=NEW, ref=MAIN, landed=True, begun=True),)
    older = order(CHECK, rivals=rivals, **{"commit": OLD, "ref": MAIN} | fields)
    outcome = check.run(older, tools(source=FakeMirror(line=(OLD, NEW), tip=OLD)))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.OLDER_COMMIT


def test_a_person_may_deploy_a_commit_that_the_branch_has_lost() -> None:
    source = FakeMirror(line=(OLD, NEW), parted=(COMMIT,))
    assert isinstance(check.run(order(CHECK, trigger=Trigger.MANUAL), tools(source=source)), Done)


def test_a_branch_that_has_gone_on_since_is_no_reason() -> None:
    assert isinstance(check.run(order(CHECK, commit=OLD), tools(source=FakeMirror(line=(OLD, NEW)))), Done)


def test_a_digest_beside_the_tag_is_warned_about_because_it_would_win() -> None:
    raw = b"image:\n  tag: old\n  digest: sha256:00\n"
    lines: list[str] = []
    outcome = check.run(order(CHECK), tools(lines.append, gitops=FakeMirror(files={"web/values-stg.yaml": raw})))
    assert done(outcome).detail.startswith("Everything that the run needs is there, but ")
    assert "digest" in done(outcome).detail
    assert any(line.startswith("warning: web/values-stg.yaml") for line in lines)


def test_a_person_s_word_goes_for_the_re_run_too() -> None:
    rivals = (Rival(run=3, commit=NEW, landed=True, begun=True),)
    again = order(CHECK, commit=OLD, rivals=rivals, trigger=Trigger.RERUN, insists=True)
    assert isinstance(check.run(again, tools(source=FakeMirror(line=(OLD, NEW)))), Done)
