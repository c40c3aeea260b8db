"""A real worker: its signs of life without a broker, its end, and that all it writes are lines of the log."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from orchestrator.cli.broker import Broker, embedded
from orchestrator.domain.runs import Run, RunState, StageName, StageState
from orchestrator.heartbeat import file_of
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control, ManualRun
from orchestrator.services.reconcile import Reconcile
from orchestrator.store.database import Database
from tests.support.databases import load_run, sqlite_database
from tests.support.factories import make_settings
from tests.support.journals import bad_lines
from tests.support.waiting import until
from tests.support.worker import QUEUE, running
from workers.application import make_celery
from workers.tasks import LOOK

pytestmark = pytest.mark.slow


class WorkerSetup:
    """A database, a broker, and what the relay would do by hand."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.broker = broker
        self.database: Database = sqlite_database(folder)
        self.settings = make_settings(str(folder))
        self.control = Control(self.database, self.settings, Bell(""))
        self.heartbeat = file_of(folder, f"worker-{QUEUE}")

    def hold(self, stage: StageName) -> Path:
        file = self.folder / f"{stage}.hold"
        file.touch()
        return file

    def start(self) -> int:
        run_id = self.control.start(ManualRun(app="plate-web", environment="stg", commit="a" * 40, actor="mina"))
        self.wake(run_id)
        return run_id

    def wake(self, run_id: int) -> None:
        make_celery(self.broker.celery_url).send_task(LOOK, args=[run_id], queue=QUEUE, ignore_result=True)

    def run(self, run_id: int) -> Run:
        return load_run(self.database, run_id)

    def until_begun(self, stage: StageName) -> None:
        until((self.folder / f"{stage}.begun").exists, f"stage {stage}")

    def until_alive(self, process: "subprocess.Popen[bytes]") -> None:
        until(lambda: self.heartbeat.exists() or process.poll() is not None, "a heartbeat")

    def beats_again(self) -> None:
        self.heartbeat.unlink()
        until(self.heartbeat.exists, "the next heartbeat")

    def lines(self) -> list[dict[str, Any]]:
        text = (self.folder / "worker.log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]

    def begun(self) -> list[str]:
        return [line["stage"] for line in self.lines() if line["event"] == "stage looked at"]

    def broker_pid(self) -> int:
        client = redis.Redis.from_url(self.broker.redis_url)
        pid = int(client.info("server")["process_id"])
        client.close()
        return pid


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerSetup]:
    with embedded(tmp_path) as broker:
        made = WorkerSetup(tmp_path, broker)
        yield made
        made.database.close()


def test_it_shows_life_while_its_broker_is_away_and_works_again_after(worker: WorkerSetup) -> None:
    with running(worker.folder, worker.broker.redis_url) as process:
        worker.until_alive(process)
        os.kill(worker.broker_pid(), signal.SIGKILL)
        until(lambda: "broker not reached" in worker.events(), "the loss of the broker")
        for _ in range(2):
            worker.beats_again()
        until(lambda: bool(worker.broker.tend()) or _answers(worker.broker), "the broker")
        run_id = worker.start()
        until(lambda: worker.run(run_id).state is RunState.SUCCEEDED, "the end of the run")
        assert bad_lines(worker.lines()) == []


def _make_replica(client: "redis.Redis", _folder: Path) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")


def _make_master(client: "redis.Redis", _folder: Path) -> None:
    client.execute_command("REPLICAOF", "NO", "ONE")


def _fill_disk(client: "redis.Redis", folder: Path) -> None:
    (folder / "broker" / "dump.rdb" / "in the way").mkdir(parents=True)
    client.config_set("save", "3600 1")
    client.bgsave()


def _free_disk(client: "redis.Redis", _folder: Path) -> None:
    client.config_set("save", "")


