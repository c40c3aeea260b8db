"""Waking waiting runs: when their application changes, once at first, and a few in turn; at constant cost."""

import queue
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.journals import Logged
from workers import argo_watch
from workers.argo_watch import IDLE, IN_TURN, POLL, ArgoWatch

STOP = threading.Event()


class FakeArgo:
    """Lists applications, by name or by ``namespace/name``."""

    def __init__(self) -> None:
        self.health: dict[str, str] = {}
        self.lists = 0
        self.trouble: Callable[[], None] = lambda: None

    def applications(self, *_: object) -> list[dict[str, Any]]:
        self.lists += 1
        self.trouble()
        places = [(*place.rpartition("/"), health) for place, health in self.health.items()]
        return [
            {"metadata": {"namespace": space, "name": name}, "status": {"health": {"status": health}}}
            for space, _, name, health in places
        ]


class NoStream:
    """Stands in for the stream: never up, so that lists are all there is."""

    up = False

    def start(self, _stopping: threading.Event) -> None:
        """Stay down."""

    def stop(self) -> None:
        """Stay down."""


class FakeStream(FakeArgo):
    """Lists applications, and streams what it is given, as the real client does: `stop` is seen with an event."""

    def __init__(self) -> None:
        super().__init__()
        self.events: queue.Queue[str] = queue.Queue()
        self.connections = 0

    def stream(self, on_event: Callable[[dict[str, Any]], None], stop: threading.Event) -> None:
        self.connections += 1
        while (name := self.events.get(timeout=10)) and not stop.is_set():
            on_event({"metadata": {"name": name}})
        if not name:
            raise Unavailable(Reason.ARGOCD_UNAVAILABLE, "the stream of applications ended")


