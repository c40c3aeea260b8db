"""Whoever works on a run for long keeps its claim alive, and hears of it when nobody wants the run any more."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.domain.errors import Cancelled, LeaseLost, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.waiting import until
from workers import watching
from workers.watching import Watch, Watcher


class FakeExecution:
    """Knows which claims are held and which runs are wanted; can be away, or slow for one run."""

    def __init__(self) -> None:
        self.renewed: list[int] = []
        self.lost: set[int] = set()
        self.unwanted: set[int] = set()
        self.slow: set[int] = set()
        self.away = self.refuses = False
        self.taken: list[int] = []
        self.go_on = threading.Event()

    def heartbeat(self, assignment: Any) -> bool:
        self.renewed.append(assignment.run.id)
        if self.refuses:
            raise Unavailable(Reason.DATABASE_UNAVAILABLE)
        self.taken.append(assignment.run.id)
        return assignment.run.id not in self.lost

    def is_unwanted(self, assignment: Any) -> bool:
        if self.away:
            raise Unavailable(Reason.DATABASE_UNAVAILABLE)
        if assignment.run.id in self.slow:
            self.go_on.wait(20)
        return assignment.run.id in self.unwanted


@pytest.fixture
def execution(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeExecution]:
    monkeypatch.setattr(watching, "EVERY", 0.01)
    monkeypatch.setattr(watching, "HEARTBEAT", 0.03)
    fake = FakeExecution()
    yield fake
    fake.go_on.set()


def watch(watcher: Watcher, run: int) -> AbstractContextManager[Watch]:
    return watcher.watch(SimpleNamespace(run=SimpleNamespace(id=run)))  # type: ignore[arg-type]


def stopped(one: Watch) -> type[Exception] | None:
    try:
        one.checkpoint()
    except (LeaseLost, Cancelled) as error:
        return type(error)
    return None


def test_the_claim_of_a_long_look_is_renewed_again_and_again(execution: FakeExecution) -> None:
    with watch(Watcher(execution), 1) as one:  # type: ignore[arg-type]
        until(lambda: execution.renewed.count(1) >= 3, "the third renewal")
        assert stopped(one) is None


@pytest.mark.parametrize(("fate", "error"), [("lost", LeaseLost), ("unwanted", Cancelled)])
def test_a_claim_that_is_lost_and_a_run_that_is_unwanted_stop_at_the_next_checkpoint(
    execution: FakeExecution, fate: str, error: type[Exception]
) -> None:
    getattr(execution, fate).add(2)
    watcher = Watcher(execution)  # type: ignore[arg-type]
    with watch(watcher, 1) as one, watch(watcher, 2) as two:
        until(lambda: stopped(two), "the stop")
        assert (stopped(one), stopped(two)) == (None, error)


def test_a_database_that_is_away_for_a_while_stops_nobody(execution: FakeExecution) -> None:
    execution.away = True
    execution.unwanted.add(1)
    with watch(Watcher(execution), 1) as one:  # type: ignore[arg-type]
        until(lambda: execution.renewed, "a renewal")
        assert stopped(one) is None
        execution.away = False
        until(lambda: stopped(one), "the stop")


def test_a_renewal_that_the_database_did_not_take_is_tried_with_the_next_look(
    execution: FakeExecution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is restarted is away for nearly as long as a claim lasts."""
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=time.sleep)
    monkeypatch.setattr(watching, "time", clock)
    execution.refuses = True
    with watch(Watcher(execution), 1):  # type: ignore[arg-type]
        clock.monotonic = lambda: watching.HEARTBEAT
        until(lambda: execution.renewed.count(1) >= 2, "another try")
        execution.refuses = False
        until(lambda: execution.taken, "the renewal")


def test_a_look_that_hangs_for_one_run_keeps_no_other_from_being_renewed(execution: FakeExecution) -> None:
    execution.slow.add(1)
    watcher = Watcher(execution)  # type: ignore[arg-type]
    with watch(watcher, 1), watch(watcher, 2):
        until(lambda: execution.renewed.count(2) >= 3, "the third renewal")


def test_short_looks_have_no_thread_and_long_ones_are_watched_however_late_they_begin(
    execution: FakeExecution,
) -> None:
    watcher = Watcher(execution)  # type: ignore[arg-type]
    for run in range(10):
        with watch(watcher, run):
            pass
    until(lambda: "watcher" not in [one.name for one in threading.enumerate()], "the end of the thread")
    assert execution.renewed == []
    with watch(watcher, 11):
        until(lambda: 11 in execution.renewed, "a renewal")
