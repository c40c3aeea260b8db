"""Kill parts of the running product, or all of it at once: after a start everything goes on, and nothing twice."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from orchestrator.cli.errors import CliError
from tests.support.databases import sqlite_database
from tests.support.engine import require_engine
from tests.support.processes import children
from tests.support.waiting import until
from tests.support.whole_loop import Loop, stage_of, succeeded, whole_loop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    require_engine()
    folder = tmp_path_factory.mktemp("product")
    with whole_loop(folder, dict.fromkeys(("stg", "one", "two", "three"), 1), runtime="none") as running:
        yield running


@pytest.mark.parametrize("stage", ["build", "commit", "health"])
def test_a_power_cut_in_the_middle_of_a_run_leaves_nothing_twice(loop: Loop, stage: str) -> None:
    before = len(loop.manifests())
    loop.platform.argocd.faults.set("slow_refresh", seconds=1, value=1)
    run = loop.run_of(loop.push(loop.dockerfile("RUN sleep 0.5")))
    loop.until_run(run, lambda seen: stage_of(seen, stage)["started_at"], stage)
    loop.product.kill()
    with sqlite_database(loop.product.state_dir).write() as connection:
        connection.execute(text("UPDATE runs SET lease_until = 1 WHERE lease_until IS NOT NULL"))
        connection.execute(text("UPDATE writers SET until = 1"))
        connection.execute(text("UPDATE notifications SET lease_until = 1 WHERE lease_until IS NOT NULL"))
    loop.product.start()
    ended = succeeded(loop.end(run))
    loop.told(run)
    assert loop.gitops_commits(run) == [ended["receipt"]["gitops_commit"]]
    assert len(loop.manifests()) == before + 1
    told = Counter(loop.in_chat(run))
    assert set(told) == {"▶ Deploying: plate-web to stg", "✅ Deployed: plate-web to stg"}
    assert sum(told.values()) <= 3


def test_a_broker_that_lost_everything_loses_no_run(loop: Loop) -> None:
    pushed = [loop.push(loop.dockerfile("RUN sleep 1"), branch=f"deploy/{name}") for name in ("one", "two", "three")]
    started = [loop.run_of(commit) for commit in pushed]
    for process in processes_of(loop.product.pid, "-server"):
        os.kill(process, signal.SIGKILL)
    shutil.rmtree(loop.product.state_dir / "broker" / "appendonlydir", ignore_errors=True)
    for run in started:
        succeeded(loop.end(run))
    succeeded(loop.deploy(branch="deploy/one"))


def test_a_web_process_killed_right_after_its_answer_loses_no_run(loop: Loop) -> None:
    run = loop.start(environment="two", ref="main")
    for process in processes_of(loop.product.pid, "web"):
        os.kill(process, signal.SIGKILL)

    def ended() -> bool:
        try:
            return bool(loop.api.run(run)["state"] == "succeeded")
        except CliError:
            return False

    until(ended, f"the success of run {run} after the web came back")


def processes_of(parent: int, name: str) -> list[int]:
    """Return the children of a process whose name contains `name`; it must have some."""
    found = children(parent, name)
    assert found, name
    return found
