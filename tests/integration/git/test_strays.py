"""Copies of repositories that no configuration names: of submodules, and of apps that are gone."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.domain.errors import Unavailable
from tests.support.githttp import Forge
from workers.clients.git import SOURCE, Mirror, mirrors_in
from workers.clients.git_keep import KeptCopy
from workers.clients.git_lock import exclusive
from workers.tidying import Tidier

MONTH = 31 * 86400.0


@pytest.fixture
def stray(server: Forge, mirror: Mirror) -> Mirror:
    """A copy that a build has used a month ago, with contents of Git LFS."""
    mirror.fetch_commit(server.head())
    mirror.lfs.folder.mkdir()
    (mirror.lfs.folder / "content").write_bytes(b"x")
    unused_for(mirror, MONTH)
    return mirror


def unused_for(mirror: Mirror, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(beside(mirror, ".used"), (at, at))


def beside(mirror: Mirror, ending: str) -> Path:
    return mirror.folder.with_name(mirror.folder.name + ending)


def test_one_that_no_build_has_used_for_a_month_goes_and_is_made_anew_for_the_next(
    server: Forge, stray: Mirror
) -> None:
    assert stray.forget()
    assert [path.name for path in stray.folder.parent.iterdir()] == [f"{stray.folder.name}.lock"]
    stray.fetch_commit(server.head())
    assert stray.read(server.head(), "README.md") == b"hello\n"
    assert not stray.forget()


def test_a_build_that_finds_its_commit_there_has_used_it(server: Forge, stray: Mirror) -> None:
    server.app.requests.clear()
    stray.fetch_commit(server.head())
    assert not server.app.requests
    assert not stray.forget()


def test_one_whose_use_nobody_has_noted_is_kept_for_another_month(stray: Mirror) -> None:
    beside(stray, ".used").unlink()
    assert not stray.forget()
    unused_for(stray, MONTH)
    assert stray.forget()


def test_one_that_somebody_fetches_stays(server: Forge, stray: Mirror) -> None:
    with exclusive(beside(stray, ".lock"), 1.0):
        assert not stray.forget()
    assert stray.has(server.head())


@pytest.mark.parametrize("stale", [False, True])
def test_one_that_a_build_has_just_begun_to_use_stays(
    server: Forge, stray: Mirror, stale: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process looks for strays between the build's look at the copy and its reading; ``stale``: it had read
    when the copy was used before that."""
    has, other, done = stray.has, server.mirror(stray.folder.parent.parent), []

    def looked(commit: str) -> bool:
        found = has(commit)
        if stale:
            unused_for(stray, MONTH)
        done.append(other.forget())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stray, "has", looked)
        stray.fetch_commit(server.head())
    assert done == [stale]
    if stale:
        with pytest.raises(Unavailable, match="made again"), stray.snapshot(server.head()):
            pass
        stray.fetch_commit(server.head())
    with stray.snapshot(server.head()) as files:
        assert files.read("README.md") == b"hello\n"


def test_one_that_is_used_while_its_lock_is_awaited_stays(
    server: Forge, stray: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def late(path: Path, timeout: float) -> Iterator[None]:
        server.mirror(stray.folder.parent.parent).fetch_commit(server.head())
        with exclusive(path, timeout):
            yield

    monkeypatch.setattr("workers.clients.git_keep.exclusive", late)
    assert not stray.forget()
    assert stray.has(server.head())


def test_one_whose_removal_was_killed_is_removed_by_the_next_who_looks(
    stray: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, **_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(SystemExit):
            stray.forget()
    folder = stray.folder.parent
    assert (stray.folder.exists(), len(list(folder.glob("*.damaged")))) == (False, 1)
    [found] = mirrors_in(folder.parent)
    assert found == stray.folder
    assert KeptCopy(found, SOURCE).forget()
    assert [path.name for path in folder.iterdir()] == [f"{stray.folder.name}.lock"]
    assert not mirrors_in(folder.parent)


def test_a_worker_looks_for_them_once_an_hour(stray: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    Tidier(lambda: [lambda: stray]).begin(())
    assert not [thread for thread in threading.enumerate() if thread.name == "tidy"], "it has just begun"
    monkeypatch.setattr("workers.tidying.STRAYS_EVERY", 0.0)
    Tidier(lambda: [lambda: stray]).begin(())
    for thread in threading.enumerate():
        if thread.name == "tidy":
            thread.join(30)
    assert not stray.folder.exists()
