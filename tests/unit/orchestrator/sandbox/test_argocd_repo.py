"""The clone that the stand-in of Argo CD reads: names to commits, files, and what Git refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.apps import GitAccess
from orchestrator.sandbox import argocd_repo
from orchestrator.sandbox.argocd_repo import Clone, GitError
from tests.support.git import git


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "a file.yaml").write_text("a: 1\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "tag", "-a", "v1", "--message", "v1")
    return folder


@pytest.fixture
def repository(tmp_path: Path, origin: Path) -> Iterator[Clone]:
    made = Clone(tmp_path / "clone.git", GitAccess(url=origin.as_uri()))
    made.fetch()
    yield made
    made.close()


def test_a_branch_a_tag_the_default_branch_and_a_commit_are_resolved(origin, repository):
    head = git(origin, "rev-parse", "HEAD")
    for name in ("main", "refs/heads/main", "v1", "HEAD", "", head):
        assert repository.resolve(name) == head


def test_an_unknown_name_is_told_as_argo_cd_tells_it(repository):
    with pytest.raises(GitError, match="unable to resolve 'release' to a commit SHA"):
        repository.resolve("release")


def test_files_are_read_at_a_commit(origin, repository):
    head = repository.resolve("main")
    assert repository.read(head, "a file.yaml") == b"a: 1\n"
    assert repository.read(head, "none.yaml") is None
    assert repository.read(head, "") is None, "a folder is no file"
    assert repository.read(head, "two\nlines") is None
    assert repository.identity(head, "a file.yaml") == git(origin, "rev-parse", "HEAD:a file.yaml")
    assert repository.identity(head, "") == git(origin, "rev-parse", "HEAD^{tree}")
    assert repository.identity(head, "none") == ""


def test_a_new_commit_is_seen_after_a_fetch_and_a_forced_one_too(origin, repository):
    git(origin, "commit", "--quiet", "--amend", "--message", "other")
    head = git(origin, "rev-parse", "HEAD")
    repository.fetch(max_age=60)
    assert repository.resolve("main") != head
    repository.fetch()
    assert repository.resolve("main") == head


def test_a_file_beyond_the_bound_is_refused(repository, monkeypatch):
    monkeypatch.setattr(argocd_repo, "MAX_FILE", 2)
    with pytest.raises(GitError, match="is larger than 2 bytes"):
        repository.read(repository.resolve("main"), "a file.yaml")


def test_a_remote_that_is_not_there(tmp_path):
    with pytest.raises(GitError):
        Clone(tmp_path / "clone.git", GitAccess(url=(tmp_path / "none").as_uri())).fetch()


def test_a_remote_without_commits_has_no_head(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    made = Clone(tmp_path / "clone.git", GitAccess(url=empty.as_uri()))
    made.fetch()
    with pytest.raises(GitError, match="unable to resolve 'HEAD'"):
        made.resolve("HEAD")
