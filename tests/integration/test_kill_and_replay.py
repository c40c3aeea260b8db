"""Kill a process between any two lines and start again: one image push, one GitOps commit, one message per state."""

import itertools
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text

from orchestrator.config import load
from orchestrator.domain.runs import Run, RunState, StageName
from orchestrator.sandbox import samples
from orchestrator.sandbox.platform import SOURCE, Platform
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control, ManualRun
from orchestrator.services.reconcile import Reconcile
from tests.support.databases import load_run, sqlite_database
from tests.support.engine import require_engine
from tests.support.whole_loop import gitops_commits, remove_images

pytestmark = pytest.mark.slow

KILLED = -9
PAUSE = 0.3
"""Seconds between two looks at a run that waits."""
DEADLINE = 40.0
MOST = 80
"""Transactions of one part of a run, at the most; far more than there are."""
AT_THE_END = -1
"""Kills after the transaction that ends a run."""
PARTS = (StageName.PUSH, StageName.COMMIT, None)
"""The last stages of the parts of a run's way; each run is killed in every part, so fewer runs do."""


class Chaos:
    """The stand-ins, a database, and workers that die on request."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        folder.mkdir()
        self.platform = platform
        self.commits = itertools.count(1)
        configuration = folder / "pilotage.yaml"
        values = yaml.safe_load(platform.configuration("127.0.0.1:1", folder / "state"))
        values["server"]["external_url"] = "http://127.0.0.1:1"
        values["apps"][0]["scan"] = {"fail_on": "high"}
        configuration.write_text(yaml.safe_dump(values))
        environ = {**os.environ, **platform.environ()}
        self.settings = load(configuration, environ)
        Path(self.settings.state_dir).mkdir(mode=0o700)
        self.database = sqlite_database(Path(self.settings.state_dir))
        self.control = Control(self.database, self.settings, Bell(""))
        self.reconcile = Reconcile(self.database, self.settings)
        self.puts: Counter[str] = Counter()
        self._count_puts()
        self._workers = subprocess.Popen(
            [sys.executable, "-m", "tests.support.chaos", str(configuration)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            text=True,
        )
        assert self._answer() == "ready"

    def close(self) -> None:
        self._workers.communicate(timeout=30)
        self.database.close()

    def worker(self, what: str, run_id: int = 0, after: int = 0) -> bool:
        """Have one worker do something; True when it was killed."""
        return self._work(what, run_id, after)[0]

    def _work(self, what: str, run_id: int, after: int) -> tuple[bool, int]:
        assert self._workers.stdin
        self._workers.stdin.write(f"{what} {run_id} {after}\n")
        self._workers.stdin.flush()
        code, transactions = (int(word) for word in self._answer().split())
        assert code in (0, KILLED)
        return code == KILLED, transactions

    def look_until(self, run_id: int, passed: StageName | None, kill: int) -> str:
        """Have fresh workers look until a stage is passed (None: until the run is over), and kill one of them.

        :param kill: after which transaction, counted over all looks of this call, or `AT_THE_END`.
        :return: the stage at which one was killed, or ``end``; "": there were not as many transactions.
        """
        while not self._is_past(run_id, passed):
            killed, transactions = self._work("look", run_id, kill)
            if killed:
                current = self.run(run_id).current
                self._recover(run_id, passed)
                return current.name.value if current else "end"
            kill -= transactions if kill > 0 else 0
            self._let_world_move(run_id)
        return ""

    def _recover(self, run_id: int, passed: StageName | None) -> None:
        deadline = time.monotonic() + DEADLINE
        while not self._is_past(run_id, passed):
            assert time.monotonic() < deadline, self.run(run_id)
            self.pass_time()
            self.reconcile.expired_leases()
            self.worker("look", run_id)
            self._let_world_move(run_id)

    def _is_past(self, run_id: int, passed: StageName | None) -> bool:
        run = self.run(run_id)
        return run.state.final or (passed is not None and run.stage(passed).state.final)

    def _let_world_move(self, run_id: int) -> None:
        """Look not too often at what takes its time: the number of looks, and so of transactions, stays small."""
        if self.run(run_id).state is RunState.WAITING:
            time.sleep(PAUSE)

    def start(self, number: int) -> int:
        """Push a commit of its own and start a run of it."""
        files = samples.source_files(self.platform.base_image, f"version {number}")
        commit = self.platform.forge.commit(SOURCE, "main", files, f"Version {number}")
        run = self.control.start(ManualRun(app=samples.APP, environment="stg", commit=commit, actor="mina"))
        assert run is not None
        return int(getattr(run, "id", run))

    def run(self, run_id: int) -> Run:
        return load_run(self.database, run_id)

    def finish(self, run_id: int) -> Run:
        """Let time pass and fresh workers look until the run is over and everything is told."""
        self._recover(run_id, passed=None)
        self.pass_time()
        self.worker("tell")
        return self.run(run_id)

    def pass_time(self) -> None:
        """Let every lease run out, as if the clock had been put forward."""
        with self.database.write() as connection:
            connection.execute(text("UPDATE runs SET lease_until = 1 WHERE lease_until IS NOT NULL"))
            connection.execute(text("UPDATE writers SET until = 1"))
            connection.execute(text("UPDATE notifications SET lease_until = 1 WHERE lease_until IS NOT NULL"))

    def told(self, run_id: int) -> list[str]:
        """Return the first lines of the chat's messages about a run."""
        page = f"/runs/{run_id}|"
        shown = self.platform.chat.slack.shown
        return [one.text.splitlines()[0] for one in shown if page in f"{one.text}{one.blocks}".replace(">", "|")]

    def _count_puts(self) -> None:
        faults = self.platform.harbor.faults
        take = faults.take

        def counting(method: str, path: str):  # type: ignore[no-untyped-def]
            if method == "PUT" and "/manifests/" in path:
                self.puts[path] += 1
            return take(method, path)

        faults.take = counting  # type: ignore[method-assign]

    def _answer(self) -> str:
        assert self._workers.stdout
        return self._workers.stdout.readline().strip()


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    require_engine()
    folder = tmp_path_factory.mktemp("chaos")
    with Platform(folder / "platform", runtime="none") as platform:
        platform.chat.slack.limited = False  # here time is put forward, and nobody waits a second
        made = Chaos(platform, folder / "pilotage")
        yield made
        made.close()
        remove_images(platform)


