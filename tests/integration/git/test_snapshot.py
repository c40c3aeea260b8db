"""A folder of a commit, for a build: exactly what is committed, the same bytes every time, or a clear refusal."""

import hashlib
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.githttp import Forge, forge
from tests.support.tars import contents, members
from workers.clients import git_process
from workers.clients.git import Mirror
from workers.clients.git_read import MAX_FILE

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
DATE = 1_700_000_000
LONG = "deep/" * 30 + "이름이-아주-긴-파일.txt"
FILES: dict[str, bytes | str] = {
    ".gitattributes": "tests export-ignore\nversion.txt export-subst\n*.bat text eol=crlf\n*.id ident\n",
    "Dockerfile": "FROM scratch\n",
    "bin/run": "#!/bin/sh\n",
    "current": "bin/run",
    "version.txt": "$Format:%H$\n",
    "tests/test_x.py": "assert 1\n",
    "go.bat": "dir\n",
    "x.id": "$Id$\n",
    "empty": "",
    "block": b"\0" * 512,
    "한글.txt": "가나다\n",
    LONG: "far away\n",
    "web/index.html": "<p>\n",
    "web/way": "../bin/run",
}
MODES = {"bin/run": "100755", "current": "120000", "web/way": "120000"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forge]:
    with forge(tmp_path / "srv") as running:
        running.commit(FILES, modes=MODES, date=DATE)
        yield running


def test_every_file_is_there_as_committed_whatever_the_attributes_say(server: Forge, mirror: Mirror) -> None:
    with mirror.snapshot(mirror.fetch_branch("main")) as files:
        raw = files.tar().read()
    plain = {name: raw_.encode() if isinstance(raw_, str) else raw_ for name, raw_ in FILES.items()}
    assert contents(raw) == {name: content for name, content in plain.items() if MODES.get(name) != "120000"}
    assert len(raw) % 512 == 0


def test_modes_links_owners_and_times_are_kept_plain(server: Forge, mirror: Mirror) -> None:
    with mirror.snapshot(mirror.fetch_branch("main")) as files:
        found = members(files.tar().read())
    assert oct(found["bin/run"].mode) == "0o755"
    assert oct(found["Dockerfile"].mode) == "0o644"
    assert (found["current"].issym(), found["current"].linkname) == (True, "bin/run")
    assert (found["bin"].isdir(), oct(found["bin"].mode)) == (True, "0o755")
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in found.values()} == {(0, 0, "", "", DATE)}
    assert all(not member.pax_headers for member in found.values())


def test_the_same_commit_gives_the_same_bytes_from_any_mirror(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    sums = set()
    for copy in (mirror, server.mirror(tmp_path / "other")):
        with copy.snapshot(copy.fetch_branch("main")) as files:
            sums.add(hashlib.sha256(files.tar().read()).hexdigest())
    assert len(sums) == 1


@pytest.mark.parametrize("context", ["web", "./web/", "web/."])
def test_names_are_relative_to_the_context(server: Forge, mirror: Mirror, context: str) -> None:
    with mirror.snapshot(mirror.fetch_branch("main"), context) as files:
        found = members(files.tar().read())
    assert sorted(found) == ["index.html", "way"]
    assert found["way"].linkname == "../bin/run"
    assert found["way"].mtime == DATE


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("no/where", "no/where is not there"),
        ("Dockerfile", "Dockerfile is a file"),
        ("current", "current is a symbolic link"),
        ("web/way/x", "is a symbolic link"),
        ("../web", "leaves the repository"),
        ("/etc", "not a path inside"),
        ("--output=/tmp/x", "is not there"),
    ],
)
def test_a_context_that_is_no_folder_of_the_commit_is_refused(
    server: Forge, mirror: Mirror, context: str, words: str
) -> None:
    commit = mirror.fetch_branch("main")
    with pytest.raises(Refused, match=words) as caught, mirror.snapshot(commit, context):
        pass
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED


def test_a_commit_that_was_not_fetched_is_named(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_commit(server.head())
    with pytest.raises(Refused) as caught, mirror.snapshot("1" * 40):
        pass
    assert caught.value.reason is Reason.COMMIT_NOT_FOUND


def test_what_is_left_out_is_neither_sent_nor_judged(server: Forge, mirror: Mirror) -> None:
    server.commit(
        {".gitattributes": "*.psd filter=lfs -text\n", "art/a.psd": POINTER, "vendor/lib": "1" * 40},
        modes={"vendor/lib": "160000"},
    )
    commit = mirror.fetch_branch("main")

    def leave_out(path: str) -> bool:
        return path.startswith(("art", "vendor", "deep"))

    with mirror.snapshot(commit) as files:
        names = members(files.tar(leave_out).read())
    assert not [name for name in names if leave_out(name)]
    assert "Dockerfile" in names


def test_a_submodule_inside_is_refused_and_one_outside_is_not(server: Forge, mirror: Mirror) -> None:
    server.commit({"vendor/lib": "1" * 40}, modes={"vendor/lib": "160000"})
    commit = mirror.fetch_branch("main")
    with (
        pytest.raises(Refused, match=r"vendor/lib is a submodule.*build\.submodules: true") as caught,
        mirror.snapshot(commit) as files,
    ):
        files.tar()
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED
    with mirror.snapshot(commit, "web") as files:
        assert members(files.tar().read())


@pytest.mark.parametrize(
    ("rules", "context", "meant"),
    [
        (".gitattributes", ".", "web/logo.png"),
        (".gitattributes", "web", "web/logo.png"),
        ("web/.gitattributes", "web", "web/logo.png"),
        (".gitattributes", "bin", ""),
        ("", ".", ""),
    ],
)
def test_lfs_pointers_are_judged_where_the_repository_uses_lfs(
    server: Forge, mirror: Mirror, rules: str, context: str, meant: str
) -> None:
    files = {"web/logo.png": POINTER, "web/small.txt": "version 2\n"}
    server.commit(files | ({rules: "*.png filter=lfs diff=lfs merge=lfs -text\n"} if rules else {}))
    commit = mirror.fetch_branch("main")
    if not meant:
        with mirror.snapshot(commit, context) as files:
            assert members(files.tar().read())
        return
    words = f"{meant} begins as a Git LFS pointer, but its oid is not"
    with pytest.raises(Refused, match=words) as caught, mirror.snapshot(commit, context) as files:
        files.tar()
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED


def test_the_rules_for_lfs_count_where_the_image_does_not_get_them(server: Forge, mirror: Mirror) -> None:
    server.commit({".gitattributes": "*.png filter=lfs -text\n", "logo.png": POINTER})
    with (
        pytest.raises(Refused, match=r"logo.png begins as a Git LFS pointer"),
        mirror.snapshot(mirror.fetch_branch("main")) as files,
    ):
        files.tar(lambda path: path == ".gitattributes")


def test_thousands_of_files_and_large_ones_are_streamed(server: Forge, mirror: Mirror) -> None:
    large = bytes(range(256)) * 4096 * 5
    many = {f"many/{number:05d}.txt": f"{number}\n" for number in range(2500)}
    server.commit({"large.bin": large, **many})
    with mirror.snapshot(mirror.fetch_branch("main")) as files, tarfile.open(fileobj=files.tar(), mode="r|") as tar:
        seen = 0
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if member.name == "large.bin":
                assert file is not None
                assert file.read() == large
            elif member.name.startswith("many/"):
                assert file is not None
                assert file.read().decode().strip() == str(int(member.name[5:10]))
                seen += 1
    assert seen == 2500


@pytest.mark.parametrize("others", [1, 200])
def test_no_large_file_is_in_memory_as_a_whole(
    server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """A few objects are unpacked by another program of Git than many."""
    at_once = ["env", f"GIT_ALLOC_LIMIT={3 * MAX_FILE}"]
    monkeypatch.setattr(git_process, "_without_foreign_variables", lambda _: at_once)
    server.commit({"large.bin": bytes(4 * MAX_FILE), **{f"{number}": f"{number}" for number in range(others)}})
    with mirror.snapshot(mirror.fetch_branch("main")) as files, files.tar() as tar:
        assert sum(len(part) for part in iter(lambda: tar.read(MAX_FILE), b"")) > 4 * MAX_FILE


def test_a_reader_that_stops_early_leaves_no_process(server: Forge, mirror: Mirror) -> None:
    server.commit({"large.bin": b"x" * 8_000_000})
    commit = mirror.fetch_branch("main")
    with mirror.snapshot(commit) as files:
        files.tar().read(1000)
        assert _readers(mirror)
    assert not _readers(mirror)


def _readers(mirror: Mirror) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(mirror.folder) in words and "cat-file" in words:
            found.append(words)
    return found


def test_a_stream_that_is_read_too_slowly_is_cut(server: Forge, mirror: Mirror) -> None:
    server.commit({f"big{number}": b"x" * 4_000_000 for number in range(3)})
    commit = mirror.fetch_branch("main")
    with mirror.snapshot(commit, timeout=0.3) as files:
        stream = files.tar()
        stream.read(100)
        time.sleep(0.6)
        with pytest.raises(Unavailable, match="not read in time"):
            stream.read()


def test_a_mirror_that_breaks_meanwhile_is_reported_and_heals(server: Forge, mirror: Mirror) -> None:
    commit = mirror.fetch_branch("main")
    blob = git(server.repo, "rev-parse", f"{commit}:web/index.html")
    with mirror.snapshot(commit) as files:
        (mirror.folder / "objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(Unavailable, match="made again"):
            files.tar().read()
    mirror.fetch_commit(commit, "main")
    with mirror.snapshot(commit) as files:
        assert contents(files.tar().read())["web/index.html"] == b"<p>\n"


def test_single_files_are_read_as_committed(server: Forge, mirror: Mirror) -> None:
    commit = mirror.fetch_branch("main")
    with mirror.snapshot(commit) as files:
        assert files.date == DATE
        assert (files.read("Dockerfile"), files.read("empty"), files.read("nowhere")) == (
            b"FROM scratch\n",
            b"",
            None,
        )
        assert files.read(LONG) == b"far away\n"
        assert members(files.tar().read()).keys() >= {"Dockerfile", "web/index.html"}
    with mirror.snapshot(commit, "web") as files:
        assert (files.read("index.html"), files.read("Dockerfile")) == (b"<p>\n", None)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("way", "web/way is a symbolic link, not a file"),
        ("way/x", "web/way, on the way to web/way/x, is a symbolic link"),
        ("more", "web/more is a folder, not a file"),
        ("big", "web/big has 20 bytes; at most 10 are read"),
    ],
)
def test_what_is_no_readable_file_is_refused(server: Forge, mirror: Mirror, path: str, words: str) -> None:
    server.commit({"web/more/x": "x", "web/big": "x" * 20})
    with mirror.snapshot(mirror.fetch_branch("main"), "web") as files, pytest.raises(Refused, match=words):
        files.read(path, 10)


def test_a_commit_with_a_signature_and_odd_names_has_its_date(server: Forge, mirror: Mirror) -> None:
    tree = git(server.repo, "rev-parse", "main^{tree}")
    raw = (
        f"tree {tree}\nauthor A committer B <a@b> 1 +0000\ncommitter committer <c@d> 1700000007 -0330\n"
        "gpgsig -----BEGIN X-----\n committer nobody <x@y> 5 +0000\n -----END X-----\n\ncommitter 9\n"
    )
    commit = git(server.repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw.encode())
    git(server.repo, "update-ref", "refs/heads/main", commit)
    mirror.fetch_branch("main")
    with mirror.snapshot(commit) as files:
        assert files.date == 1_700_000_007


def test_a_link_that_is_longer_than_any_path_is_refused(server: Forge, mirror: Mirror) -> None:
    server.commit({"web/link": "x" * 4096}, modes={"web/link": "120000"})
    with mirror.snapshot(mirror.fetch_branch("main")) as files:
        assert members(files.tar().read())["web/link"].linkname == "x" * 4096
    server.commit({"web/link": "x" * 4097}, modes={"web/link": "120000"})
    with mirror.snapshot(mirror.fetch_branch("main")) as files:
        with pytest.raises(Refused, match="web/link is a symbolic link of 4097 bytes") as caught:
            files.tar()
        assert caught.value.reason is Reason.SOURCE_UNSUPPORTED
        assert files.tar(lambda path: path == "web/link").read()


@pytest.mark.parametrize(
    ("committer", "date"),
    [
        ("committer Mina <m@example.com> 99999999999999 +0000", 253_402_300_799),
        ("committer Mina <m@example.com> -5 +2500", 0),
        ("committer Mina <m@example.com>", 0),
        ("author Mina <m@example.com> 7 +0000", 0),
    ],
)
def test_a_commit_with_a_time_that_no_calendar_has_can_be_built(
    server: Forge, mirror: Mirror, committer: str, date: int
) -> None:
    tree = git(server.repo, "rev-parse", "main^{tree}").strip()
    odd = f"tree {tree}\nauthor Mina <m@example.com> 1700000007 +0900\n{committer}\n\nodd\n"
    literally = ("hash-object", "-t", "commit", "-w", "--literally", "--stdin")
    commit = git(server.repo, *literally, stdin=odd.encode()).strip()
    git(server.repo, "update-ref", "refs/heads/main", commit)
    mirror.fetch_branch("main")
    with mirror.snapshot(commit) as files:
        assert files.date == date
        assert members(files.tar().read())["Dockerfile"].mtime == date
