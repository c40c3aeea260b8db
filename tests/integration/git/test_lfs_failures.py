"""Git LFS that fails: each cause has its reason and its sentence, nothing half is kept, the next attempt works."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.domain.apps import Build, Secret
from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.faults import HttpFault
from orchestrator.sandbox.forge import TOKEN, USER
from tests.support.imaging import ImageServices, order
from tests.support.lfs import LOGO, REPO, RULES, LfsSite
from tests.support.tars import contents
from tests.support.waiting import until
from workers.clients.git import Mirror
from workers.clients.git_lfs import GitLfs
from workers.clients.git_process import unchecked
from workers.clients.lfs_pointer import parse_pointer
from workers.stages import build


def test_a_wrong_content_reaches_no_image(site: LfsSite) -> None:
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


def test_a_size_that_the_server_does_not_know_is_refused(site: LfsSite) -> None:
    ids = site.commit(logo=LOGO)
    wrong = f"version https://git-lfs.github.com/spec/v1\noid sha256:{ids['logo']}\nsize 5\n"
    site.forge.commit(REPO, "main", {"logo.png": wrong}, "Forge a size")
    assert "is refused there" in site.refused().evidence


def test_an_object_that_was_never_pushed_is_named_with_what_to_do(site: LfsSite) -> None:
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
    site: LfsSite, fault: HttpFault, kind: type[PilotageError], reason: Reason, words: str
) -> None:
    site.commit(logo=LOGO)
    site.forge.lfs.faults.add(fault)
    error = site.refused(kind)
    assert error.reason is reason
    assert words in error.evidence
    assert contents(site.tar())["logo.png"] == LOGO


def test_errors_name_the_path_in_the_commit(site: LfsSite) -> None:
    pointer = site.forge.lfs.put(REPO, LOGO)
    site.forge.commit(REPO, "main", {".gitattributes": RULES, "web/logo.png": pointer}, "Add")
    mirror = site.mirror
    head = mirror.fetch_branch("main")
    with mirror.snapshot(head, "web") as files:
        assert contents(files.tar().read()) == {"logo.png": LOGO}
    shutil.rmtree(mirror.lfs.folder)
    site.forge.lfs.spoil(REPO, hashlib.sha256(LOGO).hexdigest(), b"x" * len(LOGO))
    with mirror.snapshot(head, "web") as files, pytest.raises(Refused, match=r"web/logo\.png: what"):
        files.tar()


def test_a_server_that_asks_for_patience_gets_it(site: LfsSite) -> None:
    site.commit(logo=LOGO)
    for where in ("batch", "objects"):
        site.forge.lfs.faults.add(HttpFault(where=where, status=429, headers={"Retry-After": "17"}))
        error = site.refused(Unavailable)
        assert isinstance(error, Unavailable)
        assert error.retry_after == 17


def test_a_cut_stream_is_tried_again_and_what_is_whole_is_kept(site: LfsSite) -> None:
    ids = site.commit(logo=LOGO, icon=b"i")
    site.forge.lfs.cut(ids["logo"])
    assert "broke off" in site.refused(Unavailable).evidence
    assert site.unfinished() == []
    assert contents(site.tar())["logo.png"] == LOGO


def test_a_wrong_login_is_refused_and_not_shown(site: LfsSite) -> None:
    site.commit(logo=LOGO)
    head = site.mirror.fetch_branch("main")
    wrong = Mirror(site.access(token=Secret("wrong-token-1")), site.mirror.folder)
    with wrong.snapshot(head) as files, pytest.raises(Refused) as caught:
        files.tar()
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "does not accept the login (HTTP 401: Credentials needed)" in caught.value.evidence
    assert "wrong-token-1" not in str(caught.value)


def test_a_server_that_the_repository_names_is_told_and_not_asked(site: LfsSite) -> None:
    ids = site.commit(logo=LOGO)
    site.forge.lfs.forget(REPO, ids["logo"])
    config = '[lfs]\n\turl = "https://user:pw@lfs.evil.example/x"\n'
    site.forge.commit(REPO, "main", {".lfsconfig": config}, "Name another")
    error = site.refused()
    assert error.evidence.endswith("; .lfsconfig names https://lfs.evil.example/x, which is not obeyed")
    usual = f"[lfs]\n\turl = {site.forge.clone_url(REPO)}/info/lfs\n"
    site.forge.commit(REPO, "main", {".lfsconfig": usual}, "Name what is asked anyway")
    assert ".lfsconfig" not in site.refused().evidence


def test_cancel_ends_a_download_that_hangs(site: LfsSite) -> None:
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


def test_the_time_of_the_build_ends_a_download_that_hangs(site: LfsSite) -> None:
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


@pytest.mark.parametrize("submodules", [False, True])
def test_contents_that_take_too_long_are_asked_for_again(site: LfsSite, submodules: bool) -> None:
    ids = site.commit(logo=LOGO)
    held = site.forge.lfs.hold(ids["logo"])
    services = ImageServices()
    parts = services.tools()
    tools = replace(parts, clients=cast("Any", SimpleNamespace(**{**vars(parts.clients), "source": site.mirror})))
    wanted = order(build=Build(timeout=2.0, submodules=submodules), commit=site.mirror.fetch_branch("main"))
    with pytest.raises(Unavailable, match="not all objects came in the 2 s") as caught:
        build.run(wanted, tools)
    held.set()
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE


def _quiet(_: str) -> None:
    """Nobody reads the log."""


FETCH = """
import sys
from pathlib import Path
from orchestrator.domain.apps import GitAccess, Secret
from workers.clients.git_lfs import GitLfs
from workers.clients.lfs_pointer import LfsPointer
from workers.clients.lfs_store import LfsStore
url, user, token, folder, oid, size = sys.argv[1:]
lfs = GitLfs(GitAccess(url=url, username=user, token=Secret(token)), LfsStore(Path(folder)), timeout=60,
             log=print, checkpoint=lambda: None, config=lambda: None)