@pytest.mark.parametrize(("stop", "start"), [(_make_replica, _make_master), (_fill_disk, _free_disk)])
def test_it_waits_for_a_broker_that_cannot_be_written_to(
    worker: WorkerSetup, stop: Callable[..., None], start: Callable[..., None]
) -> None:
    client = redis.Redis.from_url(worker.broker.redis_url)
    with running(worker.folder, worker.broker.redis_url) as process:
        worker.until_alive(process)
        stop(client, worker.folder)
        until(
            lambda: worker.events().count("broker not reached") > 1 or process.poll() is not None,
            "a broker that refuses",
        )
        worker.beats_again()
        start(client, worker.folder)
        run_id = worker.start()
        until(lambda: worker.run(run_id).state is RunState.SUCCEEDED, "the end of the run", 20)
        process.terminate()
        assert process.wait(30) == 0
    client.close()
    assert worker.events().count("broker not reached") < 10
    assert bad_lines(worker.lines()) == []


def _answers(broker: Broker) -> bool:
    client = redis.Redis.from_url(broker.redis_url)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()


def test_it_starts_and_shows_life_where_there_is_no_broker_at_all(worker: WorkerSetup) -> None:
    with running(worker.folder, "redis://127.0.0.1:1/0") as process:
        worker.until_alive(process)
        worker.beats_again()


def test_a_main_loop_that_hangs_shows_no_life(worker: WorkerSetup) -> None:
    with running(worker.folder, worker.broker.redis_url) as process:
        worker.until_alive(process)
        process.send_signal(signal.SIGSTOP)
        before = worker.heartbeat.stat().st_mtime
        with pytest.raises(AssertionError):
            until(lambda: worker.heartbeat.stat().st_mtime != before, "a heartbeat of a stopped process", 8)
        process.send_signal(signal.SIGCONT)
        until(lambda: worker.heartbeat.stat().st_mtime != before, "the next heartbeat")


def test_told_to_stop_it_finishes_the_stage_at_hand_and_begins_no_other(worker: WorkerSetup) -> None:
    hold = worker.hold(StageName.BUILD)
    with running(worker.folder, worker.broker.redis_url) as process:
        run_id = worker.start()
        worker.until_begun(StageName.BUILD)
        process.terminate()
        until(lambda: any(line["event"] == "worker stopping" for line in worker.lines()), "the signal's arrival")
        hold.unlink()
        assert process.wait(30) == 0
        run = worker.run(run_id)
        assert (run.stage(StageName.BUILD).state, run.stage(StageName.PUSH).state) == (
            StageState.SUCCEEDED,
            StageState.QUEUED,
        )
        assert Reconcile(worker.database, worker.settings).due_wakes() == [(run_id, "build")]
        assert bad_lines(worker.lines()) == []
    with running(worker.folder, worker.broker.redis_url):
        worker.wake(run_id)
        until(lambda: worker.run(run_id).state is RunState.SUCCEEDED, "the end of the run")
        until(lambda: worker.begun()[-1:] == [StageName.HEALTH.value], "the line of the last stage")
    assert worker.begun() == [stage.value for stage in StageName]


def test_killed_in_mid_stage_its_run_is_taken_up_by_another(worker: WorkerSetup) -> None:
    hold = worker.hold(StageName.BUILD)
    with running(worker.folder, worker.broker.redis_url) as process:
        run_id = worker.start()
        worker.until_begun(StageName.BUILD)
        os.killpg(process.pid, signal.SIGKILL)
    hold.unlink()
    reconcile = Reconcile(worker.database, worker.settings)
    until(lambda: reconcile.expired_leases() == [run_id], "the end of the lease")
    with running(worker.folder, worker.broker.redis_url):
        worker.wake(run_id)
        until(lambda: worker.run(run_id).state is RunState.SUCCEEDED, "the end of the run")
    assert worker.run(run_id).stage(StageName.BUILD).outputs["crashes"] == 1


def test_nothing_but_lines_is_written_and_no_build_output(worker: WorkerSetup) -> None:
    with running(worker.folder, worker.broker.redis_url, PILOTAGE_LOG_LEVEL="debug") as process:
        run_id = worker.start()
        until(lambda: worker.run(run_id).state is RunState.SUCCEEDED, "the end of the run")
        process.terminate()
        assert process.wait(30) == 0
    lines = worker.lines()
    assert bad_lines(lines) == []
    assert "build output" not in json.dumps(lines)
    looked = [line for line in lines if line["event"] == "stage looked at"]
    assert [(line["run"], line["app"], line["env"], line["service"]) for line in looked] == [
        (run_id, "plate-web", "stg", "worker-build")
    ] * len(StageName)