class FakeWaits:
    """Knows which runs wait, and remembers who was woken."""

    def __init__(self, waiting: dict[str, list[int]]) -> None:
        self.now = waiting
        self.woken: list[set[int]] = []
        self.told: queue.Queue[str] = queue.Queue()
        self.trouble: Exception | None = None

    def waiting(self) -> dict[str, list[int]]:
        return self.now

    def wake(self, run_ids: Iterable[int]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.woken.append(set(run_ids))

    def wake_application(self, name: str) -> None:
        self.told.put(name)


@pytest.fixture
def argo() -> FakeArgo:
    return FakeArgo()


def tick(watch: ArgoWatch) -> None:
    watch._listed_at -= 100  # as if the interval had passed
    watch.once(STOP)


def make(argo: FakeArgo, waits: FakeWaits, monkeypatch: pytest.MonkeyPatch) -> ArgoWatch:
    monkeypatch.setattr(argo_watch, "IN_TURN", 0)
    return watching(argo, waits)


def watching(argo: FakeArgo, waits: FakeWaits) -> ArgoWatch:
    watch = ArgoWatch(argo, waits)  # type: ignore[arg-type]
    watch._stream = NoStream()  # type: ignore[assignment]
    return watch


def test_nothing_is_asked_while_nobody_waits(argo: FakeArgo, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = make(argo, FakeWaits({}), monkeypatch)
    for _ in range(3):
        tick(watch)
    assert argo.lists == 0


def test_a_run_is_woken_once_when_it_begins_to_wait_and_then_when_its_application_changes(
    argo: FakeArgo, monkeypatch: pytest.MonkeyPatch
) -> None:
    argo.health = {"web": "Progressing", "api": "Healthy"}
    waits = FakeWaits({"web": [1], "api": [2]})
    watch = make(argo, waits, monkeypatch)
    tick(watch)
    tick(watch)
    argo.health["web"] = "Healthy"
    tick(watch)
    assert waits.woken == [{1, 2}, set(), {1}]


def test_a_change_that_is_listed_while_a_worker_looks_is_told_when_the_run_waits_again(
    argo: FakeArgo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker may have read the application just before."""
    argo.health = {"web": "Progressing", "api": "Progressing"}
    waits = FakeWaits({"web": [1], "api": [2]})
    watch = make(argo, waits, monkeypatch)
    tick(watch)
    waits.now = {"api": [2]}
    argo.health["web"] = "Healthy"
    tick(watch)
    waits.now = {"web": [1], "api": [2]}
    tick(watch)
    tick(watch)
    assert waits.woken == [{1, 2}, set(), {1}, set()]


@pytest.mark.parametrize("moved", ["argocd/web", "team/web"])
def test_each_of_two_applications_of_one_name_is_seen_to_change(
    argo: FakeArgo, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    argo.health = {"argocd/web": "Progressing", "team/web": "Progressing"}
    waits = FakeWaits({"web": [1]})
    watch = make(argo, waits, monkeypatch)
    tick(watch)
    tick(watch)
    argo.health[moved] = "Healthy"
    tick(watch)
    assert waits.woken == [{1}, set(), {1}]


def test_a_thousand_waiting_runs_cost_one_list_and_a_few_looks(argo: FakeArgo) -> None:
    waits = FakeWaits({f"app-{number}": [number] for number in range(1, 1001)})
    argo.health = dict.fromkeys(waits.now, "Progressing")
    watch = watching(argo, waits)
    tick(watch)
    for _ in range(5):
        tick(watch)
    assert argo.lists == 6
    assert [len(woken) for woken in waits.woken[1:]] == [IN_TURN] * 5
    assert len(set().union(*waits.woken[1:])) == 5 * IN_TURN, "each in its turn"


def test_lists_keep_their_distance(argo: FakeArgo, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = make(argo, FakeWaits({"web": [1]}), monkeypatch)
    for _ in range(10):
        watch.once(STOP)
    assert argo.lists == 1


def test_a_change_whose_wake_up_could_not_be_written_is_told_again(
    argo: FakeArgo, monkeypatch: pytest.MonkeyPatch
) -> None:
    argo.health = {"web": "Progressing"}
    waits = FakeWaits({"web": [1]})
    watch = make(argo, waits, monkeypatch)
    waits.trouble = Unavailable(Reason.DATABASE_UNAVAILABLE, "deadlock detected")
    with pytest.raises(Unavailable):
        tick(watch)
    waits.trouble = None
    tick(watch)
    argo.health["web"] = "Healthy"
    waits.trouble = Unavailable(Reason.DATABASE_UNAVAILABLE, "deadlock detected")
    with pytest.raises(Unavailable):
        tick(watch)
    waits.trouble = None
    tick(watch)
    assert waits.woken == [{1}, {1}]


def test_a_list_that_fails_wakes_the_new_runs_and_a_few_in_turn_all_the_same(argo: FakeArgo, logged: Logged) -> None:
    def fail() -> None:
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, "the answer is larger than is read")

    argo.trouble = fail
    waits = FakeWaits({f"app-{number}": [number] for number in range(1, 11)})
    watch = watching(argo, waits)
    assert watch.once(STOP) == IDLE
    assert waits.woken == [set(range(1, 11))]
    for _ in range(5):
        tick(watch)
    assert sorted(run for woken in waits.woken[1:] for run in woken) == sorted([*range(3, 11), 1, 2])
    assert logged.of("applications not listed")[0]["reason"] == Reason.ARGOCD_UNAVAILABLE.value


def test_the_longer_a_failing_list_takes_the_more_runs_look_in_turn(
    argo: FakeArgo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that needs more than a minute for all applications may well answer for a single one."""
    now = [1000.0]
    monkeypatch.setattr(argo_watch, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def hang() -> None:
        now[0] += 20 * POLL
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, "no answer in time")

    waits = FakeWaits({f"app-{number}": [number] for number in range(1, 101)})
    watch = watching(argo, waits)
    watch.once(STOP)
    argo.trouble = hang
    tick(watch)
    assert len(waits.woken[1]) == 20 * IN_TURN


@pytest.mark.parametrize("linger", [0.0, 60.0])
def test_a_stream_goes_on_for_the_next_run(monkeypatch: pytest.MonkeyPatch, linger: float) -> None:
    monkeypatch.setattr(argo_watch, "LINGER", linger)
    argo, waits, stopping = FakeStream(), FakeWaits({"web": [1]}), threading.Event()
    watch = ArgoWatch(argo, waits)  # type: ignore[arg-type]
    watch.once(stopping)
    waits.now = {}
    watch.once(stopping)  # nobody waits
    waits.now = {"web": [2]}
    watch.once(stopping)
    argo.events.put("web")
    assert waits.told.get(timeout=5) == "web"
    assert argo.connections == 1
    stopping.set()
    argo.events.put("")


def test_lists_go_on_until_the_stream_has_shown_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in between may hold back what a stream sends."""
    now = [1000.0]
    monkeypatch.setattr(argo_watch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    argo, waits, stopping = FakeStream(), FakeWaits({"web": [1]}), threading.Event()
    watch = ArgoWatch(argo, waits)  # type: ignore[arg-type]

    def lists_in_a_while() -> int:
        before = argo.lists
        for _ in range(4):
            now[0] += POLL
            watch.once(stopping)
        return argo.lists - before

    watch.once(stopping)
    assert lists_in_a_while() == 4
    argo.events.put("web")
    assert waits.told.get(timeout=5) == "web"
    assert lists_in_a_while() == 0
    now[0] += 30
    assert lists_in_a_while() == 1, "a stream loses events without a word"
    stopping.set()
    argo.events.put("")
