"""The files of submodules in a build context, from real repositories of a server that asks for a password."""

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.errors import Cancelled, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.git_processes import NOBODY, cancel, children_of
from tests.support.githttp import Fault, Forge
from workers.clients import git_submodules
from workers.clients.build_context import left_out
from workers.clients.git import Mirror
from workers.clients.git_submodules import snapshot_with_submodules

DATE, LIB_DATE = 1_700_000_000, 1_600_000_000

Links = Mapping[str, tuple[str, str]]
"""Path of a submodule -> its address and commit."""


def another(server: Forge, name: str) -> Forge:
    """Serve another repository."""
    return replace(server, name=name, repo=server.app.create_repo(name))


def commit(server: Forge, links: Links, date: int = DATE, **files: str) -> str:
    """Commit submodules with their ``.gitmodules``."""
    sections = [f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, (url, _) in links.items()]
    content = {".gitmodules": "".join(sections), "Dockerfile": "FROM scratch\n", **files}
    pins = {path: pin for path, (_, pin) in links.items()}
    return server.commit(content | pins, modes=dict.fromkeys(pins, "160000"), date=date)


def with_raw(server: Forge, gitmodules: str | None, path: str = "lib") -> str:
    """Commit one submodule with a ``.gitmodules`` of any text."""
    return server.commit({".gitmodules": gitmodules, path: NOBODY}, modes={path: "160000"})


def tar_of(mirror: Mirror, wanted: str, context: str = ".", rules: bytes | None = None) -> bytes:
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted, context) as files:
        return files.tar(left_out(rules, "Dockerfile")).read()


