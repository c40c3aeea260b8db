"""Other writers on the same branch."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.domain.changes import Landed, Rejected
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.githttp import Forge
from tests.support.landing import VALUES, before_each_push, change, file, land_all, once, pushes, tag_of
from workers.clients.git import GITOPS, CommitMessage, Mirror
from workers.gitops import commit
from workers.gitops.plan import Result


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


def test_who_loses_every_race_says_so(server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "ATTEMPTS", 4)
    numbers = iter(range(100))
    checkpoint = before_each_push(lambda: server.commit({"busy": str(next(numbers))}))
    waits: list[float] = []
    retries: list[int] = []
    with pytest.raises(Unavailable) as caught:
        land_all(
            mirror,
            [change(1)],
            checkpoint=checkpoint,
            on_retry=lambda: retries.append(len(waits)),
            wait=waits.append,
        )
    assert caught.value.reason is Reason.GITOPS_CONTENDED
    assert "4 pushes lost the race" in caught.value.evidence
    assert (len(waits), retries) == (3, [0, 1, 2])
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


def test_writers_on_several_machines_lose_nothing(
    server: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines (own mirrors, so own locks) land while a foreign writer pushes in between."""
    monkeypatch.setattr(commit, "ATTEMPTS", 30)
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
            landed += land_all(own, batch, wait=pause.wait)
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


def test_writers_on_one_machine_take_turns_and_never_race(
    server: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "ATTEMPTS", 1)

    def worker(run: int) -> Result:
        return land_all(server.mirror(tmp_path / "state", GITOPS), [change(run)])[0]

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(worker, range(6)))
    assert all(result.created for result in results)  # type: ignore[union-attr]
    assert pushes(server) == 6


class Counting(Mirror):
    """Counts how often the branch is read for a plan."""

    plans = 0

    def history(
        self, head: str, limit: int, containing: str, *, after: str = "", path: str = ""
    ) -> list[CommitMessage]:
        self.plans += 1
        return super().history(head, limit, containing, after=after, path=path)


@pytest.mark.parametrize(
    ("foreign", "plans"),
    [
        ({"elsewhere.txt": "x"}, 1),
        ({file(2): VALUES.format(app=2).replace("2", "5")}, 1),
        ({file(1): VALUES.format(app=1).replace("2", "5")}, 2),
        ({file(1): None, file(1).rpartition("/")[0]: "no folder any more"}, 2),
    ],
)
def test_a_plan_is_made_anew_only_where_the_race_was_about_its_files(
    server: Forge, tmp_path: Path, foreign: dict[str, str | None], plans: int
) -> None:
    mirror = Counting(server.access(), tmp_path / "m.git", reasons=GITOPS)
    (result,) = land_all(
        mirror, [change(1)], checkpoint=before_each_push(once(lambda: server.commit(foreign, message="foreign")))
    )
    assert mirror.plans == plans
    assert isinstance(result, Rejected if None in foreign.values() else Landed)
    if isinstance(result, Landed):
        assert server.show(file(1)).decode() == (foreign.get(file(1)) or VALUES.format(app=1)).replace("old", "sha-1")
        assert server.log() == ["deploy(app): 배포 1", "foreign", "start"]
