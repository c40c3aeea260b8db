"""One mirror for many workers, after crashes, and after damage."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.domain.apps import Author, GitAccess
from orchestrator.domain.errors import Cancelled, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git, raw_git
from tests.support.git_processes import NOBODY, cancel
from tests.support.githttp import Forge
from tests.support.waiting import until
from workers.clients.git import Draft, Mirror
from workers.clients.git_access import local_env
from workers.clients.git_lock import exclusive
from workers.clients.git_process import start, unchecked
from workers.tidying import Tidier


def test_several_workers_make_and_use_one_mirror_at_once(server: Forge, tmp_path: Path) -> None:
    for number in range(4):
        server.commit({"f": str(number)}, branch=f"b{number}")

    def work(number: int) -> str:
        return server.mirror(tmp_path / "state").fetch_branch(f"b{number % 4}")

    with ThreadPoolExecutor(8) as pool:
        heads = list(pool.map(work, range(16)))
    assert heads == [server.head(f"b{number % 4}") for number in range(16)]
    assert sorted(path.suffix for path in (tmp_path / "state" / "mirrors").iterdir()) == [".git", ".lock"]


def test_a_fetch_waits_for_another_one_and_gives_up_in_time(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    with exclusive(mirror.folder.with_name(mirror.folder.name + ".lock"), 1.0):
        with pytest.raises(Unavailable, match="another fetch"):
            mirror.fetch_branch("main", timeout=0.2)
        with pytest.raises(Cancelled):
            mirror.fetch_branch("main", timeout=5.0, checkpoint=cancel)
    assert mirror.fetch_branch("main", timeout=5.0) == server.head()


def test_locks_that_killed_processes_left_do_not_stop_the_next_fetch(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    own = next(path for path in (mirror.folder / "refs" / "pilotage" / "branch").iterdir())
    for lock in (own.with_name(own.name + ".lock"), mirror.folder / "packed-refs.lock", mirror.folder / "HEAD.lock"):
        lock.touch()
    (mirror.folder / "fast_import_crash_12").touch()
    for ending in (".0123.new", ".4567.damaged"):
        mirror.folder.with_name(mirror.folder.name + ending).mkdir()
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer
    assert list(mirror.folder.rglob("*.lock")) + list(mirror.folder.glob("fast_import*")) == []
    assert sorted(path.suffix for path in mirror.folder.parent.iterdir()) == [".git", ".lock"]


def test_what_killed_commands_left_of_packs_and_objects_is_removed(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    left = _unfinished(mirror.folder)
    kept = set(mirror.folder.glob("objects/*/*")) - set(left)
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in kept)


def test_a_landing_may_be_writing_what_looks_unfinished(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    young = _unfinished(mirror.folder)
    with mirror.landing("main", 1.0):
        server.commit({"README.md": "newer\n"})
        mirror.fetch_branch("main")
        assert all(path.exists() for path in young)
        for path in young:
            os.utime(path, (0, 0))
        mirror.fetch_branch("main")
        assert not any(path.exists() for path in young), "no command takes that long"


def test_fetches_that_are_killed_one_after_another_do_not_fill_the_disk(mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    for _ in range(3):
        mirror._alone(lambda: _kill_in_the_middle(mirror), 5.0, unchecked)
        assert len(list(mirror.folder.rglob("tmp_*"))) == 1


def _kill_in_the_middle(mirror: Mirror) -> None:
    """Be a fetch that is killed when it has begun to write a pack."""
    before = set(mirror.folder.rglob("tmp_*"))
    with start(mirror.folder, ["index-pack", "--stdin"], env=local_env()) as process:
        assert process.stdin is not None
        process.stdin.write(b"PACK\0\0\0\2\0\0\0\1")
        process.stdin.flush()
        until(lambda: set(mirror.folder.rglob("tmp_pack_*")) - before, "a pack that is being written")


def _unfinished(folder: Path) -> list[Path]:
    """Leave files as Git names them while it writes."""
    loose = folder / "objects" / "17"
    loose.mkdir(exist_ok=True)
    names = ("tmp_pack_a", "tmp_idx_a", "tmp_rev_a", ".tmp-7-pack-a.pack")
    packs = [folder / "objects" / "pack" / name for name in names]
    for path in (*packs, loose / "tmp_obj_a"):
        path.touch()
    return [*packs, loose / "tmp_obj_a"]


def _cut_head(folder: Path) -> None:
    (folder / "HEAD").write_bytes(b"")


def _cut_refs(folder: Path) -> None:
    for ref in (folder / "refs" / "pilotage" / "branch").iterdir():
        ref.write_bytes(b"")


def _cut_objects(folder: Path) -> None:
    for path in (folder / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def _lose_objects(folder: Path) -> None:
    for path in (folder / "objects").rglob("*"):
        if path.is_file():
            path.unlink()


def _cut_a_file(folder: Path) -> None:
    """Leave the half of it, as a machine that lost its power does."""
    path = max(
        (path for path in (folder / "objects").rglob("*") if path.is_file()), key=lambda one: one.stat().st_size
    )
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def _lose_the_tree(folder: Path) -> None:
    ref = next((folder / "refs" / "pilotage" / "branch").iterdir())
    tree = git(folder, "rev-parse", f"{ref.read_text('ascii').strip()}^{{tree}}")
    (folder / "objects" / tree[:2] / tree[2:]).unlink()


def _lose_half(folder: Path) -> None:
    (folder / "HEAD").unlink()


DAMAGES = [_cut_head, _cut_refs, _cut_objects, _lose_objects, _lose_half]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mirror_is_made_again_by_the_next_fetch(server: Forge, mirror: Mirror, damage) -> None:  # type: ignore[no-untyped-def]
    mirror.fetch_branch("main")
    damage(mirror.folder)
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer
    assert mirror.read(newer, "web/app.py") == b"print()\n"


@pytest.mark.parametrize("damage", [_cut_head, _cut_objects, _cut_a_file, _lose_objects, _lose_the_tree, _lose_half])
def test_reading_a_damaged_mirror_asks_for_a_retry_that_then_works(server: Forge, mirror: Mirror, damage) -> None:  # type: ignore[no-untyped-def]
    words = "".join(f"{number}\n" for number in range(2000)).encode()
    server.commit({"words.txt": words})
    commit = mirror.fetch_branch("main")
    damage(mirror.folder)
    with pytest.raises(Unavailable) as caught:
        mirror.read(commit, "words.txt")
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert "the local copy" in caught.value.evidence
    mirror.fetch_commit(commit, "main")
    assert mirror.read(commit, "words.txt") == words


def test_commits_are_not_compared_over_a_gap(server: Forge, mirror: Mirror) -> None:
    first, between, last = server.head(), *(server.commit({"f": text}) for text in "ab")
    mirror.fetch_branch("main")
    (mirror.folder / "objects" / between[:2] / between[2:]).unlink()
    with pytest.raises(Unavailable, match="the local copy was damaged and is made again"):
        mirror.is_ancestor(first, last)
    mirror.fetch_branch("main")
    assert mirror.is_ancestor(first, last) is True


def test_a_commit_that_a_killed_fetch_has_left_without_its_history_is_not_known(
    server: Forge, mirror: Mirror
) -> None:
    first = mirror.fetch_branch("main")
    server.commit({"f": "a"})
    last = server.commit({"f": "b"})
    content = raw_git(server.repo, "cat-file", "commit", last)
    git(mirror.folder, "hash-object", "-w", "-t", "commit", "--stdin", stdin=content)
    assert mirror.is_ancestor(first, last) is None
    mirror.fetch_commit(last, "main")
    assert mirror.is_ancestor(first, last) is True


def test_a_copy_outlives_the_damage_of_its_server(server: Forge, mirror: Mirror) -> None:
    commit = mirror.fetch_branch("main")
    blob = git(server.repo, "rev-parse", f"{server.commit({'new.txt': 'new'})}:new.txt")
    (server.repo / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Unavailable) as caught:
        mirror.fetch_branch("main")
    assert caught.value.evidence.startswith(f"{mirror.where}: the server cannot read its copy of the repository")
    assert f"unable to read {blob}" in caught.value.evidence
    assert mirror.read(commit, "README.md") == b"hello\n"


def test_damage_that_a_new_copy_does_not_mend_is_told(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    """Over SSH the words of the server's own Git look like ours; so they do where it is on this machine."""
    near = GitAccess(url=f"file://{server.repo}")
    copy = Mirror(near, tmp_path / "near.git", allow_local=True)
    commit = server.commit({"new.txt": "new"})
    os.truncate(server.repo / "objects" / commit[:2] / commit[2:], 0)
    with pytest.raises(Unavailable) as caught:
        copy.fetch_branch("main")
    assert caught.value.evidence.startswith(f"no sound local copy can be made ({near.url}: ")
    assert f"loose object {commit}" in caught.value.evidence


