"""Many apps changed at once in one GitOps repo over smart HTTP: alone, and beside a foreign writer.

Two deploy workers (as ``pilotage up`` has) take the runs in turn and do what the stage ``commit`` does, with the real
queue in a real database. Beside it, for the same edits: one fetch, commit and push per app in turn, as separate
pipelines would at their best, and one ``fast-import`` with one push, below which nobody could go.
"""

import queue
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Batch, Change, Edit, Landed, Result
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.runs import Trigger
from orchestrator.services.bell import Bell
from orchestrator.services.commits import Commits
from orchestrator.store import runs
from orchestrator.store.database import Database
from tests.benchmarks.bench_commit import bare, content, path
from tests.benchmarks.measuring import ms, timed
from tests.support.databases import sqlite_database
from tests.support.githttp import Forge, forge
from workers.clients.git import GITOPS, Mirror
from workers.gitops.commit import land

APPS = 50
MANY = 100
WORKERS = 2
FOREIGN = 0.2
"""Seconds between two pushes of the foreign writer."""


def main(rounds: int = 5) -> None:
    """Print both parts, each on a server of its own: nobody packs there what hundreds of pushes leave."""
    for part in (_alone, _contended):
        with tempfile.TemporaryDirectory() as name, forge(Path(name) / "srv") as server:
            server.commit({path(app): content(app, "sha-0") for app in range(MANY)})
            fleet = _Fleet(server, sqlite_database(Path(name)), Path(name))
            fleet.mirror().fetch_branch("main")
            part(server, fleet, rounds)


def _alone(server: Forge, fleet: "_Fleet", rounds: int) -> None:
    together, singly, least, pushes = [], [], [], []
    for turn in range(rounds):
        before = fleet.pushes
        mirror = fleet.mirror()
        mirror.fetch_branch("main")  # what the comparison below has pushed is no foreign push
        together.append(timed(fleet.land, APPS, f"sha-at-once-{turn}"))
        pushes.append(fleet.pushes - before)
        fleet.check(APPS, f"sha-at-once-{turn}")
        singly.append(timed(fleet.singly, APPS, f"sha-single-{turn}"))
        head = mirror.fetch_branch("main")
        least.append(timed(bare, server, mirror.folder, head, list(range(APPS)), f"b-{turn}"))
    print(f"  {APPS} apps at once: {ms(median(together))}, {max(pushes)} pushes at most, none lost (goal 300 ms, 3)")
    print(f"    one after the other: {ms(median(singly))}, ratio {median(together) / median(singly):.3f}")
    print(f"    one import, one push: {ms(median(least))}, ratio {median(together) / median(least):.2f}", flush=True)


def _contended(server: Forge, fleet: "_Fleet", rounds: int) -> None:
    took, pushes, foreign = [], [], 0
    for turn in range(rounds):
        before = fleet.pushes
        with _Foreigner(server) as other:
            took.append(timed(fleet.land, MANY, f"sha-contended-{turn}"))
        pushes.append(fleet.pushes - before)
        fleet.check(MANY, f"sha-contended-{turn}")
        log = set(server.log())
        lost = [subject for subject in other.subjects if subject not in log]
        if lost:
            raise SystemExit(f"lost foreign commits: {lost}")
        foreign += len(other.subjects)
    print(f"  {MANY} apps at once beside a writer every {ms(FOREIGN)}: {median(took):.2f} s (goal 30 s),")
    print(f"    {max(pushes)} pushes at most (goal 15), {fleet.gave_up} batches given up for a while,")
    print(f"    {foreign} foreign commits, none lost")


