"""The files of submodules in a build context, from real repositories of a server that asks for a password."""

import hashlib
import io
import os
from pathlib import Path
from typing import cast

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.errors import Cancelled, Refused, Unavailable
from tests.support.git import git
from tests.support.git_processes import NOBODY, cancel, children_of
from tests.support.githttp import Fault, Forge
from tests.support.submodules import (
    DATE,
    another_repository,
    commit_links,
    commit_raw,
    files_of,
    library,
    tar_of,
)
from tests.support.tars import members
from workers.clients.build_context import left_out
from workers.clients.git import Mirror
from workers.clients.git_submodules import snapshot_with_submodules


@pytest.fixture
def lib(server: Forge) -> Forge:
    return library(server)


def test_the_files_of_a_submodule_stand_in_its_place(server: Forge, lib: Forge, mirror: Mirror) -> None:
    pinned = lib.head()
    lib.commit({"src/lib.sh": "newer\n"})
    raw = tar_of(mirror, commit_links(server, {"vendor/lib": ("../lib.git", pinned)}))
    found = members(raw)
    assert files_of(raw)["vendor/lib/src/lib.sh"] == "echo\n", "the commit that is pinned, as it is committed"
    assert (found["vendor/lib"].isdir(), oct(found["vendor/lib/src/lib.sh"].mode)) == (True, "0o755")
    assert found["vendor/lib/current"].linkname == "src/lib.sh"
    assert {(member.mtime, member.uid, member.gid) for member in found.values()} == {(DATE, 0, 0)}
    assert len(raw) % 512 == 0
    assert not [name for name in found if name.endswith("/.git")]


def test_the_same_commit_gives_the_same_bytes_from_any_mirror(
    server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path
) -> None:
    wanted = commit_links(server, {"b": ("../lib.git", lib.head()), "a": (lib.url, lib.head())})
    sums = {hashlib.sha256(tar_of(copy, wanted)).hexdigest() for copy in (mirror, server.mirror(tmp_path / "other"))}
    assert len(sums) == 1


