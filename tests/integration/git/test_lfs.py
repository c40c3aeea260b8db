"""Files that Git LFS keeps: a build gets their content, proven, from a server as strict as those of real forges."""

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.domain.apps import GitAccess, Secret
from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.faults import HttpFault
from orchestrator.sandbox.forge import TOKEN, USER, SandboxForge
from orchestrator.sandbox.forge_git import run_git
from workers.clients.git import Mirror, mirror_folder
from workers.clients.git_lfs import GitLfs
from workers.clients.git_process import unchecked
from workers.clients.lfs_pointer import parse_pointer

REPO = "acme/site"
RULES = "*.png filter=lfs diff=lfs merge=lfs -text\n"
LOGO = bytes(range(256)) * 2000
MEDIA_TYPE = "application/vnd.git-lfs+json"


@dataclass
class Site:
    """A repository with Git LFS, a mirror of it, and what the run's log says."""

    forge: SandboxForge
    state: Path
    lines: list[str] = field(default_factory=list)

    def access(self, **changes: object) -> GitAccess:
        values = {"url": self.forge.clone_url(REPO), "username": USER, "token": Secret(TOKEN), **changes}
        return GitAccess(**values)  # type: ignore[arg-type]

    @property
    def mirror(self) -> Mirror:
        return Mirror(self.access(), mirror_folder(self.state, self.forge.clone_url(REPO)))

    def commit(self, **contents: bytes) -> dict[str, str]:
        """Push files that Git LFS keeps (``logo`` is ``logo.png``); return their ids."""
        pointers = {f"{name}.png": self.forge.lfs.put(REPO, content) for name, content in contents.items()}
        self.forge.commit(REPO, "main", {".gitattributes": RULES, **pointers}, "Add pictures")
        return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}

    def tar(
        self,
        mirror: Mirror | None = None,
        *,
        checkpoint: Callable[[], None] = lambda: None,
        leave_out: Callable[[str], bool] = lambda _: False,
    ) -> bytes:
        mirror = mirror or self.mirror
        head = mirror.fetch_branch("main")
        with mirror.snapshot(head, timeout=60, log=self.lines.append, checkpoint=checkpoint) as files:
            return files.tar(leave_out).read()

    def refused(self, kind: type[PilotageError] = Refused, **options: object) -> PilotageError:
        with pytest.raises(kind) as caught:
            self.tar(**options)  # type: ignore[arg-type]
        assert TOKEN not in str(caught.value)
        return caught.value

    def asked(self) -> list[str]:
        return [one.path.rpartition("/")[2][:6] for one in self.forge.lfs.arrived]

    def unfinished(self) -> list[Path]:
        return list(self.mirror.lfs.folder.glob("*.part"))


@pytest.fixture
def site(tmp_path: Path) -> "Site":
    forge = SandboxForge(state_dir=tmp_path / "forge")
    with ExitStack() as stack:
        stack.callback(forge.stop)
        forge.start()
        forge.create_repo(REPO, {"Dockerfile": "FROM scratch\n", "small.txt": "version 2\n"})
        yield Site(forge, tmp_path / "state")  # type: ignore[misc]


def contents(raw: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isreg()}
        return {name: file.read() for name, file in files.items() if file}


def test_a_build_gets_the_content_of_a_pointer(site: Site) -> None:
    site.commit(logo=LOGO, icon=b"i")
    found = contents(site.tar())
    assert (found["logo.png"], found["icon.png"], found["small.txt"]) == (LOGO, b"i", b"version 2\n")
    assert site.lines == ["fetching 2 Git LFS objects, 512 kB"]


def test_what_is_asked_is_what_the_documents_of_git_lfs_say(site: Site) -> None:
    ids = site.commit(logo=LOGO)
    site.tar()
    batch, download = site.forge.lfs.arrived
    assert batch.path == f"/{REPO}.git/info/lfs/objects/batch"
    assert (batch.headers["accept"], batch.headers["content-type"]) == (MEDIA_TYPE, MEDIA_TYPE)
    assert batch.json() == {
        "operation": "download",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": ids["logo"], "size": len(LOGO)}],
    }
    assert download.headers["authorization"].startswith("RemoteAuth ")


def test_the_next_build_downloads_nothing_and_its_stream_is_the_same(site: Site) -> None:
    site.commit(logo=LOGO)
    first = site.tar()
    assert site.tar() == first
    assert site.asked() == ["batch", site.commit(logo=LOGO, more=b"m")["logo"][:6]]
    site.tar()
    assert site.lines[1:] == [
        "1 Git LFS object is here already",
        "fetching 1 Git LFS object, 1 byte; 1 more is here already",
    ]