class _Fleet:
    """The runs, the queue and the workers."""

    def __init__(self, server: Forge, database: Database, folder: Path) -> None:
        self._server = server
        self._database = database
        self._folder = folder
        self.pushes = 0
        self.gave_up = 0
        server.app.after_receive = self._count

    def mirror(self) -> Mirror:
        """Open the workers' copy of the repository."""
        return self._server.mirror(self._folder, GITOPS)

    def land(self, count: int, tag: str) -> None:
        """Have `count` runs commit at once; return when each has its result."""
        changes = self._changes(count, tag)
        waiting: queue.Queue[Change] = queue.Queue()
        for change in changes:
            waiting.put(change)
        landed = _Landed(count)
        workers = [threading.Thread(target=self._work, args=(str(n), waiting, landed)) for n in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def singly(self, count: int, tag: str) -> None:
        """Land the same edits by a fetch, a commit and a push each."""
        mirror = self.mirror()
        for app in range(count):
            head = mirror.fetch_branch("main")
            bare(self._server, mirror.folder, head, [app], tag)

    def _work(self, owner: str, waiting: "queue.Queue[Change]", landed: "_Landed") -> None:
        commits, mirror = Commits(self._database, Bell(""), "bench#main", owner), self.mirror()
        queued: list[Change] = []
        while not landed.all():
            try:
                change = waiting.get_nowait()
            except queue.Empty:
                # what waits for another worker is woken when that has landed something
                landed.wait_for_news()
                queued = [one for one in queued if not self._stage(commits, mirror, one, landed)]
            else:
                queued += [] if self._stage(commits, mirror, change, landed) else [change]

    def _stage(self, commits: Commits, mirror: Mirror, change: Change, landed: "_Landed") -> bool:
        """Do what the stage does; False: another worker writes, look again when it has landed something."""
        answer = commits.submit(change)
        own = self._write(commits, mirror, answer, change.run) if isinstance(answer, Batch) else answer
        if own is None:
            return False
        landed.add(own)
        if isinstance(answer, Batch):
            landed.news()
        return True

    def _write(self, commits: Commits, mirror: Mirror, batch: Batch, run: int) -> Result | None:
        """Push a batch; None when every race was lost, after which the product tries again as well."""
        try:
            results = land(
                mirror,
                "main",
                batch.changes,
                unwanted=batch.unwanted,
                author=Author(),
                deadline_s=60,
                checkpoint=lambda: _stay(commits),
            )
        except Unavailable:
            commits.stop(batch.changes)
            self.gave_up += 1
            return None
        commits.finish(results)
        commits.stop()
        return next((one for one in results if one.run == run), None)

    def _changes(self, count: int, tag: str) -> list[Change]:
        new = [runs.NewRun(app=f"app-{app}", environment="stg", trigger=Trigger.MANUAL) for app in range(count)]
        with self._database.write() as connection:
            ids = runs.add(connection, [(one, None) for one in new], time.time())
        return [
            Change(
                run=run,
                file=path(app),
                edits=(Edit(path="image.tag", value=tag),),
                message=f"deploy(app-{app}): stg to {tag}",
                trailers=(("Pilotage-Run", str(run)),),
                date=1_700_002_000,
            )
            for app, run in enumerate(ids)
        ]

    def check(self, count: int, tag: str) -> None:
        wrong = [app for app in range(count) if self._server.show(path(app)) != content(app, tag)]
        if wrong:
            raise SystemExit(f"wrong values: {wrong}")

    def _count(self, _path: str) -> None:
        self.pushes += 1


class _Landed:
    """The results so far, and the news that a batch has landed."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._runs: set[int] = set()
        self._changed = threading.Condition()

    def add(self, result: Result) -> None:
        if not isinstance(result, Landed):
            raise SystemExit(f"not landed: {result}")
        with self._changed:
            self._runs.add(result.run)
            self._changed.notify_all()

    def all(self) -> bool:
        return len(self._runs) >= self._wanted

    def news(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for_news(self) -> None:
        """Wait until something has landed, or a moment: the writer may have given up."""
        with self._changed:
            if not self.all():
                self._changed.wait(0.25)


class _Foreigner:
    """Somebody else whose commits reach the same branch of the server, again and again."""

    def __init__(self, server: Forge) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.subjects: list[str] = []

    def __enter__(self) -> "_Foreigner":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(FOREIGN):
            subject = f"foreign {time.time_ns()}"
            with suppress(subprocess.CalledProcessError):  # it loses races as well
                self._server.commit({f"foreign/{len(self.subjects) % 10}.txt": subject}, message=subject)
                self.subjects.append(subject)


def _stay(commits: Commits) -> None:
    if not commits.renew():
        raise SystemExit("the branch was taken over")


if __name__ == "__main__":
    main()
