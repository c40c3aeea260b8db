"""The group commit against a real Git server: what lands, in which shape, and that nothing lands twice or is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Change, Edit, Landed, Rejected
from orchestrator.domain.errors import Cancelled, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.githttp import TOKEN, USER, Fault, Forge, forge, git
from tests.support.needs import require_program
from workers.clients.git import GITOPS, Mirror, PushAnswer, PushVerdict, Signing
from workers.clients.git_lock import exclusive
from workers.gitops.commit import Result, land

AUTHOR = Author(name="Pilotage 봇", email="bot@example.com")
VALUES = "# 앱 {app}\nimage:\n  tag: old  # set by CI\nreplicas: 2\n"
APPS = 12


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forge]:
    with forge(tmp_path / "srv", "platform/gitops") as running:
        running.commit({file(app): VALUES.format(app=app) for app in range(APPS)}, message="start")
        yield running


@pytest.fixture
def mirror(server: Forge, tmp_path: Path) -> Mirror:
    return server.mirror(tmp_path / "state", GITOPS)


def file(app: int) -> str:
    return f"helm/앱/app-{app}/values.yaml"


def change(run: int, app: int | None = None, tag: str = "", **other: object) -> Change:
    fields = {
        "run": run,
        "file": file(run if app is None else app),
        "edits": (Edit(path="image.tag", value=tag or f"sha-{run}"),),
        "message": f"deploy(app): 배포 {run}",
        "trailers": (("Pilotage-Run", str(run)), ("Pilotage-Image", f"hub/app:sha-{run}")),
        "date": 1_700_000_500 + run,
    }
    return Change(**{**fields, **other})  # type: ignore[arg-type]


def land_all(mirror: Mirror, changes: Sequence[Change], **options: object) -> list[Result]:
    settings = {"author": AUTHOR, "deadline_s": 30.0, "checkpoint": lambda: None, "wait": lambda _: None}
    return land(mirror, "main", changes, **{**settings, **options})  # type: ignore[arg-type]


def tag_of(server: Forge, app: int) -> str:
    return server.show(file(app)).decode().split("tag: ")[1].split()[0]


def pushes(server: Forge) -> int:
    return sum(request.startswith("POST") and request.endswith("receive-pack") for request in server.app.requests)


def before_each_push(act: Callable[[], object]) -> Callable[[], None]:
    """A checkpoint that acts when the commits are made but not yet pushed (its second call in each attempt)."""
    calls = iter(range(1, 1000))

    def checkpoint() -> None:
        if next(calls) % 2 == 0:
            act()

    return checkpoint


def once(act: Callable[[], object]) -> Callable[[], None]:
    """Act at the first call only."""
    left = [act]
    return lambda: left.pop()() if left else None  # type: ignore[func-returns-value, return-value]


# what lands


def test_a_batch_is_one_commit_per_run_and_one_push(server: Forge, mirror: Mirror) -> None:
    start = server.head()
    results = land_all(mirror, [change(run) for run in range(5)])
    commits = git(server.repo, "rev-list", "--reverse", f"{start}..main").split()
    assert results == [
        Landed(run=run, commit=commit, created=True, previous=("old",)) for run, commit in enumerate(commits)
    ]
    assert pushes(server) == 1
    assert git(server.repo, "log", "--format=%P", f"{start}..main").split() == [*commits[-2::-1], start]
    assert [tag_of(server, app) for app in range(6)] == ["sha-0", "sha-1", "sha-2", "sha-3", "sha-4", "old"]


def test_a_commit_changes_one_line_and_says_who_when_and_why(server: Forge, mirror: Mirror) -> None:
    server.commit({file(3): VALUES.format(app=3)}, modes={file(3): "100755"})
    land_all(mirror, [change(3)])
    form = "--format=%an|%ae|%cn|%ce|%at|%ct|%aI%n%B"
    assert git(server.repo, "log", "-1", form, "main") == (
        "Pilotage 봇|bot@example.com|Pilotage 봇|bot@example.com|1700000503|1700000503|2023-11-14T22:21:43+00:00\n"
        "deploy(app): 배포 3\n\nPilotage-Run: 3\nPilotage-Image: hub/app:sha-3"
    )
    assert server.show(file(3)).decode() == VALUES.format(app=3).replace("old", "sha-3")
    assert git(server.repo, "diff", "--numstat", "-z", "main^", "main") == f"1\t1\t{file(3)}\0"
    assert git(server.repo, "ls-tree", "main", file(3)).startswith("100755")


def test_later_changes_see_what_earlier_ones_did(server: Forge, mirror: Mirror) -> None:
    batch = [
        change(1, app=0, tag="a"),
        change(2, app=0, tag="b"),
        change(3, app=0, tag="b"),
        change(4, app=0, edits=(Edit(path="replicas", value="3"), Edit(path="image.tag", value="b"))),
    ]
    first, second, third, fourth = land_all(mirror, batch)
    assert (first.previous, second.previous, fourth.previous) == (("old",), ("a",), ("2", "b"))  # type: ignore[union-attr]
    assert third == Landed(run=3, commit=second.commit, created=False)  # type: ignore[union-attr]
    assert b"tag: b " in server.show(file(0), second.commit)  # type: ignore[union-attr]
    assert server.head() == fourth.commit  # type: ignore[union-attr]


def test_a_value_that_is_there_already_makes_no_commit(server: Forge, mirror: Mirror) -> None:
    head = server.head()
    assert land_all(mirror, [change(1, tag="old")]) == [Landed(run=1, commit=head, created=False)]
    assert (server.head(), pushes(server)) == (head, 0)


def test_nothing_to_land_asks_nobody(server: Forge, mirror: Mirror) -> None:
    assert land_all(mirror, []) == []
    assert server.app.requests == []


def test_messages_and_trailers_cannot_break_out_of_their_lines(server: Forge, mirror: Mirror) -> None:
    odd = change(
        1, message="one\r\n\x00two\n\nPilotage-Run: 99\n", trailers=(("Pilotage-Image", "x\nPilotage-Run: 98"),)
    )
    land_all(mirror, [odd], author=Author(name="A\n<b>", email="<c>\n@d"))
    text = git(server.repo, "log", "-1", "--format=%B", "main")
    assert text.split("\n\n")[-1] == "Pilotage-Run: 1\nPilotage-Image: x Pilotage-Run: 98"
    assert git(server.repo, "log", "-1", "--format=%an|%ae", "main") == "A  b|c@d"
    assert land_all(mirror, [odd])[0].created is False  # type: ignore[union-attr]
    assert land_all(mirror, [change(99, app=1)])[0].created is True  # type: ignore[union-attr]


# what is rejected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"file": "no/such.yaml"}, "no/such.yaml is not in the branch main"),
        ({"file": "link.yaml"}, "link.yaml is a symbolic link, not a file"),
        ({"file": "way/app-1/values.yaml"}, "way/app-1/values.yaml lies below way, which is a symbolic link"),
        ({"file": "sub/values.yaml"}, "sub/values.yaml lies below sub, which is a submodule"),
        ({"file": "helm"}, "helm is a folder, not a file"),
        ({"file": "../values.yaml"}, "leaves the repository"),
        ({"file": "/etc/passwd"}, "not a path inside"),
        ({"file": "--output=x"}, "is not in the branch"),
        ({"file": "big.yaml"}, "at most"),
        ({"edits": (Edit(path="image.nothing", value="x"),)}, f"{file(1)}, line 3: "),
        ({"file": "latin.yaml"}, "latin.yaml, line 2: "),
    ],
)
def test_a_change_that_cannot_be_made_is_named_and_stops_no_other(
    server: Forge, mirror: Mirror, fields: dict[str, object], words: str
) -> None:
    server.commit(
        {
            "link.yaml": file(1),
            "way": "helm/앱",
            "sub": "1" * 40,
            "big.yaml": b"#" * (16 * 1024 * 1024 + 1) if fields.get("file") == "big.yaml" else "",
            "latin.yaml": "image:\n  tag: caf\xe9\n".encode("latin-1"),
        },
        modes={"link.yaml": "120000", "way": "120000", "sub": "160000"},
    )
    before, rejected, after = land_all(mirror, [change(2), change(1, **fields), change(3)])
    assert isinstance(rejected, Rejected)
    assert words in rejected.detail
    assert isinstance(before, Landed)
    assert isinstance(after, Landed)
    assert server.log()[:3] == ["deploy(app): 배포 3", "deploy(app): 배포 2", "change"]


# crashes are healed


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
    with pytest.raises(Unavailable) as caught:
        land_all(mirror, [change(1)])
    assert caught.value.reason is Reason.GITOPS_UNAVAILABLE
    assert server.log() == ["start"]
    assert land_all(mirror, [change(1)])[0].created is True  # type: ignore[union-attr]


def test_when_the_branch_cannot_be_read_back_the_next_call_finds_out(server: Forge, mirror: Mirror) -> None:
    server.app.after_receive = lambda _: server.app.inject(Fault(service="upload", discovery=True, status=503))
    with pytest.raises(Unavailable, match=r"pushed .* but the branch could not be read back"):
        land_all(mirror, [change(1)])
    server.app.after_receive = None
    assert land_all(mirror, [change(1)]) == [Landed(run=1, commit=server.head(), created=False, previous=("old",))]


def test_a_push_that_takes_too_long_is_found_later(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    done = threading.Event()
    server.app.after_receive = lambda _: done.set()
    server.app.inject(Fault(service="receive", delay=2.0))
    with pytest.raises(Unavailable):
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
    workers.append(
        subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], env={**os.environ, "TOKEN": TOKEN})
    )
    started.set()
    assert workers[0].wait(60) == -signal.SIGKILL
    server.app.after_receive = None
    assert [r.created for r in land_all(mirror, [change(1)])] == [False]  # type: ignore[union-attr]
    assert server.log() == ["deploy(app): 배포 1", "start"]


# races


def test_a_lost_race_is_won_by_applying_the_change_to_the_new_head(server: Forge, mirror: Mirror) -> None:
    foreign = once(lambda: server.commit({file(1): VALUES.format(app=1).replace("2", "5")}, message="foreign"))
    waits: list[float] = []
    results = land_all(
        mirror,
        [change(1), change(2)],
        checkpoint=before_each_push(foreign),
        wait=waits.append,
    )
    assert [r.created for r in results] == [True, True]  # type: ignore[union-attr]
    assert server.show(file(1)).decode() == VALUES.format(app=1).replace("2", "5").replace("old", "sha-1")
    assert server.log()[:3] == ["deploy(app): 배포 2", "deploy(app): 배포 1", "foreign"]
    assert len(waits) == 1
    assert 0 <= waits[0] <= 0.1


def test_a_file_that_a_race_takes_away_rejects_only_its_change(server: Forge, mirror: Mirror) -> None:
    checkpoint = before_each_push(once(lambda: server.commit({file(1): None}, message="foreign")))
    rejected, landed = land_all(mirror, [change(1), change(2)], checkpoint=checkpoint)
    assert isinstance(rejected, Rejected)
    assert isinstance(landed, Landed)


def test_a_locked_ref_on_the_server_is_a_race_too(server: Forge, mirror: Mirror) -> None:
    lock = server.repo / "refs" / "heads" / "main.lock"
    lock.touch()
    assert land_all(mirror, [change(1)], wait=lambda _: lock.unlink())[0].created is True  # type: ignore[union-attr]
    assert pushes(server) == 2


def test_who_loses_every_race_says_so(server: Forge, mirror: Mirror) -> None:
    numbers = iter(range(100))
    checkpoint = before_each_push(lambda: server.commit({"busy": str(next(numbers))}))
    waits: list[float] = []
    with pytest.raises(Unavailable) as caught:
        land_all(mirror, [change(1)], checkpoint=checkpoint, attempts=4, wait=waits.append)
    assert caught.value.reason is Reason.GITOPS_CONTENDED
    assert "4 pushes lost the race" in caught.value.evidence
    assert len(waits) == 3
    assert all(wait <= most for wait, most in zip(waits, (0.1, 0.2, 0.4), strict=True))


def test_who_loses_races_until_the_deadline_says_that_too(server: Forge, mirror: Mirror) -> None:
    numbers = iter(range(100))
    checkpoint = before_each_push(lambda: server.commit({"busy": str(next(numbers))}))
    with pytest.raises(Unavailable) as caught:
        land_all(mirror, [change(1)], checkpoint=checkpoint, deadline_s=5.0, wait=lambda _: time.sleep(5.0))
    assert caught.value.reason is Reason.GITOPS_CONTENDED


def test_somebody_who_pushes_on_top_at_once_changes_nothing(server: Forge, mirror: Mirror) -> None:
    server.app.after_receive = lambda _: server.commit({"top": "1"}, message="on top")
    (result,) = land_all(mirror, [change(1)])
    assert result == Landed(run=1, commit=git(server.repo, "rev-parse", "main^"), created=True, previous=("old",))


def test_a_branch_that_is_rewritten_at_once_gets_the_change_again(server: Forge, mirror: Mirror) -> None:
    start = server.head()

    def rewrite(_: str) -> None:
        server.app.after_receive = None
        git(server.repo, "update-ref", "refs/heads/main", start)
        server.commit({"other": "1"}, message="rewritten")

    server.app.after_receive = rewrite
    (result,) = land_all(mirror, [change(1)])
    assert result == Landed(run=1, commit=server.head(), created=True, previous=("old",))
    assert server.log() == ["deploy(app): 배포 1", "rewritten", "start"]


def test_writers_on_several_machines_lose_nothing(server: Forge, tmp_path: Path) -> None:
    """Two machines (own mirrors, so own locks) land while a foreign writer pushes in between."""
    stop = threading.Event()

    def foreign() -> int:
        count = 0
        while not stop.wait(0.5):
            try:
                server.commit({"foreign": str(count)}, message=f"foreign {count}")
                count += 1
            except subprocess.CalledProcessError:
                continue  # lost the race for the ref
        return count

    def machine(number: int) -> list[Result]:
        own = server.mirror(tmp_path / f"machine-{number}", GITOPS)
        pause = threading.Event()
        landed: list[Result] = []
        for turn in range(5):
            run = 100 * number + turn
            batch = [change(run, app=2 * turn + number), change(run + 50, app=11)]
            landed += land_all(own, batch, attempts=30, wait=pause.wait)
        return landed

    with ThreadPoolExecutor(3) as pool:
        writer = pool.submit(foreign)
        try:
            results = [result for done in [pool.submit(machine, n) for n in (0, 1)] for result in done.result()]
        finally:
            stop.set()
        foreigners = writer.result()
    assert all(isinstance(result, Landed) and result.created for result in results)
    assert len(results) == 20
    log = server.log()
    assert sorted(line for line in log if line.startswith("deploy")) == sorted(
        f"deploy(app): 배포 {result.run}" for result in results
    )
    assert sum(line.startswith("foreign") for line in log) == foreigners
    assert [tag_of(server, 2 * turn + n) for n in (0, 1) for turn in range(5)] == [
        f"sha-{100 * n + turn}" for n in (0, 1) for turn in range(5)
    ]


def test_writers_on_one_machine_take_turns_and_never_race(server: Forge, tmp_path: Path) -> None:
    def worker(run: int) -> Result:
        return land_all(server.mirror(tmp_path / "state", GITOPS), [change(run)], attempts=1)[0]

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(worker, range(6)))
    assert all(result.created for result in results)  # type: ignore[union-attr]
    assert pushes(server) == 6


# refusals and bounds


def test_a_server_that_declines_is_quoted(server: Forge, mirror: Mirror) -> None:
    server.app.refuse_pushes(server.name, f"GL-HOOK-ERR: 금요일 no deploys\n========\n{TOKEN}")
    with pytest.raises(Refused) as caught:
        land_all(mirror, [change(1)])
    assert caught.value.reason is Reason.GITOPS_REFUSED
    assert "pre-receive hook declined" in caught.value.evidence
    assert "금요일 no deploys" in caught.value.evidence
    assert TOKEN not in caught.value.evidence


def _decline_subjects_with(server: Forge, word: str) -> None:
    hook = server.repo / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nread old new ref\n"
        f'if git log --format=%s "$old..$new" | grep -q "{word}"; then echo "policy: {word}" >&2; exit 1; fi\n'
    )
    hook.chmod(0o755)


def test_one_declined_change_does_not_block_the_others(server: Forge, mirror: Mirror) -> None:
    _decline_subjects_with(server, "forbidden")
    first, bad, last = land_all(mirror, [change(1), change(2, message="forbidden"), change(3)])
    assert [first.created, last.created] == [True, True]  # type: ignore[union-attr]
    assert isinstance(bad, Rejected)
    assert "the server declined the push" in bad.detail
    assert "policy: forbidden" in bad.detail
    assert server.log() == ["deploy(app): 배포 3", "deploy(app): 배포 1", "start"]


def test_a_server_that_declines_every_change_is_a_refusal(server: Forge, mirror: Mirror) -> None:
    _decline_subjects_with(server, "deploy")
    with pytest.raises(Refused, match="policy: deploy"):
        land_all(mirror, [change(1), change(2)])


def test_a_protected_branch_is_not_tried_change_by_change(server: Forge, mirror: Mirror) -> None:
    server.app.refuse_pushes(server.name, "You are not allowed to push code to protected branches on this project.")
    with pytest.raises(Refused, match="protected branches"):
        land_all(mirror, [change(1), change(2)])
    assert pushes(server) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_an_account_that_may_not_push_is_refused(server: Forge, mirror: Mirror, status: int) -> None:
    server.app.inject(Fault(service="receive", discovery=True, status=status))
    with pytest.raises(Refused) as caught:
        land_all(mirror, [change(1), change(2)])
    assert caught.value.reason is Reason.GITOPS_REFUSED


def test_a_branch_that_is_not_there_is_refused(server: Forge, mirror: Mirror) -> None:
    with pytest.raises(Refused, match="refs/heads/gone"):
        land(mirror, "gone", [change(1)], author=AUTHOR, deadline_s=9.0, checkpoint=lambda: None)


class Mumbling(Mirror):
    """Gets an answer to its push that says neither yes nor no."""

    def push(self, commit: str, branch: str, *, timeout: float = 0) -> PushAnswer:
        return PushAnswer(verdict=PushVerdict.UNKNOWN, words="[remote failure] (remote failed to report status)")


def test_an_unclear_answer_without_a_landed_commit_is_unavailable(server: Forge, tmp_path: Path) -> None:
    mumbling = Mumbling(server.access(), tmp_path / "m.git", reasons=GITOPS)
    with pytest.raises(Unavailable, match="remote failed to report status"):
        land_all(mumbling, [change(1)])


def test_time_that_has_run_out_is_an_error_and_not_a_hang(server: Forge, mirror: Mirror) -> None:
    with pytest.raises(Unavailable, match="deadline"):
        land_all(mirror, [change(1)], deadline_s=0.0)
    mirror.fetch_branch("main")
    name = next(iter(mirror.folder.parent.glob("*.land")))
    with exclusive(name, 1.0), pytest.raises(Unavailable, match="another process pushes"):
        land_all(mirror, [change(1)], deadline_s=0.1)


def test_work_that_is_called_off_pushes_nothing(server: Forge, mirror: Mirror) -> None:
    def stop() -> None:
        raise Cancelled("by Ann")

    with pytest.raises(Cancelled):
        land_all(mirror, [change(1)], checkpoint=before_each_push(stop))
    assert pushes(server) == 0


# signatures


def test_commits_are_signed_with_an_ssh_key(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"bot@example.com {key.with_suffix('.pub').read_text()}")
    results = land_all(mirror, [change(1), change(2)], signing=Signing(format="ssh", key=str(key)))
    assert server.head() == results[1].commit  # type: ignore[union-attr]
    for result in results:
        check = ["-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", result.commit]  # type: ignore[union-attr]
        git(server.repo, *check)
    assert server.log() == ["deploy(app): 배포 2", "deploy(app): 배포 1", "start"]
    assert git(server.repo, "log", "-1", "--format=%an|%ce|%ct", "main") == "Pilotage 봇|bot@example.com|1700000502"


def test_commits_are_signed_with_a_gpg_key(
    server: Forge, mirror: Mirror, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("gpg", "gnupg")
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    who = "Bot <bot@example.com>"
    make = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", who, "ed25519", "sign", "never"]
    try:
        subprocess.run(make, check=True, capture_output=True)
        land_all(mirror, [change(1)], signing=Signing(format="openpgp", key="bot@example.com"))
        shown = subprocess.run(
            ["git", f"--git-dir={server.repo}", "log", "-1", "--format=%G?", "main"], capture_output=True, check=True
        )
        assert shown.stdout.strip() == b"U" or shown.stdout.strip() == b"G"
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)


def test_a_key_that_cannot_sign_is_refused(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be signed"):
        land_all(mirror, [change(1)], signing=Signing(format="ssh", key=str(tmp_path / "none")))
    assert pushes(server) == 0
