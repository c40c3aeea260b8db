"""Foreign errors become ours, in time, and no process is left."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from tests.support.contracts import ROOT
from tests.support.git_processes import cancel, children_of
from tests.support.githttp import TOKEN, USER, Fault, Forge
from tests.support.loopback import Reply, loopback
from tests.support.waiting import until
from workers.clients.git import GITOPS, SOURCE, Mirror

SERVICE = "# service=git-upload-pack\n"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault(discovery=True, status=401), Refused, "login"),
        (Fault(discovery=True, status=403), Refused, "403"),
        (Fault(discovery=True, status=404), Refused, "no such repository"),
        (Fault(discovery=True, status=200), Refused, "not a Git repository"),
        (Fault(discovery=True, status=301, headers=(("Location", "/x"),)), Refused, "redirects"),
        (Fault(discovery=True, status=429), Unavailable, "429"),
        (Fault(discovery=True, status=500), Unavailable, "the server failed"),
        (Fault(discovery=True, status=503), Unavailable, "503"),
        (Fault(status=502), Unavailable, "the server failed"),
        (Fault(discovery=True, drop="before"), Unavailable, "connection broke"),
        (Fault(drop="after", times=3), Unavailable, "connection broke"),
    ],
)
@pytest.mark.parametrize("reasons", [SOURCE, GITOPS])
def test_answers_of_the_server_become_our_errors(
    server: Forge, tmp_path: Path, fault: Fault, kind: type[PilotageError], words: str, reasons
) -> None:  # type: ignore[no-untyped-def]
    mirror = server.mirror(tmp_path / "state", reasons)
    server.app.inject(fault)
    with pytest.raises(kind) as caught:
        mirror.fetch_branch("main")
    assert type(caught.value) is kind
    assert caught.value.reason is (reasons.refused if kind is Refused else reasons.unavailable)
    assert words in caught.value.evidence
    assert "\n" not in caught.value.evidence


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:1/x.git", "no connection"), ("http://nowhere.invalid/x.git", "cannot be resolved")],
)
def test_a_server_that_is_not_there_is_unavailable(server: Forge, tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        server.mirror(tmp_path, url=url).ls_remote()


def advertised(*lines: str) -> Reply:
    """Say it where the refs should be."""
    said = "0000".join("".join(f"{len(line) + 4:04x}{line}" for line in part) for part in ([SERVICE], lines))
    return Reply(200, said, {"Content-Type": "application/x-git-upload-pack-advertisement"})


@pytest.mark.parametrize("said", ["No space left on device", "bad object HEAD"])
@pytest.mark.parametrize("answer", [advertised, lambda said: Reply(503, f"no service:\r{said}")])
def test_what_the_server_says_of_its_own_disk_is_no_trouble_of_ours(
    server: Forge, tmp_path: Path, answer: Callable[[str], Reply], said: str
) -> None:
    with loopback(lambda _: answer(f"ERR {said}")) as failing, pytest.raises(Unavailable) as caught:
        server.mirror(tmp_path / "state", url=f"{failing.url}/x.git").fetch_branch("main")
    assert caught.value.reason is SOURCE.unavailable
    assert said in caught.value.evidence
    assert len(failing.asked) == 1, "the copy is sound"


@pytest.mark.parametrize("page", ["404 page not found\n", "default backend - 404"])
def test_a_proxy_that_does_not_know_the_server_for_a_moment_is_no_missing_repository(
    server: Forge, tmp_path: Path, page: str
) -> None:
    with loopback(lambda _: Reply(404, page)) as proxy, pytest.raises(Unavailable, match="a proxy before the server"):
        server.mirror(tmp_path, url=f"{proxy.url}/acme/web.git").fetch_branch("main")


def test_the_proxy_of_the_environment_is_asked(
    server: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback(lambda _: Reply(status=503)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(Unavailable, match="the server failed"):
            server.mirror(tmp_path, url="http://git.invalid/x.git").ls_remote()
        assert "refs/heads/main" in server.mirror(tmp_path).ls_remote()
    assert [asked.headers["host"] for asked in proxy.asked] == ["git.invalid"]


def test_a_slow_server_is_given_up_and_no_process_is_left(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="upload", discovery=True, delay=20.0))
    with pytest.raises(Unavailable, match="no answer in"):
        mirror.fetch_branch("main", timeout=0.4)
    until(lambda: children_of(server.url) == [], "the end of all of Git", 10)


def test_a_checkpoint_ends_a_fetch_and_no_process_is_left(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="upload", discovery=True, delay=20.0))
    with pytest.raises(Cancelled):
        mirror.fetch_branch("main", checkpoint=cancel, timeout=10)
    until(lambda: children_of(server.url) == [], "the end of all of Git", 10)


def test_nothing_outlives_a_killed_worker(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="upload", discovery=True, delay=10.0))
    script = (
        "import os, sys; from pathlib import Path; from orchestrator.domain.apps import GitAccess, Secret;"
        "from workers.clients.git import Mirror; url, folder, user = sys.argv[1:];"
        "access = GitAccess(url=url, username=user, token=Secret(os.environ['TOKEN']));"
        "Mirror(access, Path(folder)).fetch_branch('main')"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, server.url, str(mirror.folder), USER],
        cwd=ROOT,
        env={**os.environ, "TOKEN": TOKEN},
    )
    until(lambda: any("remote-http" in words for words in children_of(server.url)), "Git at work", 10)
    worker.kill()
    worker.wait()
    until(lambda: children_of(server.url) == [], "the end of all of Git", 10)
