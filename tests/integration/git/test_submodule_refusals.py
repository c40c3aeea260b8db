"""Which submodules are refused: each with its file, its name and the reason, before anybody is asked."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.git_processes import NOBODY
from tests.support.githttp import Fault, Forge
from tests.support.submodules import another_repository, commit_links, commit_raw, files_of, library, tar_of
from workers.clients import git_submodules
from workers.clients.build_context import left_out
from workers.clients.git import Mirror
from workers.clients.git_submodules import snapshot_with_submodules


@pytest.fixture
def lib(server: Forge) -> Forge:
    return library(server)


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
    wanted = commit_raw(server, whole)
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
    commit_raw(lib, '[submodule "x"]\n\tpath = in\n\turl = https://evil.example.com/x.git\n', "in")
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    with pytest.raises(Refused, match=r"^source_unsupported: lib/\.gitmodules: the `url` of \"x\""):
        tar_of(mirror, wanted)


def test_a_file_behind_a_link_is_refused(server: Forge, lib: Forge, mirror: Mirror) -> None:
    """The engine would follow the link, to the app's own files."""
    blob = git(lib.repo, "rev-parse", "main:src/lib.sh")
    up = git(lib.repo, "hash-object", "-w", "--stdin", stdin=b"..")
    pinned = _commit(lib, _tree(lib, ("120000", "up", up), ("100644", "up/Dockerfile", blob)))
    with pytest.raises(Refused, match="lib/up/Dockerfile is no path that Git would check out"):
        tar_of(mirror, commit_links(server, {"lib": ("../lib.git", pinned)}))


@pytest.mark.parametrize("name", ["..", ".", ".git", ".GIT"])
def test_a_path_that_leads_out_is_refused(server: Forge, lib: Forge, mirror: Mirror, name: str) -> None:
    evil = _tree(lib, ("100644", "Dockerfile", git(lib.repo, "rev-parse", "main:current")))
    pinned = _commit(lib, _tree(lib, ("40000", name, evil)))
    with pytest.raises(Refused, match=f"lib/{re.escape(name)} is no path that Git would check out"):
        tar_of(mirror, commit_links(server, {"lib": ("../lib.git", pinned)}))


@pytest.mark.parametrize("name", ["../Dockerfile", "src/../../Dockerfile", ".git/config", "/Dockerfile", "a//b"])
def test_a_name_with_a_slash_that_leads_out_is_refused(server: Forge, lib: Forge, mirror: Mirror, name: str) -> None:
    """The engine would take it for a file of the app's own."""
    pinned = _commit(lib, _tree(lib, ("100644", name, git(lib.repo, "rev-parse", "main:current"))))
    with pytest.raises(Refused, match=f"lib/{re.escape(name)} is no path that Git would check out"):
        tar_of(mirror, commit_links(server, {"lib": ("../lib.git", pinned)}))


@pytest.mark.parametrize(
    ("name", "words"), [("..", "leaves the repository"), (".git", "leaves the repository"), ("a\\b", "a backslash")]
)
def test_a_submodule_at_no_plain_path_is_refused(server: Forge, mirror: Mirror, name: str, words: str) -> None:
    commit_links(server, {"lib": ("../lib.git", NOBODY)})
    modules = git(server.repo, "rev-parse", "main:.gitmodules")
    tree = _tree(server, ("100644", ".gitmodules", modules), ("160000", name, NOBODY))
    wanted = git(server.repo, "commit-tree", "-m", "evil", tree)
    git(server.repo, "update-ref", "refs/heads/main", wanted)
    with pytest.raises(Refused, match=rf"the submodule at .* .*{words}"):
        tar_of(mirror, wanted)


def test_a_submodule_beside_a_folder_of_its_name_is_refused(server: Forge, lib: Forge, mirror: Mirror) -> None:
    commit_links(server, {"lib": ("../lib.git", lib.head())})
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


def _commit(server: Forge, tree: str) -> str:
    pinned = git(server.repo, "commit-tree", "-m", "evil", tree)
    git(server.repo, "update-ref", "refs/heads/main", pinned)
    return pinned


def test_a_link_for_gitmodules_is_refused(server: Forge, mirror: Mirror) -> None:
    files = {".gitmodules": "other", "other": "", "lib": NOBODY}
    wanted = server.commit(files, modes={".gitmodules": "120000", "lib": "160000"})
    with pytest.raises(Refused, match=r"\.gitmodules: it is a symbolic link"):
        tar_of(mirror, wanted)


def test_a_loop_of_submodules_is_refused(server: Forge, lib: Forge, mirror: Mirror) -> None:
    commit_links(lib, {"web": ("../web.git", server.head())})
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
    with pytest.raises(Refused, match=r'lib/\.gitmodules: "web" leads back to http.*/team/web\.git, .* in a loop'):
        tar_of(mirror, wanted)


def test_another_branch_of_the_same_repository_may_be_a_submodule(server: Forge, mirror: Mirror) -> None:
    pages = server.commit({"index.html": "<p>\n"}, branch="pages")
    found = files_of(tar_of(mirror, commit_links(server, {"pages": ("../web.git", pages)})))
    assert found["pages/index.html"] == "<p>\n"


def test_too_many_and_too_deep_ones_are_refused(
    server: Forge, lib: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = another_repository(server, "team/middle")
    commit_links(middle, {"lib": ("../lib.git", lib.head())})
    deep = commit_links(server, {"mid": ("../middle.git", middle.head())})
    monkeypatch.setattr(git_submodules, "MAX_DEPTH", 1)
    with pytest.raises(Refused, match="mid/lib: more than 1 submodules lie inside each other"):
        tar_of(mirror, deep)
    monkeypatch.undo()
    monkeypatch.setattr(git_submodules, "MAX_SUBMODULES", 1)
    with pytest.raises(Refused, match="more than 1 submodules; name"):
        tar_of(mirror, deep)
    with pytest.raises(Refused, match="more than 1 submodules; name"):
        tar_of(mirror, commit_links(server, {"a": ("../lib.git", lib.head()), "b": ("../lib.git", lib.head())}))


def test_a_commit_that_was_not_pushed_is_named_with_its_submodule(server: Forge, lib: Forge, mirror: Mirror) -> None:
    with pytest.raises(Refused, match=f"submodule vendor/lib: http.*/team/lib.git: commit {NOBODY} is not") as caught:
        tar_of(mirror, commit_links(server, {"vendor/lib": ("../lib.git", NOBODY)}))
    assert caught.value.reason is Reason.COMMIT_NOT_FOUND
    assert str(caught.value) == f"commit_not_found: {caught.value.evidence}"


def test_what_the_server_says_of_a_submodule_is_said_with_its_name(
    server: Forge, lib: Forge, mirror: Mirror, tmp_path: Path
) -> None:
    wanted = commit_links(server, {"lib": ("../lib.git", lib.head())})
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