def test_a_submodule_has_a_mirror_beside_that_of_the_source(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    tar_of(mirror, wanted)
    assert mirror.submodule(lib.url).folder.parent == mirror.folder.parent
    assert mirror.submodule(lib.url).has(lib.head())
    server.app.requests.clear()
    assert "lib/src/lib.sh" in members(tar_of(mirror, wanted))
    assert not server.app.requests, "what is here is not asked for again"


def test_what_another_app_has_fetched_is_not_read_without_the_right_to(
    server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path
) -> None:
    """Whoever pushes to one app could else read another one, or the GitOps repository, whose commits are shown."""
    other = lib.mirror(tmp_path / "state")
    other.fetch_branch("main")
    assert (other.folder.parent, other.has(lib.head())) == (mirror.folder.parent, True)
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    server.app.inject(Fault(discovery=True, status=403, times=9))
    with pytest.raises(Refused, match=r"submodule lib: .*the account may not do this"):
        tar_of(mirror, wanted)


def test_submodules_of_submodules_are_followed_from_the_address_of_their_holder(
    server: Forge, lib: Forge, mirror: Mirror
) -> None:
    middle = another_repository(server, "other/deep/middle")
    inner = another_repository(server, "other/deep/inner")
    inner.commit({"inner.txt": "inner\n"})
    commit_links(middle, {"in": ("../inner.git", inner.head()), "lib": ("../../../team/lib.git", lib.head())})
    wanted = commit_links(server, {"mid": ("../../other/deep/middle.git", middle.head())})
    found = files_of(tar_of(mirror, wanted))
    assert found["mid/in/inner.txt"] == "inner\n"
    assert found["mid/lib/src/lib.sh"] == "echo\n"


def test_git_itself_makes_the_same_of_it(server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path) -> None:
    middle = another_repository(server, "other/deep/middle")
    commit_links(middle, {"in side": ("./../../../team/lib.git/", lib.head()), "라이브러리": (lib.url, lib.head())})
    links = {"vendor/mid": ("../../other/deep/middle.git", middle.head()), "b": ("../lib.git", lib.head())}
    wanted = commit_links(server, links)
    server.app.users = None
    git(tmp_path, "clone", "-q", "--recurse-submodules", server.url, "clone")
    clone = tmp_path / "clone"
    there = {str(path.relative_to(clone)): path for path in clone.rglob("*") if ".git" not in path.parts}
    raw = tar_of(mirror, wanted)
    assert members(raw).keys() == there.keys()
    assert files_of(raw) == {
        name: path.read_text() for name, path in there.items() if path.is_file() and not path.is_symlink()
    }


def test_submodules_come_over_ssh_with_the_key_of_the_app(
    server: Forge, lib: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_, log = tmp_path / "bin", tmp_path / "ssh.log"
    bin_.mkdir()
    (bin_ / "ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nfor last; do :; done\neval "$last"\n')
    (bin_ / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    key, hosts = tmp_path / "key", tmp_path / "hosts"
    hosts.touch()
    key.touch(0o600)
    access = {"url": f"git@git.example.com:{server.repo}", "ssh_key": str(key), "known_hosts": str(hosts)}
    mirror = server.mirror(tmp_path / "state", token=Secret(""), **access)
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    log.unlink()
    assert files_of(tar_of(mirror, wanted))["lib/src/lib.sh"] == "echo\n"
    words = log.read_text().splitlines()
    assert words[words.index("-i") + 1] == str(key)
    assert words[-2:] == ["git@git.example.com", f"git-upload-pack '{lib.repo}'"]


def test_a_submodule_that_no_branch_holds_any_more_is_fetched_by_its_id(
    server: Forge, lib: Forge, mirror: Mirror
) -> None:
    pinned = lib.head()
    git(lib.repo, "update-ref", "refs/pull/7/head", pinned)
    git(lib.repo, "update-ref", "-d", "refs/heads/main")
    assert "lib/current" in members(tar_of(mirror, commit_links(server, {"lib": ("../lib.git", pinned)})))


def test_a_context_below_the_root_finds_its_submodules_by_their_whole_path(
    server: Forge, lib: Forge, mirror: Mirror
) -> None:
    links = {"web/lib": ("../lib.git", lib.head()), "outside": ("https://evil.example.com/x.git", NOBODY)}
    wanted = commit_links(server, links, **{"web/Dockerfile": "FROM scratch\n"})
    assert files_of(tar_of(mirror, wanted, "web"))["lib/src/lib.sh"] == "echo\n"


@pytest.mark.parametrize("context", ["lib", "lib/src"])
def test_a_context_inside_a_submodule_is_refused(server: Forge, lib: Forge, mirror: Mirror, context: str) -> None:
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    with pytest.raises(Refused, match=r"lib.* is a submodule"), snapshot_with_submodules(mirror, wanted, context):
        pass


@pytest.mark.parametrize(
    ("rules", "there", "not_there"),
    [
        (b"vendor\n", [], ["vendor", "vendor/lib", "vendor/lib/current"]),
        (b"vendor/lib\n", ["vendor"], ["vendor/lib", "vendor/lib/current"]),
        (b"vendor/lib/src\n", ["vendor/lib/current"], ["vendor/lib/src", "vendor/lib/src/lib.sh"]),
        (b"**/lib.sh\n", ["vendor/lib/src"], ["vendor/lib/src/lib.sh"]),
        (b"*\n!vendor/lib/src\n", ["vendor/lib/src/lib.sh"], ["vendor/lib", "vendor/lib/current"]),
        (b"**\n!**/*.sh\n", ["vendor/lib/src/lib.sh"], ["vendor/lib/current"]),
        (b"!**/*.sh\nvendor/lib\n", ["vendor"], ["vendor/lib", "vendor/lib/src/lib.sh"]),
    ],
)
def test_the_rules_of_dockerignore_count_inside(
    server: Forge, lib: Forge, mirror: Mirror, rules: bytes, there: list[str], not_there: list[str]
) -> None:
    wanted = commit_links(server, {"vendor/lib": ("../lib.git", lib.head())})
    found = members(tar_of(mirror, wanted, rules=rules))
    assert set(there) <= found.keys()
    assert not set(not_there) & found.keys()


def test_a_submodule_that_is_left_out_is_neither_fetched_nor_judged(server: Forge, mirror: Mirror) -> None:
    wanted = commit_raw(server, None)
    assert "lib" not in members(tar_of(mirror, wanted, rules=b"lib\n"))
    assert not [line for line in server.app.requests if "web.git" not in line]


def test_a_submodule_that_a_clone_does_not_fetch_is_an_empty_folder(server: Forge, mirror: Mirror) -> None:
    section = '[submodule "lib"]\n\tpath = lib\n\turl = https://evil.example.com/x.git\n\tupdate = none\n'
    found = members(tar_of(mirror, commit_raw(server, section)))
    assert [name for name in found if name.startswith("lib")] == ["lib"]


def test_a_fetch_that_somebody_cancels_leaves_no_process(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted, checkpoint=cancel) as files, pytest.raises(Cancelled):
        files.tar(left_out(None, "Dockerfile"))
    assert not children_of(lib.url)


def test_a_file_inside_a_submodule_is_read_as_any_other(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit_links(server, {"vendor/lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted) as files:
        assert files.date == DATE
        assert files.read("Dockerfile") == b"FROM scratch\n"
        assert files.read("vendor/lib/src/lib.sh") == b"echo\n"
        assert files.read("vendor/lib/no/where") is None
        for path, words in (
            ("vendor/lib", "vendor/lib is a submodule, not a file"),
            ("vendor/lib/current", "vendor/lib/current is a symbolic link"),
            ("vendor/lib/src", "vendor/lib/src is a folder"),
        ):
            with pytest.raises(Refused, match=words):
                files.read(path)
        with pytest.raises(Refused, match="at most 2 are read"):
            files.read("vendor/lib/src/lib.sh", 2)


def test_a_file_inside_a_submodule_that_a_clone_does_not_fetch_is_not_there(server: Forge, mirror: Mirror) -> None:
    wanted = commit_raw(server, '[submodule "lib"]\n\tpath = lib\n\turl = ../x.git\n\tupdate = none\n')
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted) as files:
        assert files.read("lib/Dockerfile") is None


def test_each_submodule_of_the_stream_is_said(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit_links(server, {"vendor/lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    said: list[str] = []
    with snapshot_with_submodules(mirror, wanted, log=said.append) as files:
        files.look(left_out(None, "Dockerfile"))
        assert not said
        files.tar(left_out(None, "Dockerfile"))
    assert said == [f"submodule vendor/lib: {lib.url} at {lib.head()[:12]}"]


def test_a_reader_that_stops_early_leaves_no_process_and_begins_none(
    server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path
) -> None:
    lib.commit({"large.bin": "x" * 4_000_000})
    links = {"a": ("../lib.git", lib.head()), "b": ("../lib.git", lib.head())}
    wanted = commit_links(server, links)
    mirror.fetch_commit(wanted, "main")
    copy = str(mirror.submodule(lib.url).folder)
    with snapshot_with_submodules(mirror, wanted) as files:
        stream = files.tar(left_out(None, "Dockerfile"))
        while b"x" * 1000 not in stream.read(100_000):
            pass
        assert children_of(copy)
    assert not children_of(copy)
    with pytest.raises((Unavailable, ValueError)):
        stream.read()
    assert not children_of(copy)


def test_a_stream_that_comes_to_a_submodule_after_the_end_begins_no_process(
    server: Forge, lib: Forge, mirror: Mirror
) -> None:
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted) as files:
        pieces = cast("io.BufferedReader", files.tar(left_out(None, "Dockerfile"))).raw
        while pieces.read(512) != b"print()\n":  # the app's own last file
            pass
        pieces.read(512)  # what fills its block
    with pytest.raises(Unavailable, match="was ended"):
        pieces.read(512)


def test_a_copy_of_a_submodule_that_breaks_heals(server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path) -> None:
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    tar_of(mirror, wanted)
    blob = git(lib.repo, "rev-parse", "main:src/lib.sh")
    copy = mirror.submodule(lib.url).folder
    with snapshot_with_submodules(mirror, wanted) as files:
        stream = files.tar(left_out(None, "Dockerfile"))
        (copy / "objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(Unavailable, match="made again"):
            stream.read()
    assert "lib/src/lib.sh" in members(tar_of(mirror, wanted))
