"""How many runs of each queue one process looks at, at a time."""

import threading
from collections.abc import Callable

Move = Callable[[], bool]
"""Asks for a place in the other lane, for good; whether there is one, or was already."""


class Lane:
    """Lets at most `width` looks happen at a time; a run that comes meanwhile waits in a list, not in a thread.

    So many builds that wait keep no thread from what is short. What waits is lost with the process, as any message
    may be: the relay repeats it from the tables.

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
        """Look at a run, now or as soon as one that is being looked at is done; then at what has come meanwhile."""
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
        """Take what waits, or leave: both at once, else a run that comes in between would wait for nobody."""
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
        """Exchange a place here for one beside, unless somebody waits here: nobody would call them then."""
        if self._beside is None:
            return None
        with self._lock, self._beside._lock:
            if self._waiting or not self._beside._free:
                return None
            self._free += 1
            self._beside._free -= 1
        return self._beside


class _Seat:
    """Where a thread sits."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._first = lane

    def move(self) -> bool:
        if self.lane is self._first:
            self.lane = self._first._move() or self._first
        return self.lane is not self._first