def test_a_commit_without_its_files_does_not_count_as_here(server: Forge, mirror: Mirror) -> None:
    commit = server.commit({"new.txt": "new\n"})
    mirror.fetch_branch("main")
    blob = git(server.repo, "rev-parse", f"{commit}:new.txt")
    git(
        mirror.folder,
        "update-ref",
        "-d",
        next(iter(git(mirror.folder, "for-each-ref", "--format=%(refname)").split())),
    )
    (mirror.folder / "objects" / blob[:2] / blob[2:]).unlink()
    assert not mirror.has(commit)
    mirror.fetch_commit(commit, "main")
    assert mirror.read(commit, "new.txt") == b"new\n"


def test_a_mirror_that_became_slow_is_packed(server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not mirror.tidy()
    head = mirror.fetch_branch("main")
    assert not mirror.tidy()
    monkeypatch.setattr(Mirror, "needs_tidying", lambda _: True)
    assert mirror.tidy()
    assert len(list((mirror.folder / "objects" / "pack").glob("*.pack"))) == 1
    assert mirror.read(head, "README.md") == b"hello\n"
    with exclusive(mirror.folder.with_name(mirror.folder.name + ".lock"), 1.0):
        assert not mirror.tidy()


def test_a_worker_packs_what_has_become_slow_beside_its_work(
    server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidier, lock = Tidier(), mirror.folder.with_name(mirror.folder.name + ".lock")
    head = mirror.fetch_branch("main")
    tidier.begin([lambda: mirror])
    join_tidier()
    assert loose(mirror), "it is not slow yet"
    monkeypatch.setattr("workers.clients.git_keep._LOOSE_SAMPLE", -1)
    with exclusive(lock, 1.0):
        tidier.begin([lambda: mirror])
        join_tidier()
        assert loose(mirror), "a fetch goes first"
    tidier.begin([lambda: mirror])
    join_tidier()
    assert not loose(mirror)
    assert mirror.read(head, "README.md") == b"hello\n"
    assert not mirror.needs_tidying(), "once a day"


def loose(mirror: Mirror) -> list[Path]:
    return list((mirror.folder / "objects").glob("[0-9a-f][0-9a-f]/*"))


def join_tidier() -> None:
    for thread in threading.enumerate():
        if thread.name == "tidy":
            thread.join(30)


def test_landings_do_not_pile_up_packs(server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.clients.git_keep._MANY_PACKS", 3)
    head = mirror.fetch_branch("main")
    counts = []
    for number in range(6):
        with mirror.landing("main", 5.0):
            draft = Draft(path=f"f{number}", mode="100644", content=b"x", message="m", date=number)
            (head,) = mirror.write(head, [draft], branch="main", author=Author())
        counts.append(len(list((mirror.folder / "objects" / "pack").glob("*.pack"))))
    assert max(counts) <= 3
    assert mirror.read(head, "f0") == b"x"


def test_writing_on_a_commit_that_is_not_here_is_an_error(mirror: Mirror, server: Forge) -> None:
    mirror.fetch_branch("main")
    draft = Draft(path="f", mode="100644", content=b"x", message="m", date=1)
    with pytest.raises(Unavailable):
        mirror.write(NOBODY, [draft], branch="main", author=Author())
    assert mirror.fetch_branch("main") == server.head()