def test_a_stream_has_the_same_bytes_from_any_machine(site: Site, tmp_path: Path) -> None:
    site.commit(logo=LOGO)
    other = Mirror(site.access(), mirror_folder(tmp_path / "other", site.forge.clone_url(REPO)))
    assert site.tar() == site.tar(other)


def test_an_executable_pointer_is_an_executable_file(site: Site, tmp_path: Path) -> None:
    site.commit(logo=LOGO)
    clone = tmp_path / "clone"
    run_git(["clone", "-q", str(tmp_path / "forge" / f"{REPO}.git"), str(clone)])
    run_git(["-C", str(clone), "update-index", "--chmod=+x", "logo.png"])
    run_git(["-C", str(clone), "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "-m", "x"])
    run_git(["-C", str(clone), "push", "-q", "origin", "HEAD:main"])
    with tarfile.open(fileobj=io.BytesIO(site.tar())) as tar:
        member = tar.getmember("logo.png")
    assert (oct(member.mode), member.size, member.uid) == ("0o755", len(LOGO), 0)


def test_what_dockerignore_leaves_out_is_not_fetched(site: Site) -> None:
    ids = site.commit(logo=LOGO, draft=b"draft")
    found = contents(site.tar(leave_out=lambda path: path == "draft.png"))
    assert "draft.png" not in found
    assert site.asked() == ["batch", ids["logo"][:6]]


def test_files_with_the_same_content_are_fetched_once(site: Site) -> None:
    ids = site.commit(logo=LOGO, copy=LOGO)
    found = contents(site.tar())
    assert found["logo.png"] == found["copy.png"] == LOGO
    assert site.asked() == ["batch", ids["logo"][:6]]


def test_hundreds_of_files_are_asked_for_a_hundred_at_a_time(site: Site) -> None:
    pictures = {f"p{number}": str(number).encode() for number in range(230)}
    site.commit(**pictures)
    found = contents(site.tar())
    assert {name: found[f"{name}.png"] for name in pictures} == pictures
    assert [len(one.json()["objects"]) for one in site.forge.lfs.arrived if one.body] == [100, 100, 30]


@pytest.mark.parametrize("redirects", [False, True])
def test_our_login_does_not_go_to_the_store_that_the_forge_names(site: Site, redirects: bool) -> None:
    store = site.forge.keep_lfs_elsewhere(redirects=redirects)
    site.commit(logo=LOGO)
    assert contents(site.tar())["logo.png"] == LOGO
    last = site.forge.lfs.arrived[-1]
    assert (last.path.startswith("/store/"), last.headers["host"]) == (True, store.removeprefix("http://"))
    assert not {"authorization", "cookie"} & last.headers.keys()


def test_a_wrong_content_reaches_no_image(site: Site) -> None:
    ids = site.commit(logo=LOGO)
    for wrong, words in ((b"x" * len(LOGO), "has the SHA-256"), (b"short", "has 5 bytes, not the 512000")):
        site.forge.lfs.spoil(REPO, ids["logo"], wrong)
        error = site.refused()
        assert error.reason is Reason.SOURCE_UNSUPPORTED
        assert error.evidence.startswith(
            f"logo.png: what 127.0.0.1 sent as Git LFS object {ids['logo'][:12]} {words}"
        )
        assert not site.mirror.lfs.path(parse_pointer(site.forge.lfs.put(REPO, LOGO).encode())).exists()
    assert site.unfinished() == []
    assert contents(site.tar())["logo.png"] == LOGO


def test_a_size_that_the_server_does_not_know_is_refused(site: Site) -> None:
    ids = site.commit(logo=LOGO)
    wrong = f"version https://git-lfs.github.com/spec/v1\noid sha256:{ids['logo']}\nsize 5\n"
    site.forge.commit(REPO, "main", {"logo.png": wrong}, "Forge a size")
    assert "is refused there" in site.refused().evidence


def test_an_object_that_was_never_pushed_is_named_with_what_to_do(site: Site) -> None:
    ids = site.commit(logo=LOGO)
    site.forge.lfs.forget(REPO, ids["logo"])
    error = site.refused()
    assert error.reason is Reason.SOURCE_UNSUPPORTED
    assert error.evidence.startswith(
        f"logo.png: Git LFS object {ids['logo'][:12]} is not there, at http://127.0.0.1:"
    )
    assert "(404: Object does not exist): push it with `git lfs push --all origin`" in error.evidence


@pytest.mark.parametrize(
    ("fault", "kind", "reason", "words"),
    [
        (HttpFault(where="batch", status=403, body="{}"), Refused, Reason.SOURCE_REFUSED, "HTTP 403"),
        (HttpFault(where="batch", status=404), Refused, Reason.SOURCE_UNSUPPORTED, "no Git LFS at"),
        (
            HttpFault(where="batch", status=302, headers={"Location": "/x"}),
            Refused,
            Reason.SOURCE_REFUSED,
            "redirects",
        ),
        (HttpFault(where="batch", status=503), Unavailable, Reason.SOURCE_UNAVAILABLE, "Git LFS: HTTP 503"),
        (HttpFault(where="batch", status=507), Unavailable, Reason.SOURCE_UNAVAILABLE, "no room left"),
        (HttpFault(where="batch", drop="before"), Unavailable, Reason.SOURCE_UNAVAILABLE, "Git LFS: POST http"),
        (HttpFault(where="batch", status=200, body="<html>"), Refused, Reason.SOURCE_REFUSED, "login page"),
        (HttpFault(method="GET", status=404), Refused, Reason.SOURCE_UNSUPPORTED, "is not kept by 127.0.0.1"),
        (HttpFault(method="GET", status=403), Refused, Reason.SOURCE_REFUSED, "HTTP 403"),
        (HttpFault(method="GET", status=500), Unavailable, Reason.SOURCE_UNAVAILABLE, "HTTP 500"),
        (HttpFault(method="GET", drop="before"), Unavailable, Reason.SOURCE_UNAVAILABLE, "Git LFS: GET http"),
    ],
)
def test_each_fault_has_its_reason_and_the_next_attempt_works(
    site: Site, fault: HttpFault, kind: type[PilotageError], reason: Reason, words: str
) -> None:
    site.commit(logo=LOGO)
    site.forge.lfs.faults.add(fault)
    error = site.refused(kind)
    assert error.reason is reason
    assert words in error.evidence
    assert contents(site.tar())["logo.png"] == LOGO


def test_a_server_that_asks_for_patience_gets_it(site: Site) -> None:
    site.commit(logo=LOGO)
    for where in ("batch", "objects"):
        site.forge.lfs.faults.add(HttpFault(where=where, status=429, headers={"Retry-After": "17"}))
        error = site.refused(Unavailable)
        assert isinstance(error, Unavailable)
        assert error.retry_after == 17


def test_a_cut_stream_is_tried_again_and_what_is_whole_is_kept(site: Site) -> None:
    ids = site.commit(logo=LOGO, icon=b"i")
    site.forge.lfs.cut(ids["logo"])
    assert "broke off" in site.refused(Unavailable).evidence
    assert site.unfinished() == []
    assert contents(site.tar())["logo.png"] == LOGO


def test_a_wrong_login_is_refused_and_not_shown(site: Site) -> None:
    site.commit(logo=LOGO)
    head = site.mirror.fetch_branch("main")
    wrong = Mirror(site.access(token=Secret("wrong-token-1")), site.mirror.folder)
    with wrong.snapshot(head) as files, pytest.raises(Refused) as caught:
        files.tar()
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "does not accept the login (HTTP 401: Credentials needed)" in caught.value.evidence
    assert "wrong-token-1" not in str(caught.value)


def test_a_server_that_the_repository_names_is_told_and_not_asked(site: Site) -> None:
    ids = site.commit(logo=LOGO)
    site.forge.lfs.forget(REPO, ids["logo"])
    config = '[lfs]\n\turl = "https://user:pw@lfs.evil.example/x"\n'
    site.forge.commit(REPO, "main", {".lfsconfig": config}, "Name another")
    error = site.refused()
    assert error.evidence.endswith("; .lfsconfig names https://lfs.evil.example/x, which is not obeyed")
    usual = f"[lfs]\n\turl = {site.forge.clone_url(REPO)}/info/lfs\n"
    site.forge.commit(REPO, "main", {".lfsconfig": usual}, "Name what is asked anyway")
    assert ".lfsconfig" not in site.refused().evidence


def test_cancel_ends_a_download_that_hangs(site: Site) -> None:
    ids = site.commit(logo=LOGO)
    held, asked = site.forge.lfs.hold(ids["logo"]), threading.Event()

    def checkpoint() -> None:
        if asked.is_set():
            raise Cancelled("a person")
        if ids["logo"][:6] in site.asked():
            asked.set()

    site.refused(Cancelled, checkpoint=checkpoint)
    assert site.unfinished() == []
    held.set()
    assert contents(site.tar())["logo.png"] == LOGO


def test_the_time_of_the_build_ends_a_download_that_hangs(site: Site) -> None:
    pointer = parse_pointer(site.forge.lfs.put(REPO, LOGO).encode())
    held = site.forge.lfs.hold(pointer.oid)
    hurried, patient = (
        GitLfs(site.access(), site.mirror.lfs, timeout=seconds, log=_quiet, checkpoint=unchecked, config=lambda: None)
        for seconds in (0.5, 60)
    )
    with pytest.raises(Unavailable, match="not all objects came in the 0 s") as caught:
        hurried.fetch({"logo.png": pointer})
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert site.unfinished() == []
    held.set()
    assert patient.fetch({"logo.png": pointer})["logo.png"].read_bytes() == LOGO


def _quiet(_: str) -> None:
    """Nobody reads the log."""


def test_two_builds_at_once_fetch_into_one_store(site: Site) -> None:
    site.commit(**{f"p{number}": bytes([number]) * 100_000 for number in range(12)})
    site.mirror.fetch_branch("main")
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(site.tar())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    assert results[0] == results[1]
    assert site.unfinished() == []


def test_a_pointer_in_place_of_the_rules_of_a_build_is_refused(site: Site) -> None:
    pointer = site.forge.lfs.put(REPO, b"FROM scratch\n")
    site.forge.commit(REPO, "main", {"Dockerfile": pointer}, "Keep the Dockerfile in LFS")
    mirror = site.mirror
    with (
        mirror.snapshot(mirror.fetch_branch("main")) as files,
        pytest.raises(Refused, match="commit the file itself"),
    ):
        files.read("Dockerfile")


def test_a_size_that_no_disk_has_is_refused_before_anything_is_asked(site: Site) -> None:
    huge = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize {2**62}\n"
    site.forge.commit(REPO, "main", {".gitattributes": RULES, "huge.png": huge}, "Ask for the moon")
    error = site.refused(Unavailable)
    assert error.reason is Reason.STATE_UNWRITABLE
    assert "do not fit" in error.evidence
    assert site.asked() == []


AUTHENTICATE = """#!/bin/sh
printf '%s\\n' "$@" > {log}
{does}
"""


def over_ssh(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> Mirror:
    """A mirror by SSH: its `ssh` runs the command here, and `git-lfs-authenticate` does what a test says."""
    programs, hosts = tmp_path / "bin", tmp_path / "known_hosts"
    programs.mkdir()
    hosts.touch()
    scripts = {
        "ssh": '#!/bin/sh\nfor last; do :; done\neval "$last"\n',
        "git-lfs-authenticate": AUTHENTICATE.format(log=tmp_path / "asked", does=does),
    }
    for name, script in scripts.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path / "forge")
    url = f"ssh://git@127.0.0.1:2222{tmp_path}/forge/{REPO}.git"
    return Mirror(site.access(url=url, token=Secret(""), known_hosts=str(hosts)), mirror_folder(site.state, url))


def test_over_ssh_the_server_says_where_and_with_what(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.commit(logo=LOGO)
    login = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
    said = {"href": f"{site.forge.clone_url(REPO)}/info/lfs", "header": {"Authorization": f"Basic {login}"}}
    mirror = over_ssh(site, tmp_path, monkeypatch, f"cat <<'JSON'\n{json.dumps(said)}\nJSON")
    assert contents(site.tar(mirror))["logo.png"] == LOGO
    path = f"{tmp_path}/forge/{REPO}.git".lstrip("/")
    assert (tmp_path / "asked").read_text().splitlines() == [path, "download"]


@pytest.mark.parametrize(
    ("does", "kind", "reason", "words"),
    [
        (
            "echo >&2 'Unknown command'; exit 1",
            Refused,
            Reason.SOURCE_UNSUPPORTED,
            "https address",
        ),
        ("echo '<html>'", Refused, Reason.SOURCE_REFUSED, "does not answer `git-lfs-authenticate`"),
        ('echo \'{"href": "ftp://x"}\'', Refused, Reason.SOURCE_REFUSED, "no http(s) address"),
        ('echo \'{"href": "http://git.example.com/x"}\'', Unavailable, Reason.SOURCE_UNAVAILABLE, "does not resolve"),
        ("echo >&2 'git@x: Permission denied (publickey).'; exit 255", Refused, Reason.SOURCE_REFUSED, "SSH key"),
        ("echo >&2 'Internal server error'; exit 1", Unavailable, Reason.SOURCE_UNAVAILABLE, "git failed"),
    ],
)
def test_over_ssh_each_failure_has_its_reason(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    does: str,
    kind: type[PilotageError],
    reason: Reason,
    words: str,
) -> None:
    site.commit(logo=LOGO)
    mirror = over_ssh(site, tmp_path, monkeypatch, does)
    error = site.refused(kind, mirror=mirror)
    assert error.reason is reason
    assert words in error.evidence


def test_kept_contents_are_tidied_with_the_mirror_and_outlive_its_damage(site: Site) -> None:
    site.commit(logo=LOGO)
    site.tar()
    mirror = site.mirror
    assert mirror.needs_tidying()
    assert not mirror.tidy(), "nothing to pack"
    assert not mirror.needs_tidying()
    shutil.rmtree(mirror.folder)
    site.tar()
    assert site.lines[-1] == "1 Git LFS object is here already"
