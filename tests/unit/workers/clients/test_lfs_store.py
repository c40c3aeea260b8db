"""The kept contents of Git LFS: proven before they have a name, and gone when nobody uses them."""

import hashlib
import os
import shutil
import time
from collections import namedtuple
from collections.abc import Generator
from pathlib import Path

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients import lfs_store
from workers.clients.lfs_pointer import LfsPointer
from workers.clients.lfs_store import IN_USE_SECONDS, KEPT_SECONDS, LfsStore, in_words, read_kept

DAY = 86400.0


def pointer_to(content: bytes) -> LfsPointer:
    return LfsPointer(hashlib.sha256(content).hexdigest(), len(content))


def parts_of(*parts: bytes) -> Generator[bytes, None, None]:
    yield from parts


@pytest.fixture
def store(tmp_path: Path) -> LfsStore:
    return LfsStore(tmp_path / "x.git.lfs")


def put(store: LfsStore, content: bytes, unused: float = 0.0) -> Path:
    """Keep a content that was used so many seconds ago."""
    pointer = pointer_to(content)
    store.keep(pointer, parts_of(content), "x")
    path, then = store.path(pointer), time.time() - unused
    os.utime(path, (then, then))
    return path


def age(store: LfsStore) -> None:
    """Have the last tidying be long ago."""
    os.utime(store.folder.parent / "lfs.tidied", (0, 0))


def test_a_content_that_is_proven_is_kept(store: LfsStore) -> None:
    pointer = pointer_to(b"one two")
    assert not store.has(pointer)
    store.keep(pointer, parts_of(b"one", b"", b" two"), "x")
    assert store.has(pointer)
    assert b"".join(read_kept(store.path(pointer), pointer.size)) == b"one two"


@pytest.mark.parametrize(
    ("parts", "kind", "words"),
    [
        ((b"one", b" TWO"), Refused, "has the SHA-256"),
        ((b"one two", b"!"), Refused, "has more than the 7 bytes"),
        ((b"one",), Unavailable, "ended after 3 of 7 bytes"),
        ((), Unavailable, "ended after 0 of 7 bytes"),
    ],
)
def test_any_other_content_leaves_nothing(
    store: LfsStore, parts: tuple[bytes, ...], kind: type[Exception], words: str
) -> None:
    pointer = pointer_to(b"one two")
    with pytest.raises(kind, match=words):
        store.keep(pointer, parts_of(*parts), "logo.png: what x sent")
    assert not store.has(pointer)
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_a_kept_file_of_another_size_does_not_count(store: LfsStore) -> None:
    pointer = pointer_to(b"one two")
    put(store, b"one two").write_bytes(b"one")
    assert not store.has(pointer)
    with pytest.raises(Unavailable, match="was taken away"):
        list(read_kept(store.path(pointer), pointer.size))
    store.keep(pointer, parts_of(b"one two"), "x")
    assert store.has(pointer)


def test_a_content_that_was_taken_away_is_fetched_anew(store: LfsStore, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        list(read_kept(tmp_path / "nothing", 3))
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert list(read_kept(put(store, b""), 0)) == []


def test_what_no_build_used_for_two_weeks_goes(store: LfsStore) -> None:
    old, used = put(store, b"old", KEPT_SECONDS + DAY), put(store, b"used", KEPT_SECONDS + DAY)
    assert store.has(pointer_to(b"used"))
    store.tidy()
    assert (old.exists(), used.exists()) == (False, True)


def test_of_too_much_what_was_not_used_for_longest_goes(store: LfsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lfs_store, "KEPT_BYTES", 25)
    paths = [put(store, bytes([number]) * 10, number * DAY) for number in range(4)]
    store.tidy()
    assert [path.exists() for path in paths] == [True, True, False, False]


def test_all_repositories_together_are_bounded(
    store: LfsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lfs_store, "KEPT_BYTES", 25)
    other = LfsStore(tmp_path / "gone.git.lfs")
    paths = [put((store, other)[number % 2], bytes([number]) * 10, number * DAY) for number in range(4)]
    bystander = tmp_path / "gone.git" / "objects"
    bystander.mkdir(parents=True)
    (bystander / "pack").write_bytes(b"x" * 100)
    store.tidy()
    assert [path.exists() for path in paths] == [True, True, False, False]
    assert (bystander / "pack").exists()
    assert not other.is_due, "one tidying is for all"


def test_what_a_build_may_be_on_its_way_to_stays(store: LfsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lfs_store, "KEPT_BYTES", 5)
    paths = [put(store, bytes([number]) * 10, IN_USE_SECONDS / 2) for number in range(3)]
    store.tidy()
    assert all(path.exists() for path in paths)


def test_what_killed_processes_left_goes(store: LfsStore) -> None:
    put(store, b"x")
    fresh, left = store.folder / "a.part", store.folder / "b.part"
    fresh.touch()
    left.touch()
    os.utime(left, (0, 0))
    store.tidy()
    assert (fresh.exists(), left.exists()) == (True, False)


def test_it_is_tidied_once_an_hour_and_only_where_there_is_something(store: LfsStore) -> None:
    assert not store.is_due
    store.tidy()
    assert not store.folder.exists()
    put(store, b"x")
    assert store.is_due
    store.tidy()
    assert not store.is_due
    old = put(store, b"old", KEPT_SECONDS + DAY)
    store.tidy()
    assert old.exists()
    age(store)
    store.tidy()
    assert not old.exists()


def test_what_does_not_fit_is_told_before_it_is_fetched(store: LfsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # shutil's own kind
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, 10**9))
    store.check_room(7 * 10**8)
    with pytest.raises(Unavailable, match=r"objects of 2\.0 GB do not fit, 1\.0 GB are free") as caught:
        store.check_room(2 * 10**9)
    assert caught.value.reason is Reason.STATE_UNWRITABLE


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (120_000_000, "120 MB"),
        (999_600, "1.0 MB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes_are_told_as_people_do(size: int, words: str) -> None:
    assert in_words(size) == words
