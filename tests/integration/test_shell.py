"""The shell around stages: whatever a stage does ends as one fact, and its log is kept without secrets."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.metrics import LOOKS_TOTAL
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, Run, RunState, StageName, Wait
from orchestrator.domain.wording import MAX_EVIDENCE
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control, ManualRun
from orchestrator.services.execution import Execution
from orchestrator.store import claims, logs, migrate, tallies
from orchestrator.store.database import Database, sqlite_url
from tests.support.databases import load_run
from tests.support.factories import make_settings
from workers import shell as shell_module
from workers import watching
from workers.shell import Shell
from workers.stages.order import Order, Tools
from workers.stages.toolbox import Shared
from workers.tidying import Tidier

Stage = Callable[[Order, Tools], Outcome]


class OwnStages:
    """A shell whose stages are a test's own functions; what is not named is done at once."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = Database(sqlite_url(str(folder)))
        migrate.upgrade(self.database)
        self.settings = make_settings(str(folder))
        self.stages: dict[StageName, Stage] = {name: lambda _o, _t: Done() for name in StageName}
        monkeypatch.setattr(shell_module, "STAGES", self.stages)
        bell = Bell("")
        self.control = Control(self.database, self.settings, bell)
        execution = Execution(self.database, self.settings, bell, "here")
        shared = Shared(self.settings, self.database, bell, "here")
        self.shell = Shell(shared, execution, Mask({"s3cret-harbor"}), "build")

    def start(self) -> int:
        return self.control.start(ManualRun(app="plate-web", environment="stg", ref="main", actor="mina"))

    def run(self, run_id: int) -> Run:
        return load_run(self.database, run_id)

    def looks(self) -> dict[tuple[str, ...], float]:
        self.database.write_counts()
        with self.database.read() as connection:
            counted = tallies.read(connection)
        return {labels: number for (name, labels), number in counted.items() if name == LOOKS_TOTAL.name}

    def log(self, run_id: int) -> list[str]:
        with self.database.read() as connection:
            return [line.text for line in logs.read(connection, run_id)]


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnStages]:
    made = OwnStages(tmp_path, monkeypatch)
    yield made
    made.database.close()


def test_one_look_goes_through_all_stages_that_need_no_waiting(worker: OwnStages) -> None:
    run_id = worker.start()
    worker.shell.look(run_id)
    assert worker.run(run_id).state is RunState.SUCCEEDED


def test_a_waiting_stage_gives_the_worker_back(worker: OwnStages) -> None:
    worker.stages[StageName.SYNC] = lambda _o, _t: Wait(reason=Reason.SYNC_PENDING, outputs={"memory": {"a": 1}})
    run_id = worker.start()
    worker.shell.look(run_id)
    assert worker.run(run_id).state is RunState.WAITING
    worker.stages[StageName.SYNC] = lambda order, _t: Done(outputs={"seen": order.outputs["memory"]})
    worker.shell.look(run_id)
    assert worker.run(run_id).outputs["seen"] == {"a": 1}


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (Refused(Reason.TAG_IMMUTABLE, "web:1"), RunState.FAILED, Reason.TAG_IMMUTABLE),
        (Unavailable(Reason.REGISTRY_UNAVAILABLE, "HTTP 503"), RunState.WAITING, Reason.RETRYING),
        (ZeroDivisionError("oops"), RunState.WAITING, Reason.RETRYING),
    ],
)
def test_how_an_error_of_a_stage_ends(worker: OwnStages, error: Exception, state: RunState, reason: Reason) -> None:
    def breaks(_order: Order, _tools: Tools) -> Outcome:
        raise error

    worker.stages[StageName.PUSH] = breaks
    run_id = worker.start()
    worker.shell.look(run_id)
    assert (worker.run(run_id).state, worker.run(run_id).reason) == (state, reason)


def test_secrets_reach_neither_log_nor_reason(worker: OwnStages) -> None:
    def tells(_order: Order, tools: Tools) -> Outcome:
        tools.log("login with s3cret-harbor")
        tools.log("two\nlines")
        return Fail(reason=Reason.BUILD_FAILED, detail="echo s3cret-harbor failed")

    worker.stages[StageName.BUILD] = tells
    run_id = worker.start()
    worker.shell.look(run_id)
    assert worker.log(run_id) == ["login with ***", "two", "lines"]
    assert worker.run(run_id).detail == "echo *** failed"


LONG = "x" * 100_000


