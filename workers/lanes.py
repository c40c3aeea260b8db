"""How many runs of each queue one process looks at, at a time."""

import threading
from collections.abc import Callable


class Lane:
    """Lets at most `width` looks happen at a time; a run that comes meanwhile waits in a list, not in a thread.

    So many builds that wait keep no thread from what is short. What waits is lost with the process, as any message
    may be: the relay repeats it from the tables.

    :param look: looks at a run. :param stopping: whether to begin nothing new.
    """

    def __init__(self, look: Callable[[int], None], width: int, stopping: Callable[[], bool] = lambda: False) -> None:
        self._look = look
        self._free = width
        self._stopping = stopping
        self._waiting: dict[int, None] = {}
        self._lock = threading.Lock()

    def take(self, run_id: int) -> None:
        """Look at a run, now or as soon as one that is being looked at is done; then at what has come meanwhile."""
        with self._lock:
            if not self._free:
                self._waiting[run_id] = None
                return
            self._free -= 1
        try:
            following: int | None = run_id
            while following is not None:
                self._look(following)
                following = self._next()
        finally:
            with self._lock:
                self._free += 1

    def _next(self) -> int | None:
        with self._lock:
            if not self._waiting or self._stopping():
                return None
            run_id = next(iter(self._waiting))
            del self._waiting[run_id]
            return run_id
