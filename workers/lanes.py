"""How many runs of each queue one process works on at a time."""

import threading
from collections.abc import Callable

Move = Callable[[], bool]
"""Asks for a place in the other lane, to keep; True if the run has one now."""


class Lane:
    """Lets at most `width` looks happen at a time; a run that comes meanwhile waits in a list, not in a thread.

    So builds that wait take no thread from short work, however many they are. The list is lost with the process, as
    any message may be: the relay repeats it from the tables.

    :param look: looks at a run; may move on to the lane `beside`, which saves the way through relay and broker.
    :param stopping: whether to begin nothing new. :param beside: the lane for what a look here may lead to.
    """

    def __init__(
        self,
        look: Callable[[int, Move], None],
        width: int,
        stopping: Callable[[], bool] = lambda: False,
        beside: "Lane | None" = None,
    ) -> None:
        self._look = look
        self._free = width
        self._stopping = stopping
        self._beside = beside
        self._waiting: dict[int, None] = {}
        self._lock = threading.Lock()

    def take(self, run_id: int) -> None:
        """Look at a run and then at those that came meanwhile; if the lane is full, leave it to a busy thread."""
        with self._lock:
            if not self._free:
                self._waiting[run_id] = None
                return
            self._free -= 1
        seat = _Seat(self)
        following: int | None = run_id
        while following is not None:
            try:
                seat.lane._look(following, seat.move)
            except BaseException:
                seat.lane._leave()
                raise
            following = seat.lane._next()

    def _next(self) -> int | None:
        """Take a run that waits, or leave the lane, in one step: a run that came in between would never be taken."""
        with self._lock:
            if not self._waiting or self._stopping():
                self._free += 1
                return None
            run_id = next(iter(self._waiting))
            del self._waiting[run_id]
            return run_id

    def _leave(self) -> None:
        with self._lock:
            self._free += 1

    def _move(self) -> "Lane | None":
        """Give up the place here for one in the other lane, unless a run waits here: nobody would take it then."""
        if self._beside is None:
            return None
        with self._lock, self._beside._lock:
            if self._waiting or not self._beside._free:
                return None
            self._free += 1
            self._beside._free -= 1
        return self._beside


class _Seat:
    """The lane that a thread works in now."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._first = lane

    def move(self) -> bool:
        if self.lane is self._first:
            self.lane = self._first._move() or self._first
        return self.lane is not self._first
