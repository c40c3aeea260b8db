"""Whatever is cut off, the next call lands nothing twice."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.domain.changes import Landed, Withdrawn
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.contracts import ROOT
from tests.support.git import git
from tests.support.githttp import TOKEN, USER, Fault, Forge, forge
from tests.support.landing import VALUES, change, file, land_all, pushes, tag_of
from workers.clients.git import GITOPS, Mirror
from workers.gitops.commit import InDoubt


def test_the_same_call_again_lands_nothing_twice(server: Forge, mirror: Mirror) -> None:
    first = land_all(mirror, [change(1), change(2)])
    again = land_all(mirror, [change(1), change(2), change(3)])
    assert [(r.run, r.commit, r.created, r.previous) for r in again[:2]] == [  # type: ignore[union-attr]
        (r.run, r.commit, False, ("old",))  # type: ignore[union-attr]
        for r in first
    ]
    assert again[2].created is True  # type: ignore[union-attr]
    assert server.log() == [f"deploy(app): 배포 {run}" for run in (3, 2, 1)] + ["start"]


def test_a_landed_change_is_not_repeated_when_somebody_changed_the_value_since(server: Forge, mirror: Mirror) -> None:
    first = land_all(mirror, [change(1)])
    server.commit({file(1): VALUES.format(app=1).replace("old", "by-hand")})
    assert land_all(mirror, [change(1)]) == [
        Landed(run=1, commit=first[0].commit, created=False, previous=("old",))  # type: ignore[union-attr]
    ]
    assert tag_of(server, 1) == "by-hand"


def test_the_rollback_of_a_run_is_another_change_than_its_deploy(server: Forge, mirror: Mirror) -> None:
    back = change(1, tag="old", trailers=(("Pilotage-Run", "1"), ("Pilotage-Rollback", "true")))
    assert [r.created for r in land_all(mirror, [change(1)])] == [True]  # type: ignore[union-attr]
    assert [r.created for r in land_all(mirror, [back])] == [True]  # type: ignore[union-attr]
    assert [r.created for r in land_all(mirror, [back, change(1)])] == [False, False]  # type: ignore[union-attr]
    assert tag_of(server, 1) == "old"


@pytest.mark.parametrize("root", [True, False])
def test_a_found_commit_with_nothing_below_it_tells_no_former_value(
    server: Forge, mirror: Mirror, tmp_path: Path, root: bool
) -> None:
    message = "moved here\n\nPilotage-Run: 7\nPilotage-Image: hub/app:sha-7"
    if root:
        git(server.repo, "update-ref", "-d", "refs/heads/main")
    found = server.commit({"new.yaml": "image:\n  tag: sha-7\n"}, message=message)
    assert land_all(mirror, [change(7, file="new.yaml")]) == [Landed(run=7, commit=found, created=False)]


def test_a_push_whose_answer_was_lost_counts_if_it_landed(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="receive", drop="after"))
    (result,) = land_all(mirror, [change(1)])
    assert result == Landed(run=1, commit=server.head(), created=True, previous=("old",))
    assert pushes(server) == 1


def test_a_push_that_did_not_arrive_can_be_repeated(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="receive", drop="before"))
    with pytest.raises(InDoubt) as caught:
        land_all(mirror, [change(1)])
    assert caught.value.reason is Reason.GITOPS_UNAVAILABLE
    assert server.log() == ["start"]
    assert land_all(mirror, [change(1)])[0].created is True  # type: ignore[union-attr]


def test_when_the_branch_cannot_be_read_back_the_next_call_finds_out(server: Forge, mirror: Mirror) -> None:
    server.app.after_receive = lambda _: server.app.inject(Fault(service="upload", discovery=True, status=503))
    with pytest.raises(InDoubt, match=r"pushed .* but the branch could not be read back"):
        land_all(mirror, [change(1)])
    server.app.after_receive = None
    assert land_all(mirror, [change(1)]) == [Landed(run=1, commit=server.head(), created=False, previous=("old",))]


def test_a_change_that_nobody_wants_any_more_is_looked_for_and_not_made(server: Forge, mirror: Mirror) -> None:
    assert land_all(mirror, [change(1), change(2)], unwanted=frozenset([1]))[0] == Withdrawn(run=1)
    assert server.log() == ["deploy(app): 배포 2", "start"]
    (found,) = land_all(mirror, [change(2)], unwanted=frozenset([2]))
    assert found == Landed(run=2, commit=server.head(), created=False, previous=("old",))


def test_a_server_that_is_not_reached_leaves_no_doubt(tmp_path: Path) -> None:
    with forge(tmp_path / "srv", "platform/gitops") as server:
        server.commit({file(1): VALUES.format(app=1)}, message="start")
        mirror = server.mirror(tmp_path / "state", GITOPS)
        mirror.fetch_branch("main")
    with pytest.raises(Unavailable, match="no connection") as caught:
        land_all(mirror, [change(1)])
    assert not isinstance(caught.value, InDoubt)


def test_a_push_that_takes_too_long_is_found_later(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    done = threading.Event()
    server.app.after_receive = lambda _: done.set()
    server.app.inject(Fault(service="receive", delay=2.0))
    with pytest.raises(InDoubt):
        land_all(mirror, [change(1)], deadline_s=1.5)
    assert done.wait(10)
    assert [r.created for r in land_all(mirror, [change(1)])] == [False]  # type: ignore[union-attr]
    assert server.log() == ["deploy(app): 배포 1", "start"]


def test_a_worker_killed_after_its_push_leaves_one_commit(server: Forge, mirror: Mirror) -> None:
    script = (
        "import os, sys; from pathlib import Path; from orchestrator.domain.apps import Author, GitAccess, Secret;"
        "from orchestrator.domain.changes import Change, Edit; from workers.clients.git import GITOPS, Mirror;"
        "from workers.gitops.commit import land; url, folder, user, file = sys.argv[1:];"
        "access = GitAccess(url=url, username=user, token=Secret(os.environ['TOKEN']));"
        "c = Change(run=1, file=file, edits=(Edit(path='image.tag', value='sha-1'),), message='deploy(app): 배포 1',"
        "  trailers=(('Pilotage-Run', '1'), ('Pilotage-Image', 'hub/app:sha-1')), date=1);"
        "land(Mirror(access, Path(folder), reasons=GITOPS), 'main', [c], author=Author(), deadline_s=60,"
        "  checkpoint=lambda: None)"
    )
    started = threading.Event()
    workers: list[subprocess.Popen[bytes]] = []

    def kill(_: str) -> None:
        assert started.wait(30)
        workers[0].kill()

    server.app.after_receive = kill
    command = [sys.executable, "-c", script, server.url, str(mirror.folder), USER, file(1)]
    workers.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TOKEN": TOKEN}))
    started.set()
    assert workers[0].wait(60) == -signal.SIGKILL
    server.app.after_receive = None
    assert [r.created for r in land_all(mirror, [change(1)])] == [False]  # type: ignore[union-attr]
    assert server.log() == ["deploy(app): 배포 1", "start"]