def prove(chaos: Chaos, run_id: int, crashes: int) -> None:
    """Count what a run has left in the world."""
    run = chaos.run(run_id)
    assert (run.state, run.reason) == ("succeeded", "healthy"), run
    image = run.image.rpartition(":")[2]
    pushes = {path: count for path, count in chaos.puts.items() if path.endswith(f"/{image}")}
    assert list(pushes.values()) == [1], "pushes of the image"
    assert gitops_commits(chaos.platform, run_id) == [run.outputs["gitops_commit"]]
    told = Counter(chaos.told(run_id))
    assert set(told) == {"▶ Deploying: plate-web to stg", "✅ Deployed: plate-web to stg"}
    assert sum(told.values()) <= 2 + crashes


@pytest.mark.timeout(400)
def test_a_worker_killed_after_any_transaction_of_a_run_leaves_nothing_twice(chaos: Chaos) -> None:
    """Each run is killed once in each part of its way, after the same number of that part's transactions."""
    after, survivors, killed_at = 0, 0, Counter[str]()
    while survivors < 2:  # how often a run waits, and so its number of transactions, is not always the same
        after += 1
        assert after < MOST
        kills = killed_in_each_part(chaos, after)
        survivors = 0 if any(kills) else survivors + 1
        killed_at.update(kills)
    assert all(killed_at[stage] >= 2 for stage in StageName), killed_at


def test_a_worker_killed_as_it_ends_a_run_leaves_nothing_twice(chaos: Chaos) -> None:
    run_id = chaos.start(next(chaos.commits))
    assert chaos.look_until(run_id, None, AT_THE_END) == "end"
    chaos.finish(run_id)
    prove(chaos, run_id, crashes=0)


def killed_in_each_part(chaos: Chaos, after: int) -> list[str]:
    """Kill a run after so many transactions of each part of its way; return the stages where that was."""
    run_id = chaos.start(next(chaos.commits))
    kills = [chaos.look_until(run_id, last, after) for last in PARTS]
    chaos.finish(run_id)
    prove(chaos, run_id, crashes=0)
    return kills


def test_a_messenger_killed_after_any_transaction_repeats_one_message_at_the_most(chaos: Chaos) -> None:
    for after in (1, 2, 3, 4):
        run_id = chaos.start(1000 + after)
        while not chaos.run(run_id).state.final:
            chaos.worker("look", run_id)
        killed = chaos.worker("tell", 0, after)
        chaos.finish(run_id)
        prove(chaos, run_id, crashes=int(killed))