@pytest.mark.parametrize("raises", [False, True])
def test_no_service_fills_the_tables_with_what_it_says(worker: OwnStages, raises: bool) -> None:
    def say(_o: Order, _t: Tools) -> Outcome:
        if raises:
            raise Refused(Reason.SOURCE_UNSUPPORTED, f"worst: {LONG} s3cret-harbor {LONG}")
        return Fail(reason=Reason.SCAN_FINDINGS, detail=f"worst: {LONG} s3cret-harbor {LONG}")

    worker.stages[StageName.CHECK] = say
    run_id = worker.start()
    worker.shell.look(run_id)
    detail = worker.run(run_id).detail
    assert detail.startswith("worst:")
    assert len(detail) <= MAX_EVIDENCE
    assert "s3cret" not in detail


def test_a_cancelled_stage_stops_at_its_next_checkpoint(worker: OwnStages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY", 0.02)
    at_work = threading.Event()

    def long(_order: Order, tools: Tools) -> Outcome:
        at_work.set()
        waiting = threading.Event()
        for _ in range(1000):
            tools.checkpoint()
            waiting.wait(0.01)
        return Done()

    worker.stages[StageName.BUILD] = long
    run_id = worker.start()
    thread = threading.Thread(target=worker.shell.look, args=(run_id,))
    thread.start()
    assert at_work.wait(5)
    worker.control.cancel(run_id, "mina")
    thread.join(5)
    assert (worker.run(run_id).state, worker.run(run_id).detail) == (RunState.CANCELLED, "cancelled by mina")
    assert worker.log(run_id) == ["stopped"]


def test_a_worker_that_lost_its_lease_writes_nothing_down(worker: OwnStages) -> None:
    def loses(order: Order, _tools: Tools) -> Outcome:
        with worker.database.write() as connection:
            claims.release(connection, order.run.id)
        return Fail(reason=Reason.BUILD_FAILED)

    worker.stages[StageName.BUILD] = loses
    run_id = worker.start()
    worker.shell.look(run_id)
    assert worker.run(run_id).state is RunState.RUNNING
    assert worker.looks()["build", "lost"] == 1


def test_every_look_is_counted_by_what_came_of_it(worker: OwnStages) -> None:
    def unanswered(_order: Order, _tools: Tools) -> Outcome:
        raise Unavailable(Reason.REGISTRY_UNAVAILABLE, "no answer")

    worker.stages[StageName.PUSH] = unanswered
    worker.shell.look(worker.start())
    assert worker.looks() == {("check", "done"): 1, ("build", "done"): 1, ("push", "troubled"): 1}


def test_a_stage_sees_the_run_its_outputs_and_its_own_start(worker: OwnStages) -> None:
    seen: list[Any] = []
    worker.stages[StageName.CHECK] = lambda _o, _t: Done(outputs={"commit": "c" * 40, "note": 5})

    def looks(order: Order, _tools: Tools) -> Outcome:
        in_time = order.deadline_at == order.run.stage(StageName.BUILD).deadline_at is not None
        begun = order.started_at <= order.now
        seen.append((order.run.commit, order.outputs["note"], begun, order.app.name, in_time, order.is_late))
        return Done()

    worker.stages[StageName.BUILD] = looks
    worker.shell.look(worker.start())
    assert seen == [("c" * 40, 5, True, "plate-web", True, False)]


def test_a_look_during_which_the_time_runs_out_is_followed_by_one_that_knows(
    worker: OwnStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[bool] = []
    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) + timedelta(days=len(late)))
    monkeypatch.setattr(shell_module, "datetime", clock)

    def looks(order: Order, _tools: Tools) -> Outcome:
        late.append(order.is_late)
        if order.is_late:
            return Fail(reason=Reason.TIMED_OUT, detail=order.outputs["seen"])
        return Wait(reason=Reason.PROGRESSING, outputs={"seen": "one pod"})

    worker.stages[StageName.HEALTH] = looks
    run_id = worker.start()
    worker.shell.look(run_id)
    assert late == [False, True]
    assert (worker.run(run_id).reason, worker.run(run_id).detail) == (Reason.TIMED_OUT, "one pod")


def test_the_claim_is_renewed_over_stages_of_which_none_is_long(
    worker: OwnStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "EVERY", 0.01)
    monkeypatch.setattr(watching, "HEARTBEAT", 0.2)
    renewed: list[float] = []
    renew = claims.renew
    monkeypatch.setattr(claims, "renew", lambda *told: renewed.append(told[-1]) or renew(*told))

    def short(_order: Order, _tools: Tools) -> Outcome:
        threading.Event().wait(0.1)
        return Done()

    for name in StageName:
        worker.stages[name] = short
    worker.shell.look(worker.start())
    assert renewed


def test_after_a_look_the_copies_that_it_used_are_tidied(worker: OwnStages, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(Tidier, "begin", lambda _, copies: begun.extend(copy().where for copy in copies))
    worker.shell.look(worker.start())
    assert begun == ["https://git.example.com/platform/gitops.git", "https://git.example.com/acme/plate-web.git"]
