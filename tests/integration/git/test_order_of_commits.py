"""Two worker machines, each with a copy of its own: a newer commit that only the other has stays the newer one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, Rival, StageName, Trigger, Wait
from tests.support.deploying import FakeCommits, landed, order, tools
from tests.support.factories import NOW, later
from tests.support.git import git
from tests.support.githttp import Fault, Forge
from workers.clients.git import Mirror
from workers.stages import check, commit

MAIN = "refs/heads/main"


def again(mirror: Mirror, stage: StageName, old: str, other: str, **fields: Any) -> Outcome:
    """Have a re-run of `old` looked at while run 3 has landed `other`."""
    rivals = (Rival(run=3, commit=other, landed=True, begun=True),)
    wanted = {"commit": old, "ref": MAIN, "trigger": Trigger.RERUN, "attempt": 2} | fields
    clients = tools(source=mirror, commits=FakeCommits(result=landed()))
    run: Callable[..., Outcome] = {StageName.CHECK: check.run, StageName.COMMIT: commit.run}[stage]
    return run(order(stage, rivals=rivals, **wanted), clients)


def prune(server: Forge) -> None:
    git(server.repo, "reflog", "expire", "--expire=now", "--all")
    git(server.repo, "gc", "--quiet", "--prune=now")


@pytest.fixture
def old(server: Forge, mirror: Mirror) -> str:
    """The commit that this machine has seen."""
    mirror.fetch_commit(server.head(), MAIN)
    return server.head()


both = pytest.mark.parametrize("stage", [StageName.CHECK, StageName.COMMIT])


@both
def test_a_newer_commit_that_only_another_machine_has_seen_goes_first(
    stage: StageName, server: Forge, mirror: Mirror, old: str
) -> None:
    outcome = again(mirror, stage, old, server.commit({"README.md": "newer\n"}))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.OLDER_COMMIT


@both
def test_a_newer_commit_of_another_branch_goes_first_too(
    stage: StageName, server: Forge, mirror: Mirror, old: str
) -> None:
    git(server.repo, "branch", "hotfix", old)
    outcome = again(mirror, stage, old, server.commit({"README.md": "newer\n"}, branch="hotfix"))
    assert isinstance(outcome, Fail)


def test_a_machine_that_has_seen_neither_finds_out(server: Forge, tmp_path: Path, old: str) -> None:
    newer = server.commit({"README.md": "newer\n"})
    outcome = again(server.mirror(tmp_path / "other"), StageName.COMMIT, old, newer)
    assert isinstance(outcome, Fail)


@both
def test_a_commit_that_was_forced_away_is_no_newer_one(
    stage: StageName, server: Forge, mirror: Mirror, old: str
) -> None:
    gone = server.commit({"README.md": "newer\n"})
    git(server.repo, "update-ref", MAIN, old)
    prune(server)
    assert isinstance(again(mirror, stage, old, gone), Done)


@both
def test_a_server_that_does_not_answer_leaves_it_open(
    stage: StageName, server: Forge, mirror: Mirror, old: str
) -> None:
    newer = server.commit({"README.md": "newer\n"})
    server.app.inject(Fault(service="upload", discovery=True, status=503, times=99))
    with pytest.raises(Unavailable) as caught:
        again(mirror, stage, old, newer)
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE


@both
def test_commits_that_are_here_are_compared_without_the_server(
    stage: StageName, server: Forge, mirror: Mirror, old: str
) -> None:
    newer = server.commit({"README.md": "newer\n"})
    mirror.fetch_commit(newer, MAIN)
    server.app.requests.clear()
    assert isinstance(again(mirror, stage, old, newer), Fail)
    assert isinstance(again(mirror, stage, newer, old), Done)
    assert server.app.requests == []


@both
def test_a_person_s_word_asks_nobody(stage: StageName, server: Forge, mirror: Mirror, old: str) -> None:
    newer = server.commit({"README.md": "newer\n"})
    server.app.requests.clear()
    assert isinstance(again(mirror, stage, old, newer, trigger=Trigger.MANUAL), Done)
    assert server.app.requests == []


def pushed(mirror: Mirror, commit: str, *rivals: Rival, before: Outcome | None = None) -> Outcome:
    """Have the push of a commit looked at; a minute later if there was a look before."""
    now = later(60) if before else NOW
    outputs = before.outputs if before else {}
    fields: dict[str, Any] = {"commit": commit, "ref": MAIN, "trigger": Trigger.PUSH, "attempt": 1}
    return check.run(order(StageName.CHECK, rivals=rivals, now=now, outputs=outputs, **fields), tools(source=mirror))


def twice(mirror: Mirror, commit: str, *rivals: Rival) -> Outcome:
    first = pushed(mirror, commit, *rivals)
    assert isinstance(first, Wait)
    return pushed(mirror, commit, *rivals, before=first)


def test_a_branch_that_was_set_back_at_once_ends_at_what_it_shows(server: Forge, mirror: Mirror, old: str) -> None:
    gone = server.commit({"config.yaml": "password: oops\n"})
    git(server.repo, "update-ref", MAIN, old)
    outcome = twice(mirror, gone)
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.REWRITTEN
    assert isinstance(pushed(mirror, old), Done), "the run of what was forced away is over"
    assert isinstance(twice(mirror, old, Rival(run=3, commit=gone, ref=MAIN, begun=True)), Done)


def test_a_branch_that_was_set_back_later_is_deployed_as_it_is(server: Forge, mirror: Mirror, old: str) -> None:
    gone = server.commit({"README.md": "worse\n"})
    assert isinstance(pushed(mirror, gone), Done)
    git(server.repo, "update-ref", MAIN, old)
    rivals = (Rival(run=3, commit=gone, ref=MAIN, landed=True, begun=True),)
    checked = twice(mirror, old, *rivals)
    assert isinstance(checked, Done)
    clients = tools(source=mirror, commits=FakeCommits(result=landed()))
    wanted: dict[str, Any] = {"commit": old, "ref": MAIN, "rivals": rivals}
    assert isinstance(commit.run(order(StageName.COMMIT, outputs=checked.outputs, **wanted), clients), Done)
    again = (Rival(run=4, commit=gone, ref=MAIN, landed=True, begun=True),)
    wanted["rivals"] = again
    assert isinstance(commit.run(order(StageName.COMMIT, outputs=checked.outputs, **wanted), clients), Fail)


@pytest.mark.parametrize("seen", [False, True])
def test_a_push_that_names_the_head_of_a_pull_request_is_none(
    server: Forge, mirror: Mirror, old: str, seen: bool
) -> None:
    git(server.repo, "branch", "request", old)
    request = server.commit({"Dockerfile": "FROM elsewhere\n"}, branch="request")
    git(server.repo, "update-ref", "refs/pull/7/head", request)
    git(server.repo, "update-ref", "-d", "refs/heads/request")
    if seen:
        mirror.fetch_commit(request)
    outcome = twice(mirror, request)
    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.detail) == (Reason.REWRITTEN, f"{MAIN} does not hold it")


def test_a_push_to_a_branch_that_is_not_there_is_none(server: Forge, mirror: Mirror, old: str) -> None:
    head = server.commit({"README.md": "newer\n"}, branch="other")
    git(server.repo, "update-ref", "-d", MAIN)
    outcome = twice(mirror, head)
    assert isinstance(outcome, Fail)
    assert outcome.detail == f"there is no {MAIN}"


def test_a_push_to_a_branch_that_has_gone_on_is_one(server: Forge, mirror: Mirror, old: str) -> None:
    server.commit({"README.md": "newer\n"})
    assert isinstance(pushed(mirror, old), Done)