lfs.fetch({"logo.png": LfsPointer(oid, int(size))})
"""


def test_a_process_that_is_killed_in_the_middle_leaves_no_half_content(site: LfsSite) -> None:
    ids = site.commit(logo=LOGO)
    held, store = site.forge.lfs.hold(ids["logo"]), site.mirror.lfs
    where = [site.forge.clone_url(REPO), USER, TOKEN, str(store.folder), ids["logo"], str(len(LOGO))]
    process = subprocess.Popen([sys.executable, "-c", FETCH, *where], stdout=subprocess.DEVNULL)
    [left] = until(site.unfinished, "the beginning of the download")
    process.kill()
    process.wait(30)
    held.set()
    assert contents(site.tar())["logo.png"] == LOGO
    assert site.unfinished() == [left]
    os.utime(left, (0, 0))
    store.tidy()
    assert site.unfinished() == []


def test_a_pointer_in_place_of_the_rules_of_a_build_is_refused(site: LfsSite) -> None:
    pointer = site.forge.lfs.put(REPO, b"FROM scratch\n")
    site.forge.commit(REPO, "main", {"Dockerfile": pointer}, "Keep the Dockerfile in LFS")
    mirror = site.mirror
    with (
        mirror.snapshot(mirror.fetch_branch("main")) as files,
        pytest.raises(Refused, match="commit the file itself"),
    ):
        files.read("Dockerfile")


def test_a_size_that_no_disk_has_is_refused_before_anything_is_asked(site: LfsSite) -> None:
    huge = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize {2**62}\n"
    site.forge.commit(REPO, "main", {".gitattributes": RULES, "huge.png": huge}, "Ask for the moon")
    error = site.refused(Unavailable)
    assert error.reason is Reason.STATE_UNWRITABLE
    assert "do not fit" in error.evidence
    assert site.asked() == []
