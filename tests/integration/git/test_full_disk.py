"""A disk of ours that is full, or only to be read: told as what it is, tried again, and no copy is lost by it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.domain.apps import Author
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.disks import SmallDisk, small_disk
from tests.support.endless import endless_server
from tests.support.githttp import Forge
from workers.clients import git_keep
from workers.clients.git import Draft, Mirror, Signing
from workers.clients.lfs_store import SPARE

DRAFT = Draft(path="new.yaml", mode="100644", content=b"a: 1\n", message="change", date=1_700_000_000)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


def write(mirror: Mirror, parent: str, signing: Signing | None = None) -> list[str]:
    author = Author(name="Bot", email="bot@example.com")
    return mirror.write(parent, [DRAFT], branch="main", author=author, signing=signing)


def test_a_full_disk_is_told_and_a_copy_on_it_goes_on_when_there_is_room(server: Forge, disk: SmallDisk) -> None:
    mirror = server.mirror(disk.path)
    before = mirror.fetch_branch("main")
    newer = server.commit({"big": os.urandom(300_000)})
    disk.fill()
    for attempt in (lambda: mirror.fetch_branch("main"), lambda: write(mirror, before)):
        with pytest.raises(Unavailable, match=rf"{mirror.folder} on .*: the disk is full") as caught:
            attempt()
        assert caught.value.reason is Reason.STATE_UNWRITABLE
    assert mirror.has(before)
    disk.make_room()
    assert mirror.fetch_branch("main") == newer


def test_a_disk_without_room_for_a_copy_is_told(server: Forge, disk: SmallDisk) -> None:
    server.commit({"big": os.urandom(5_000_000)})
    with pytest.raises(Unavailable, match="the disk is full") as caught:
        server.mirror(disk.path).fetch_branch("main")
    assert caught.value.reason is Reason.STATE_UNWRITABLE


def test_a_disk_that_is_only_to_be_read_is_told(server: Forge, disk: SmallDisk) -> None:
    mirror = server.mirror(disk.path)
    mirror.fetch_branch("main")
    disk.let_be("ro")

    def land() -> None:
        with mirror.landing("main", 5.0):
            pytest.fail("nothing can be written")

    for attempt in (lambda: mirror.fetch_branch("main"), land):
        with pytest.raises(Unavailable, match="Read-only file system") as caught:
            attempt()
        assert caught.value.reason is Reason.STATE_UNWRITABLE
    disk.let_be("rw")
    assert mirror.fetch_branch("main") == server.head()


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for words of Git: a command with a file of its name there says these, as on a full disk."""
    words, real = tmp_path / "words", shutil.which("git")
    words.mkdir()
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nfor word in "$@"; do\n'
        f'  if [ -f "{words}/$word" ]; then cat "{words}/$word" >&2; exit 128; fi\ndone\n'
        f'exec "{real}" "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return words


def test_what_cannot_be_written_is_not_taken_for_damage(server: Forge, mirror: Mirror, full: Path) -> None:
    mirror.fetch_branch("main")
    kept = (mirror.folder / "HEAD").stat().st_ino
    (full / "fetch").write_text("fatal: Unable to create '/s/x.git/packed-refs.lock': No space left on device\n")
    with pytest.raises(Unavailable) as caught:
        mirror.fetch_branch("main")
    assert caught.value.reason is Reason.STATE_UNWRITABLE
    assert (mirror.folder / "HEAD").stat().st_ino == kept


def test_a_commit_that_cannot_be_written_is_no_key_that_cannot_sign(
    server: Forge, mirror: Mirror, full: Path
) -> None:
    head = mirror.fetch_branch("main")
    (full / "commit-tree").write_text("error: unable to create temporary file: No space left on device\n")
    with pytest.raises(Unavailable) as caught:
        write(mirror, head, Signing(format="ssh", key="/no/such/key"))
    assert caught.value.reason is Reason.STATE_UNWRITABLE


def test_a_head_that_cannot_be_noted_stops_nothing(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    notes = mirror.folder / "pilotage-heads"
    shutil.rmtree(notes)
    notes.write_text("in the way of the notes\n")
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer


@pytest.mark.parametrize("timeout", [1.5, 60.0])
def test_a_server_that_sends_without_end_leaves_room_to_others(
    server: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    """It is ended in time, or when little is left; and what came is gone at once."""
    with endless_server() as url:
        mirror = server.mirror(tmp_path / "state", url=url)
        if timeout > 2:
            nearly_full = SimpleNamespace(total=SPARE * 100, free=SPARE - 1)
            monkeypatch.setattr(git_keep.shutil, "disk_usage", lambda _: nearly_full)
        with pytest.raises(Unavailable) as caught:
            mirror.fetch_branch("main", timeout=timeout)
    assert caught.value.reason is (Reason.STATE_UNWRITABLE if timeout > 2 else Reason.SOURCE_UNAVAILABLE)
    assert sum(path.stat().st_size for path in mirror.folder.rglob("*") if path.is_file()) < 1_000_000
