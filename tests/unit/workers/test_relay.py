"""The relay: its duties, its sign of life, its end."""

import threading
from collections.abc import Callable

import pytest

from tests.support.journals import Logged
from workers import relay as relay_module
from workers.relay import PATIENCE, Duty, Relay


def hanging(name: str, patience: float | None, begun: threading.Event, go: threading.Event) -> Duty:
    def once(_stopping: threading.Event) -> float:
        begun.set()
        go.wait(20)
        return 0.01

    return Duty(name=name, once=once, patience=patience)


@pytest.fixture
def run() -> Callable[[Relay], threading.Thread]:
    def start(relay: Relay) -> threading.Thread:
        thread = threading.Thread(target=relay.run, daemon=True)
        thread.start()
        return thread

    return start


def test_it_shows_life_until_it_is_told_to_stop(
    run: Callable[[Relay], threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "EVERY", 0.01)
    beats = threading.Semaphore(0)
    relay = Relay((Duty(name="publisher", once=lambda _: 0.01),), beats.release)
    thread = run(relay)
    assert all(beats.acquire(timeout=10) for _ in range(3))
    relay.stopping.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_duty_that_takes_too_long_is_stuck_unless_it_may(run: Callable[[Relay], threading.Thread]) -> None:
    begun, go = [threading.Event(), threading.Event()], threading.Event()
    relay = Relay((hanging("argo watch", PATIENCE, begun[0], go), hanging("polling", None, begun[1], go)))
    thread = run(relay)
    assert all(event.wait(10) for event in begun)
    now = relay_module.time.monotonic()
    assert relay.stuck(now) == []
    assert relay.stuck(now + PATIENCE + 1) == ["argo watch"]
    go.set()
    relay.stopping.set()
    thread.join(10)
    assert relay.stuck(now + PATIENCE + 1) == []


def test_a_stuck_relay_shows_no_life_and_says_why(
    run: Callable[[Relay], threading.Thread], monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(relay_module, "EVERY", 0.01)
    beats = []
    begun, go = threading.Event(), threading.Event()
    relay = Relay((hanging("repairs", 0.0, begun, go),), lambda: beats.append(1))
    thread = run(relay)
    assert begun.wait(10)
    beats.clear()
    while not logged.of("duty is stuck"):
        thread.join(0.01)
    assert logged.of("duty is stuck")[0]["duty"] == "repairs"
    assert beats == []
    go.set()
    relay.stopping.set()
    thread.join(10)


def test_all_duties_together_get_one_grace(
    run: Callable[[Relay], threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "GRACE", 0.1)
    begun, go = [threading.Event() for _ in range(3)], threading.Event()
    relay = Relay(tuple(hanging(f"messenger {n}", None, begun[n], go) for n in range(3)))
    thread = run(relay)
    assert all(event.wait(10) for event in begun)
    relay.stopping.set()
    thread.join(10)
    assert not thread.is_alive()
    go.set()