def members(raw: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {member.name: member for member in tar.getmembers()}


def files_of(raw: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        found = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isreg()}
        return {name: file.read().decode() for name, file in found.items() if file}


@pytest.fixture
def lib(server: Forge) -> Forge:
    made = another(server, "team/lib")
    made.commit(
        {"src/lib.sh": "echo\n", "current": "src/lib.sh", ".gitattributes": "src export-ignore\n"},
        modes={"src/lib.sh": "100755", "current": "120000"},
        date=LIB_DATE,
    )
    return made


def test_the_files_of_a_submodule_stand_in_its_place(server: Forge, lib: Forge, mirror: Mirror) -> None:
    pinned = lib.head()
    lib.commit({"src/lib.sh": "newer\n"})
    raw = tar_of(mirror, commit(server, {"vendor/lib": ("../lib.git", pinned)}))
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
    wanted = commit(server, {"b": ("../lib.git", lib.head()), "a": (lib.url, lib.head())})
    sums = {hashlib.sha256(tar_of(copy, wanted)).hexdigest() for copy in (mirror, server.mirror(tmp_path / "other"))}
    assert len(sums) == 1


def test_a_submodule_has_a_mirror_beside_that_of_the_source(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
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
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    server.app.inject(Fault(discovery=True, status=403, times=9))
    with pytest.raises(Refused, match=r"submodule lib: .*the account may not do this"):
        tar_of(mirror, wanted)


def test_submodules_of_submodules_are_followed_from_the_address_of_their_holder(
    server: Forge, lib: Forge, mirror: Mirror
) -> None:
    middle = another(server, "other/deep/middle")
    inner = another(server, "other/deep/inner")
    inner.commit({"inner.txt": "inner\n"})
    commit(middle, {"in": ("../inner.git", inner.head()), "lib": ("../../../team/lib.git", lib.head())})
    wanted = commit(server, {"mid": ("../../other/deep/middle.git", middle.head())})
    found = files_of(tar_of(mirror, wanted))
    assert found["mid/in/inner.txt"] == "inner\n"
    assert found["mid/lib/src/lib.sh"] == "echo\n"


def test_a_submodule_that_no_branch_holds_any_more_is_fetched_by_its_id(
    server: Forge, lib: Forge, mirror: Mirror
) -> None:
    pinned = lib.head()
    git(lib.repo, "update-ref", "refs/pull/7/head", pinned)
    git(lib.repo, "update-ref", "-d", "refs/heads/main")
    assert "lib/current" in members(tar_of(mirror, commit(server, {"lib": ("../lib.git", pinned)})))


def test_a_context_below_the_root_finds_its_submodules_by_their_whole_path(
    server: Forge, lib: Forge, mirror: Mirror
) -> None:
    links = {"web/lib": ("../lib.git", lib.head()), "outside": ("https://evil.example.com/x.git", NOBODY)}
    wanted = commit(server, links, **{"web/Dockerfile": "FROM scratch\n"})
    assert files_of(tar_of(mirror, wanted, "web"))["lib/src/lib.sh"] == "echo\n"


@pytest.mark.parametrize("context", ["lib", "lib/src"])
def test_a_context_inside_a_submodule_is_refused(server: Forge, lib: Forge, mirror: Mirror, context: str) -> None:
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
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
    wanted = commit(server, {"vendor/lib": ("../lib.git", lib.head())})
    found = members(tar_of(mirror, wanted, rules=rules))
    assert set(there) <= found.keys()
    assert not set(not_there) & found.keys()


def test_a_submodule_that_is_left_out_is_neither_fetched_nor_judged(server: Forge, mirror: Mirror) -> None:
    wanted = with_raw(server, None)
    assert "lib" not in members(tar_of(mirror, wanted, rules=b"lib\n"))
    assert not [line for line in server.app.requests if "web.git" not in line]


def test_a_submodule_that_a_clone_does_not_fetch_is_an_empty_folder(server: Forge, mirror: Mirror) -> None:
    section = '[submodule "lib"]\n\tpath = lib\n\turl = https://evil.example.com/x.git\n\tupdate = none\n'
    found = members(tar_of(mirror, with_raw(server, section)))
    assert [name for name in found if name.startswith("lib")] == ["lib"]


@pytest.mark.parametrize(
    ("gitmodules", "words"),
    [
        (None, r"^\.gitmodules: no entry has the path lib$"),
        ("[submodule\n", r"^\.gitmodules: it cannot be read \(fatal: bad config line \d+ in standard input\)$"),
        ('[submodule "x"]\n\tpath = lib\n', r'^\.gitmodules: the entry "x" has no `url`$'),
        ('[submodule "x"]\n\tpath = lib\n\turl\n', r'the entry "x" has an empty `url`'),
        ('[submodule "x"]\n\tpath = lib\n\turl = ext::sh -c id\n', r'the `url` of "x", \'ext::sh -c id\', holds a'),
        ('[submodule "x"]\n\tpath = lib\n\turl = --upload-pack=id\n', r"holds a character that no address has"),
        ('[submodule "x"]\n\tpath = lib\n\turl = file:///etc\n', r"is not an https, http or ssh address"),
        ('[submodule "x"]\n\tpath = lib\n\turl = /etc\n', r"is not an https, http or ssh address"),
        (
            '[submodule "x"]\n\tpath = lib\n\turl = http://169.254.169.254/x\n',
            r"is not on the server of the app",
        ),
        ('[submodule "x"]\n\tpath = lib\n\turl = ../../../x\n', r"leads above the host"),
        ("# " + "x" * 1024 * 1024, r"it has \d+ bytes; at most 1048576 are read"),
    ],
)
def test_what_is_refused_is_refused_before_anybody_is_asked(
    server: Forge, lib: Forge, mirror: Mirror, gitmodules: str | None, words: str
) -> None:
    good = f'[submodule "good"]\n\tpath = a-good-one\n\turl = {lib.url}\n'
    whole = None if gitmodules is None else good + gitmodules
    server.commit({"a-good-one": lib.head()}, modes={"a-good-one": "160000"})
    wanted = with_raw(server, whole)
    mirror.fetch_commit(wanted, "main")
    server.app.requests.clear()
    with snapshot_with_submodules(mirror, wanted) as files:
        for act in (files.look, files.tar):
            with pytest.raises(Refused) as caught:
                act(left_out(b"a-good-one" if whole is None else None, "Dockerfile"))
            assert caught.value.reason is Reason.SOURCE_UNSUPPORTED
            assert re.search(words, caught.value.evidence)
    assert not server.app.requests


def test_a_submodule_in_a_submodule_is_named_with_its_file(server: Forge, lib: Forge, mirror: Mirror) -> None:
    with_raw(lib, '[submodule "x"]\n\tpath = in\n\turl = https://evil.example.com/x.git\n', "in")
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
    with pytest.raises(Refused, match=r"^source_unsupported: lib/\.gitmodules: the `url` of \"x\""):
        tar_of(mirror, wanted)


@pytest.mark.parametrize("name", ["..", ".", ".git", ".GIT"])
def test_a_path_that_leads_out_is_refused(server: Forge, lib: Forge, mirror: Mirror, name: str) -> None:
    evil = _tree(lib, ("100644", "Dockerfile", git(lib.repo, "rev-parse", "main:current")))
    pinned = git(lib.repo, "commit-tree", "-m", "evil", _tree(lib, ("40000", name, evil)))
    git(lib.repo, "update-ref", "refs/heads/main", pinned)
    with pytest.raises(Refused, match=f"lib/{re.escape(name)} is no path that Git would check out"):
        tar_of(mirror, commit(server, {"lib": ("../lib.git", pinned)}))


@pytest.mark.parametrize(
    ("name", "words"), [("..", "leaves the repository"), (".git", "leaves the repository"), ("a\\b", "a backslash")]
)
def test_a_submodule_at_no_plain_path_is_refused(server: Forge, mirror: Mirror, name: str, words: str) -> None:
    commit(server, {"lib": ("../lib.git", NOBODY)})
    modules = git(server.repo, "rev-parse", "main:.gitmodules")
    tree = _tree(server, ("100644", ".gitmodules", modules), ("160000", name, NOBODY))
    wanted = git(server.repo, "commit-tree", "-m", "evil", tree)
    git(server.repo, "update-ref", "refs/heads/main", wanted)
    with pytest.raises(Refused, match=rf"the submodule at .* .*{words}"):
        tar_of(mirror, wanted)


def test_a_submodule_beside_a_folder_of_its_name_is_refused(server: Forge, lib: Forge, mirror: Mirror) -> None:
    commit(server, {"lib": ("../lib.git", lib.head())})
    modules = git(server.repo, "rev-parse", "main:.gitmodules")
    folder = _tree(server, ("100644", "x", modules))
    tree = _tree(server, ("100644", ".gitmodules", modules), ("40000", "lib", folder), ("160000", "lib", lib.head()))
    wanted = git(server.repo, "commit-tree", "-m", "evil", tree)
    git(server.repo, "update-ref", "refs/heads/main", wanted)
    with pytest.raises(Refused, match="the submodule at 'lib' is a folder as well"):
        tar_of(mirror, wanted)


def _tree(server: Forge, *entries: tuple[str, str, str]) -> str:
    """Write a tree as Git itself would not."""
    raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(identity) for mode, name, identity in entries)
    return git(server.repo, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)


def test_a_link_for_gitmodules_is_refused(server: Forge, mirror: Mirror) -> None:
    files = {".gitmodules": "other", "other": "", "lib": NOBODY}
    wanted = server.commit(files, modes={".gitmodules": "120000", "lib": "160000"})
    with pytest.raises(Refused, match=r"\.gitmodules: it is a symbolic link"):
        tar_of(mirror, wanted)


def test_a_loop_of_submodules_is_refused(server: Forge, lib: Forge, mirror: Mirror) -> None:
    commit(lib, {"web": ("../web.git", server.head())})
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
    with pytest.raises(Refused, match=r'lib/\.gitmodules: "web" leads back to http.*/team/web\.git, .* in a loop'):
        tar_of(mirror, wanted)


def test_another_branch_of_the_same_repository_may_be_a_submodule(server: Forge, mirror: Mirror) -> None:
    pages = server.commit({"index.html": "<p>\n"}, branch="pages")
    found = files_of(tar_of(mirror, commit(server, {"pages": ("../web.git", pages)})))
    assert found["pages/index.html"] == "<p>\n"


def test_too_many_and_too_deep_ones_are_refused(
    server: Forge, lib: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = another(server, "team/middle")
    commit(middle, {"lib": ("../lib.git", lib.head())})
    deep = commit(server, {"mid": ("../middle.git", middle.head())})
    monkeypatch.setattr(git_submodules, "MAX_DEPTH", 1)
    with pytest.raises(Refused, match="mid/lib: more than 1 submodules lie inside each other"):
        tar_of(mirror, deep)
    monkeypatch.undo()
    monkeypatch.setattr(git_submodules, "MAX_SUBMODULES", 1)
    with pytest.raises(Refused, match="more than 1 submodules; name"):
        tar_of(mirror, deep)
    with pytest.raises(Refused, match="more than 1 submodules; name"):
        tar_of(mirror, commit(server, {"a": ("../lib.git", lib.head()), "b": ("../lib.git", lib.head())}))


def test_a_commit_that_was_not_pushed_is_named_with_its_submodule(server: Forge, lib: Forge, mirror: Mirror) -> None:
    with pytest.raises(Refused, match=f"submodule vendor/lib: http.*/team/lib.git: commit {NOBODY} is not") as caught:
        tar_of(mirror, commit(server, {"vendor/lib": ("../lib.git", NOBODY)}))
    assert caught.value.reason is Reason.COMMIT_NOT_FOUND
    assert str(caught.value) == f"commit_not_found: {caught.value.evidence}"


def test_what_the_server_says_of_a_submodule_is_said_with_its_name(
    server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path
) -> None:
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    stranger = Mirror(replace(mirror.access, token=Secret("an-old-token")), mirror.folder)
    for copy, fault, kind, reason, words in (
        (stranger, None, Refused, Reason.SOURCE_REFUSED, "the login was not accepted"),
        (mirror, Fault(discovery=True, status=404), Refused, Reason.SOURCE_REFUSED, "no such repository"),
        (mirror, _moved(server), Refused, Reason.SOURCE_REFUSED, "redirects to another address"),
        (mirror, Fault(discovery=True, status=503), Unavailable, Reason.SOURCE_UNAVAILABLE, "the server failed"),
    ):
        if fault is not None:
            server.app.inject(fault)
        with snapshot_with_submodules(copy, wanted) as files, pytest.raises(kind, match=words) as caught:
            files.tar(left_out(None, "Dockerfile"))
        assert caught.value.reason is reason
        assert caught.value.evidence.startswith("submodule lib: ")
        assert "an-old-token" not in str(caught.value)


def _moved(server: Forge) -> Fault:
    return Fault(discovery=True, status=302, headers=(("Location", f"{server.base}/evil.git/info/refs"),))


def test_a_fetch_that_somebody_cancels_leaves_no_process(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted, checkpoint=cancel) as files, pytest.raises(Cancelled):
        files.tar(left_out(None, "Dockerfile"))
    assert not children_of(lib.url)


def test_a_file_inside_a_submodule_is_read_as_any_other(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit(server, {"vendor/lib": ("../lib.git", lib.head())})
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
    wanted = with_raw(server, '[submodule "lib"]\n\tpath = lib\n\turl = ../x.git\n\tupdate = none\n')
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted) as files:
        assert files.read("lib/Dockerfile") is None


def test_each_submodule_of_the_stream_is_said(server: Forge, lib: Forge, mirror: Mirror) -> None:
    wanted = commit(server, {"vendor/lib": ("../lib.git", lib.head())})
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
    wanted = commit(server, links)
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


def test_a_copy_of_a_submodule_that_breaks_heals(server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path) -> None:
    wanted = commit(server, {"lib": ("../lib.git", lib.head())})
    tar_of(mirror, wanted)
    blob = git(lib.repo, "rev-parse", "main:src/lib.sh")
    copy = mirror.submodule(lib.url).folder
    with snapshot_with_submodules(mirror, wanted) as files:
        stream = files.tar(left_out(None, "Dockerfile"))
        (copy / "objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(Unavailable, match="made again"):
            stream.read()
    assert "lib/src/lib.sh" in members(tar_of(mirror, wanted))
