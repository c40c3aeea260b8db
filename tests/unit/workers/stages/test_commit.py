"""Having the change committed: once, by whoever writes."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.changes import Rejected, Withdrawn
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Rival, StageName, Trigger, Wait
from tests.support.deploying import (
    GITOPS_COMMIT,
    IMAGE,
    FakeCommits,
    FakeMirror,
    landed,
    order,
    tools,
)
from tests.support.factories import COMMIT, later
from tests.support.registries import DIGEST, FakeRegistry
from workers.gitops.commit import InDoubt
from workers.stages import commit
from workers.stages.wanted import change_of

STAGE = StageName.COMMIT
TAG_OF_RUN = f"sha-{COMMIT[:12]}"


def work(monkeypatch: pytest.MonkeyPatch, results: Any) -> None:
    """Have `land` answer; its own tests are with a real Git server."""

    def land(*_: Any, **__: Any) -> Any:
        if isinstance(results, Exception):
            raise results
        return results

    monkeypatch.setattr(commit, "land", land)


def test_the_writer_lands_its_own_change_and_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    other = change_of(order(STAGE, id=5))
    queue = FakeCommits(others=(other,))
    work(monkeypatch, [landed(5), landed(7)])
    outcome = commit.run(order(STAGE), tools(commits=queue))
    assert isinstance(outcome, Done)
    assert (outcome.outputs["gitops_commit"], outcome.outputs["previous"]) == (GITOPS_COMMIT, ["old"])
    assert outcome.detail == f"Committed as {GITOPS_COMMIT[:12]}"
    assert [one.run for one in queue.finished] == [5, 7]
    assert queue.given_back == []


def test_while_another_writes_the_run_waits_without_a_worker() -> None:
    outcome = commit.run(order(STAGE), tools(commits=FakeCommits(free=False)))
    assert isinstance(outcome, Wait)
    assert outcome.reason is Reason.COMMIT_QUEUED


def test_a_change_that_another_writer_landed_is_done() -> None:
    outcome = commit.run(order(STAGE), tools(commits=FakeCommits(result=landed(), free=False)))
    assert isinstance(outcome, Done)


@pytest.mark.parametrize(
    ("previous", "noop"), [((), True), (("old",), False)], ids=["a person's", "an earlier try's"]
)
def test_a_value_that_is_there_already_is_said_to_be_reused(previous: tuple[str, ...], noop: bool) -> None:
    """What an earlier try committed has changed something, so that Argo CD has to sync it."""
    result = landed(created=False, previous=previous)
    outcome = commit.run(order(STAGE), tools(commits=FakeCommits(result=result)))
    assert isinstance(outcome, Done)
    assert (outcome.reason, outcome.reused, outcome.outputs["noop"]) == (Reason.ALREADY_COMMITTED, True, noop)


def test_a_key_that_cannot_be_edited_fails_with_file_and_line() -> None:
    result = Rejected(run=7, detail="web/values-stg.yaml:3: the value is an alias")
    outcome = commit.run(order(STAGE), tools(commits=FakeCommits(result=result)))
    assert outcome == Fail(reason=Reason.VALUES_KEY_REFUSED, detail=result.detail)


def test_a_batch_that_could_not_be_pushed_waits_again(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeCommits()
    work(monkeypatch, Unavailable(Reason.GITOPS_UNAVAILABLE, "timeout"))
    with pytest.raises(Unavailable):
        commit.run(order(STAGE), tools(commits=queue))
    assert queue.given_back == [7]


def test_a_batch_that_may_have_been_pushed_is_looked_for_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = FakeCommits()
    work(monkeypatch, InDoubt(Reason.GITOPS_UNAVAILABLE, "timeout"))
    with pytest.raises(Unavailable):
        commit.run(order(STAGE), tools(commits=queue))
    assert queue.given_back == []


def test_a_change_that_is_not_wanted_any_more_leaves_the_end_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    work(monkeypatch, [Withdrawn(run=7)])
    outcome = commit.run(order(STAGE), tools(commits=FakeCommits()))
    assert isinstance(outcome, Wait)
    assert outcome.after is not None, "nothing else may wake it"


def test_a_newer_commit_that_was_deployed_meanwhile_goes_first() -> None:
    new = "b" * 40
    rivals = (Rival(run=9, commit=new, landed=True, begun=True),)
    clients = tools(source=FakeMirror(line=(COMMIT, new)))
    outcome = commit.run(order(STAGE, rivals=rivals), clients)
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.OLDER_COMMIT


def test_a_newer_commit_from_which_a_person_went_back_goes_first_all_the_same() -> None:
    old, new = "0" * 40, "b" * 40
    rivals = (Rival(run=10, commit=old, landed=True, begun=True), Rival(run=9, commit=new, landed=True, begun=True))
    outcome = commit.run(order(STAGE, rivals=rivals), tools(source=FakeMirror(line=(old, COMMIT, new))))
    assert outcome == Fail(reason=Reason.OLDER_COMMIT, detail="run 9 has deployed a newer commit")


OTHER = "b" * 40


@pytest.mark.parametrize(
    ("rival", "outputs"),
    [
        (Rival(run=9, commit=OTHER, begun=True), {}),
        (Rival(run=9, commit=COMMIT, landed=True, begun=True), {}),
        (Rival(run=9, commit="0" * 40, landed=True, begun=True), {}),
        (Rival(run=9, commit=OTHER, landed=True, begun=True), {"dropped": [9]}),
    ],
    ids=["not deployed", "the same commit", "an older commit", "a commit that the branch has lost"],
)
def test_nothing_else_goes_first(rival: Rival, outputs: dict[str, Any]) -> None:
    clients = tools(source=FakeMirror(line=("0" * 40, COMMIT, OTHER)), commits=FakeCommits(result=landed()))
    assert isinstance(commit.run(order(STAGE, rivals=(rival,), outputs=outputs), clients), Done)


PERSONS_WORD: list[dict[str, Any]] = [
    {"trigger": Trigger.MANUAL},
    {"trigger": Trigger.ROLLBACK},
    {"trigger": Trigger.RERUN, "insists": True},
]


@pytest.mark.parametrize("word", PERSONS_WORD, ids=str)
def test_a_person_goes_back_from_what_came_before(word: dict[str, Any]) -> None:
    rivals = (Rival(run=6, commit="b" * 40, landed=True, begun=True),)
    outcome = commit.run(order(STAGE, rivals=rivals, **word), tools(commits=FakeCommits(result=landed())))
    assert isinstance(outcome, Done)


@pytest.mark.parametrize("word", PERSONS_WORD, ids=str)
def test_a_person_does_not_go_back_from_what_came_later(word: dict[str, Any]) -> None:
    rivals = (Rival(run=9, commit="b" * 40, landed=True, begun=True),)
    outcome = commit.run(order(STAGE, rivals=rivals, **word), tools(commits=FakeCommits(result=landed())))
    assert outcome == Fail(reason=Reason.SUPERSEDED, detail="run 9, which came later, has been deployed")


@pytest.mark.parametrize(("trigger", "goes_on"), [(Trigger.MANUAL, True), (Trigger.ROLLBACK, False)])
def test_what_was_approved_may_have_been_approved_later_still(trigger: Trigger, goes_on: bool) -> None:
    rivals = (Rival(run=9, commit="b" * 40, landed=True, begun=True),)
    gated = order(STAGE, rivals=rivals, trigger=trigger)
    gated = replace(gated, environment=replace(gated.environment, approval=True))
    outcome = commit.run(gated, tools(commits=FakeCommits(result=landed())))
    assert isinstance(outcome, Done) is goes_on


def test_a_change_that_is_in_the_queue_is_not_compared_again() -> None:
    """The source need not answer for it, and what it waits behind cannot be overtaken."""
    new = "b" * 40
    rivals = (Rival(run=9, commit=new, landed=True, begun=True),)
    source = FakeMirror(line=(COMMIT, new))
    queue = FakeCommits(result=landed(), queued=True)
    assert isinstance(commit.run(order(STAGE, rivals=rivals), tools(source=source, commits=queue)), Done)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, TAG_OF_RUN),
        ({"environment_digest_key": "image.digest"}, DIGEST),
        ({"environment_value": "digest"}, DIGEST),
    ],
)
def test_an_image_that_was_deleted_while_the_run_waited_is_not_committed(keys: dict[str, str], wanted: str) -> None:
    queue = FakeCommits(result=landed())
    late = order(STAGE, now=later(300), **keys)
    outcome = commit.run(late, tools(commits=queue))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.IMAGE_MISSING
    assert outcome.detail == f"plate/plate-web has no {wanted} any more; a retention rule may have deleted it"
    assert queue.submitted == []
    there = FakeRegistry(tags={wanted: (DIGEST, {})})
    assert isinstance(commit.run(late, tools(commits=queue, registry=there)), Done)


@pytest.mark.parametrize(("seconds", "queued"), [(299, False), (9000, True)])
def test_an_image_that_was_just_pushed_or_a_change_that_is_in_the_queue_is_not_asked_for(
    seconds: float, queued: bool
) -> None:
    queue = FakeCommits(result=landed(), queued=queued)
    assert isinstance(commit.run(order(STAGE, now=later(seconds)), tools(commits=queue)), Done)


def test_what_the_change_says() -> None:
    change = change_of(
        order(
            STAGE, title="인사말 변경", environment_digest_key="image.digest", environment_repository_key="image.repo"
        )
    )
    assert [(edit.path, edit.value) for edit in change.edits] == [
        ("image.tag", f"sha-{COMMIT[:12]}"),
        ("image.digest", DIGEST),
        ("image.repo", "harbor.example.com/plate/plate-web"),
    ]
    assert change.message == f"deploy(plate-web): stg to sha-{COMMIT[:12]}\n\n인사말 변경"
    assert dict(change.trailers) == {
        "Pilotage-Run": "7",
        "Pilotage-Source-Commit": COMMIT,
        "Pilotage-Image": f"{IMAGE}@{DIGEST}",
        "Pilotage-Url": "https://pilotage.example.com/runs/7",
    }


@pytest.mark.parametrize(("worth", "value"), [("tag", f"sha-{COMMIT[:12]}"), ("image", IMAGE), ("digest", DIGEST)])
def test_what_the_key_is_set_to(worth: str, value: str) -> None:
    assert change_of(order(STAGE, environment_value=worth)).edits[0].value == value


def test_a_title_does_not_act_in_the_gitops_repository() -> None:
    change = change_of(order(STAGE, title="Fixes #12 for @mina [skip ci]"))
    assert change.message.partition("\n\n")[2] == "Fixes #\u206012 for @\u2060mina [\u2060skip ci]"
