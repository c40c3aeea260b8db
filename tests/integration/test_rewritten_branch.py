"""Somebody rewrites the GitOps branch while a run waits for Argo CD, on a real Git server."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Landed
from orchestrator.domain.errors import Cancelled, LeaseLost, PilotageError
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Wait
from tests.support.deploying import FakeArgo, live, order, tools
from tests.support.factories import COMMIT, NOW, later
from tests.support.git import git
from tests.support.gitops import GitopsRepo, gitops_repo
from workers.clients.git import GITOPS, Mirror
from workers.clients.git_process import Checkpoint, Output, unchecked
from workers.gitops.commit import land
from workers.stages import sync
from workers.stages.wanted import change_of

FILE, TAG = "web/values-stg.yaml", f"sha-{COMMIT[:12]}"


class LandedBranch:
    """A branch with our commit on top of two others, of which the first had our value already."""

    def __init__(self, repo: GitopsRepo, folder: Path) -> None:
        self.repo, self.folder = repo, folder
        self.first = repo.push({FILE: f"image:\n  tag: {TAG}\n"})
        self.second = repo.push({FILE: "image:\n  tag: other\n"})
        self.mirror = self.another("first")
        change = change_of(order(StageName.COMMIT))
        (landed,) = land(self.mirror, "main", [change], author=Author(), deadline_s=30, checkpoint=lambda: None)
        assert isinstance(landed, Landed)
        self.ours = landed.commit
        self.git("pull", "--quiet", "--ff-only", "origin", "main")

    def another(self, name: str) -> Mirror:
        """Make the mirror of another machine."""
        return Mirror(self.repo.access, self.folder / name, reasons=GITOPS)

    def git(self, *arguments: str) -> str:
        return git(self.repo.clone, *arguments)

    def force(self) -> str:
        """Push what is in the clone over the branch."""
        self.git("push", "--quiet", "--force", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def amend(self) -> str:
        self.git("commit", "--quiet", "--amend", "--message", "in other words")
        return self.force()

    def forget(self) -> None:
        """Have the server lose what is in no branch."""
        bare = self.git("remote", "get-url", "origin")
        git(Path(bare), "reflog", "expire", "--expire=now", "--all")
        git(Path(bare), "gc", "--quiet", "--prune=now")

    def look(self, revision: str, mirror: Mirror | None = None, checkpoint: Checkpoint = unchecked) -> Any:
        """Look at an application that has applied `revision`."""
        outputs = {"gitops_commit": self.ours, "committed_at": NOW.isoformat()}
        given = order(StageName.SYNC, outputs=outputs, now=later(10))
        means = tools(argocd=FakeArgo([live(revision)]), gitops=mirror or self.mirror)
        return sync.run(given, replace(means, checkpoint=checkpoint))


@pytest.fixture
def branch(tmp_path: Path) -> Iterator[LandedBranch]:
    with gitops_repo(tmp_path) as repo:
        yield LandedBranch(repo, tmp_path)


class Asking(Mirror):
    """Notes each fetch, which is long enough for a checkpoint, and each command that reads the copy."""

    def __init__(self, branch: LandedBranch, folder: str) -> None:
        super().__init__(branch.repo.access, branch.folder / folder, reasons=GITOPS)
        self.fetches: list[str] = []
        self.commands: list[str] = []

    def _try(self, arguments: Sequence[str], stdin: bytes = b"", most: int = 0) -> Output:
        self.commands.append(arguments[0])
        return super()._try(arguments, stdin, most)

    def fetch_branch(self, branch: str, *, checkpoint: Checkpoint = unchecked, **_: Any) -> str:
        self.fetches.append(branch)
        checkpoint()
        return super().fetch_branch(branch)

    def fetch_commit(self, commit: str, ref: str = "", *, checkpoint: Checkpoint = unchecked, **_: Any) -> str:
        if not self.has(commit):
            self.fetches.append(commit)
            checkpoint()
        return super().fetch_commit(commit, ref)


def drop(branch: LandedBranch) -> str:
    branch.git("reset", "--quiet", "--hard", branch.second)
    branch.force()
    return branch.repo.push({"other.yaml": "x: 1\n"})


def squash(branch: LandedBranch) -> str:
    branch.git("reset", "--quiet", "--soft", branch.first)
    return branch.amend()


def test_a_value_that_a_rewritten_branch_has_kept_is_in_force(branch: LandedBranch) -> None:
    """Nobody will ever see the run's own commit again."""
    revision = branch.amend()
    outcome = branch.look(revision)
    assert isinstance(outcome, Done)
    assert outcome.detail == (
        f"Argo CD applied {revision[:12]}, which has our value; the branch was rewritten without {branch.ours[:12]}"
    )


