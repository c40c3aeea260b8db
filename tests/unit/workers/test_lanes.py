"""How many runs one process looks at, at a time."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from workers.lanes import Lane, Move


class Looks:
    """Looks that last until they are told to end."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.changed = threading.Condition()
        self.go = threading.Semaphore(0)

    def __call__(self, run_id: int, _move: Move) -> None:
        with self.changed:
            self.begun.append(run_id)
            self.changed.notify_all()
        self.go.acquire(timeout=20)

    def wait_for(self, count: int) -> list[int]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, timeout=20)
            return list(self.begun)


@pytest.fixture
def looks() -> Looks:
    return Looks()


def start(lane: Lane, *run_ids: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=lane.take, args=(run_id,), daemon=True) for run_id in run_ids]
    for thread in threads:
        thread.start()
    return threads


def finish(looks: Looks, threads: list[threading.Thread]) -> None:
    looks.go.release(20)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_what_does_not_fit_waits_without_a_thread_and_comes_next(looks: Looks) -> None:
    lane = Lane(looks, 1)
    busy = start(lane, 1)
    looks.wait_for(1)
    for run_id in (2, 3, 2):
        lane.take(run_id)  # returns at once
    assert looks.begun == [1]

    finish(looks, busy)

    assert looks.begun == [1, 2, 3]


def test_as_many_as_fit_are_looked_at_together(looks: Looks) -> None:
    threads = start(Lane(looks, 2), 1, 2)
    assert sorted(looks.wait_for(2)) == [1, 2]
    finish(looks, threads)


def test_a_worker_that_stops_begins_nothing_that_waits(looks: Looks) -> None:
    stopping = threading.Event()
    lane = Lane(looks, 1, stopping.is_set)
    busy = start(lane, 1)
    looks.wait_for(1)
    lane.take(2)
    stopping.set()

    finish(looks, busy)

    assert looks.begun == [1]


def test_a_look_that_breaks_gives_its_place_back() -> None:
    seen: list[int] = []

    def look(run_id: int, _move: Move) -> None:
        seen.append(run_id)
        if run_id == 1:
            raise RuntimeError

    lane = Lane(look, 1)
    broken: Callable[[], None] = lambda: lane.take(1)  # noqa: E731
    with pytest.raises(RuntimeError):
        broken()
    lane.take(2)
    assert seen == [1, 2]


def test_a_look_goes_on_in_the_lane_beside_and_leaves_its_own_place_to_others(looks: Looks) -> None:
    build = Lane(looks, 1)
    moved: list[bool] = []

    def look(run_id: int, move: Move) -> None:
        moved.append(move() and move())  # once it has moved, it stays
        looks(run_id, move)

    threads = start(deploy := Lane(look, 1, beside=build), 1)
    looks.wait_for(1)
    threads += start(deploy, 2)  # there is room again
    looks.wait_for(2)
    build.take(3)  # waits for the place that run 1 has

    finish(looks, threads)

    assert moved == [True, False]
    assert looks.begun == [1, 2, 3]


def test_a_look_stays_where_it_is_while_others_wait_for_its_place(looks: Looks) -> None:
    moved: list[bool] = []

    def look(run_id: int, move: Move) -> None:
        looks(run_id, move)
        moved.append(move())

    deploy = Lane(look, 1, beside=Lane(looks, 1))
    threads = start(deploy, 1)
    looks.wait_for(1)
    deploy.take(2)

    finish(looks, threads)

    assert moved == [False, True]


def test_a_run_that_comes_in_the_moment_when_the_last_look_ends_waits_for_nobody() -> None:
    seen: list[int] = []
    lane = Lane(lambda run_id, _move: seen.append(run_id), 1)
    lane._lock = Door(lane._lock, after=2, do=lambda: lane.take(2))  # type: ignore[assignment]
    lane.take(1)  # the second time that it lets go of its lock it has found that nothing waits
    assert seen == [1, 2]


class Door:
    """A lock that has something done as soon as it is free for a certain time, before who held it goes on."""

    def __init__(self, lock: Any, *, after: int, do: Callable[[], None]) -> None:
        self._lock = lock
        self._left = after
        self._do = do

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._left -= 1
        if self._left == 0:
            self._do()
