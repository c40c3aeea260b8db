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


class Place:
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
def place(tmp_path: Path) -> Iterator[Place]:
    with gitops_repo(tmp_path) as repo:
        yield Place(repo, tmp_path)


class Asking(Mirror):
    """Notes each fetch, which is long enough for a checkpoint, and each command that reads the copy."""

    def __init__(self, place: Place, folder: str) -> None:
        super().__init__(place.repo.access, place.folder / folder, reasons=GITOPS)
        self.fetches: list[str] = []
        self.commands: list[str] = []

    def _try(self, arguments: Sequence[str], stdin: bytes = b"") -> Output:
        self.commands.append(arguments[0])
        return super()._try(arguments, stdin)

    def fetch_branch(self, branch: str, *, checkpoint: Checkpoint = unchecked, **_: Any) -> str:
        self.fetches.append(branch)
        checkpoint()
        return super().fetch_branch(branch)

    def fetch_commit(self, commit: str, ref: str = "", *, checkpoint: Checkpoint = unchecked, **_: Any) -> str:
        if not self.has(commit):
            self.fetches.append(commit)
            checkpoint()
        return super().fetch_commit(commit, ref)


def drop(place: Place) -> str:
    place.git("reset", "--quiet", "--hard", place.second)
    place.force()
    return place.repo.push({"other.yaml": "x: 1\n"})


def squash(place: Place) -> str:
    place.git("reset", "--quiet", "--soft", place.first)
    return place.amend()


def test_a_value_that_a_rewritten_branch_has_kept_is_in_force(place: Place) -> None:
    """Nobody will ever see the run's own commit again."""
    revision = place.amend()
    outcome = place.look(revision)
    assert isinstance(outcome, Done)
    assert outcome.detail == (
        f"Argo CD applied {revision[:12]}, which has our value; the branch was rewritten without {place.ours[:12]}"
    )


def test_a_commit_below_the_head_of_a_rewritten_branch_counts_too(place: Place) -> None:
    revision = place.amend()
    place.repo.push({"other.yaml": "x: 1\n"})
    assert isinstance(place.look(revision), Done)


@pytest.mark.parametrize("reset", [True, False], ids=["the branch was set back", "it was not"])
def test_a_commit_from_before_ours_proves_nothing_although_it_has_our_value(place: Place, reset: bool) -> None:
    if reset:
        place.git("reset", "--quiet", "--hard", place.first)
        place.force()
    outcome = place.look(place.first)
    assert isinstance(outcome, Wait)
    assert "is not in force" in outcome.detail


def test_a_commit_that_was_itself_forced_away_proves_nothing(place: Place) -> None:
    away = place.amend()
    assert isinstance(place.look(away), Done)
    drop(place)
    assert isinstance(place.look(away), Wait)


@pytest.mark.parametrize(("rewrite", "kept"), [(drop, False), (squash, True)])
def test_it_is_the_value_that_counts_however_the_branch_was_rewritten(
    place: Place, rewrite: Callable[[Place], str], kept: bool
) -> None:
    assert isinstance(place.look(rewrite(place)), Done if kept else Wait)


def test_a_machine_that_never_saw_our_commit_tells_by_the_head(place: Place) -> None:
    """Its server may have lost the commit as well."""
    revision = place.amend()
    place.forget()
    assert isinstance(place.look(revision, place.another("second")), Done)
    place.repo.push({"other.yaml": "x: 1\n"})
    assert isinstance(place.look(place.first, place.another("third")), Wait)


def test_a_machine_that_never_saw_our_commit_fetches_it_to_compare(place: Place) -> None:
    drop(place)
    other = place.repo.push({FILE: f"image:\n  tag: {TAG}\nx: 1\n"})
    mirror = place.another("second")
    assert isinstance(place.look(place.first, mirror), Wait)
    assert isinstance(place.look(other, mirror), Done)


def test_one_look_fetches_the_branch_once(place: Place) -> None:
    revision = place.amend()
    mirror = Asking(place, "first")
    assert isinstance(place.look(revision, mirror), Done)
    assert mirror.fetches == ["main"]


def test_a_look_at_what_was_there_before_ours_takes_few_processes(place: Place) -> None:
    """It is what each run looks at after its push, until Argo CD has compared with it."""
    mirror = Asking(place, "first")
    assert isinstance(place.look(place.second, mirror), Wait)
    assert mirror.commands == ["rev-list", "merge-base", "merge-base", "merge-base"]


@pytest.mark.parametrize("error", [Cancelled, LeaseLost])
@pytest.mark.parametrize(
    ("known", "fetch"), [("", 1), ("", 2), ("branch", 1)], ids=["the revision", "our commit", "the head"]
)
def test_a_fetch_of_a_look_ends_when_the_work_is_to_stop(
    place: Place, error: type[PilotageError], known: str, fetch: int
) -> None:
    """It may take minutes, and a run that somebody has cancelled must not be judged any more."""
    revision = place.amend()
    mirror = Asking(place, "second")
    if known:
        Mirror.fetch_branch(mirror, "main")

    def stop() -> None:
        if len(mirror.fetches) == fetch:
            raise error

    with pytest.raises(error):
        place.look(revision, mirror, stop)


def test_a_file_that_was_moved_is_said_to_be_gone(place: Place) -> None:
    place.git("mv", FILE, "web/staging.yaml")
    outcome = place.look(place.repo.push({}))
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.CHANGE_REVERTED
    assert outcome.detail.endswith(f"{FILE} is not there any more")