def test_a_commit_below_the_head_of_a_rewritten_branch_counts_too(branch: LandedBranch) -> None:
    revision = branch.amend()
    branch.repo.push({"other.yaml": "x: 1\n"})
    assert isinstance(branch.look(revision), Done)


@pytest.mark.parametrize("reset", [True, False], ids=["the branch was set back", "it was not"])
def test_a_commit_from_before_ours_proves_nothing_although_it_has_our_value(
    branch: LandedBranch, reset: bool
) -> None:
    if reset:
        branch.git("reset", "--quiet", "--hard", branch.first)
        branch.force()
    outcome = branch.look(branch.first)
    assert isinstance(outcome, Wait)
    assert "is not in force" in outcome.detail


def test_a_commit_that_was_itself_forced_away_proves_nothing(branch: LandedBranch) -> None:
    away = branch.amend()
    assert isinstance(branch.look(away), Done)
    drop(branch)
    assert isinstance(branch.look(away), Wait)


@pytest.mark.parametrize(("rewrite", "kept"), [(drop, False), (squash, True)])
def test_it_is_the_value_that_counts_however_the_branch_was_rewritten(
    branch: LandedBranch, rewrite: Callable[[LandedBranch], str], kept: bool
) -> None:
    assert isinstance(branch.look(rewrite(branch)), Done if kept else Wait)


def test_a_machine_that_never_saw_our_commit_tells_by_the_head(branch: LandedBranch) -> None:
    """Its server may have lost the commit as well."""
    revision = branch.amend()
    branch.forget()
    assert isinstance(branch.look(revision, branch.another("second")), Done)
    branch.repo.push({"other.yaml": "x: 1\n"})
    assert isinstance(branch.look(branch.first, branch.another("third")), Wait)


def test_a_machine_that_never_saw_our_commit_fetches_it_to_compare(branch: LandedBranch) -> None:
    drop(branch)
    other = branch.repo.push({FILE: f"image:\n  tag: {TAG}\nx: 1\n"})
    mirror = branch.another("second")
    assert isinstance(branch.look(branch.first, mirror), Wait)
    assert isinstance(branch.look(other, mirror), Done)


def test_one_look_fetches_the_branch_once(branch: LandedBranch) -> None:
    revision = branch.amend()
    mirror = Asking(branch, "first")
    assert isinstance(branch.look(revision, mirror), Done)
    assert mirror.fetches == ["main"]


def test_a_look_at_what_was_there_before_ours_takes_few_processes(branch: LandedBranch) -> None:
    """It is what each run looks at after its push, until Argo CD has compared with it."""
    mirror = Asking(branch, "first")
    assert isinstance(branch.look(branch.second, mirror), Wait)
    assert mirror.commands == ["rev-list", "merge-base", "merge-base", "merge-base"]


@pytest.mark.parametrize("error", [Cancelled, LeaseLost])
@pytest.mark.parametrize(
    ("known", "fetch"), [("", 1), ("", 2), ("branch", 1)], ids=["the revision", "our commit", "the head"]
)
def test_a_fetch_of_a_look_ends_when_the_work_is_to_stop(
    branch: LandedBranch, error: type[PilotageError], known: str, fetch: int
) -> None:
    """It may take minutes, and a run that somebody has cancelled must not be judged any more."""
    revision = branch.amend()
    mirror = Asking(branch, "second")
    if known:
        Mirror.fetch_branch(mirror, "main")

    def stop() -> None:
        if len(mirror.fetches) == fetch:
            raise error

    with pytest.raises(error):
        branch.look(revision, mirror, stop)


def test_a_file_that_was_moved_is_said_to_be_gone(branch: LandedBranch) -> None:
    branch.git("mv", FILE, "web/staging.yaml")
    outcome = branch.look(branch.repo.push({}))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.CHANGE_REVERTED
    assert outcome.detail.endswith(f"{FILE} is not there any more")
