"""Faults that a stand-in is told to have: the next few requests that fit go wrong in one way."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFault:
    """One way for a request to go wrong.

    :param where: part of the request's path that it must contain; "" = any request.
    :param status: answer this status with `headers` and `body` and do nothing else; 0 = work as usual.
    :param delay: seconds to wait first. :param drop: ``before`` = cut the connection at once; ``after`` = do the
        work, then cut it without an answer; ``during`` (the Harbor stand-in only) = in the middle of its body.
    :param times: how many requests it hits; 0 = as many as come within `seconds`.
    """

    where: str = ""
    method: str = ""
    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: str = ""
    times: int = 1
    seconds: float = 0.0


class HttpFaults:
    """The faults still to happen; safe for the threads of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[HttpFault, int, float]] = []

    def add(self, fault: HttpFault) -> None:
        """Add a fault; of several that fit, the oldest happens first."""
        with self._lock:
            self._waiting.append((fault, fault.times, time.monotonic() + fault.seconds))

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> HttpFault | None:
        """Return the fault that this request has, counted down; None: it has none."""
        now = time.monotonic()
        with self._lock:
            self._waiting = [one for one in self._waiting if one[1] or now < one[2]]
            for index, (fault, left, _until) in enumerate(self._waiting):
                if fault.where in path and fault.method in ("", method):
                    if left:
                        self._waiting[index] = (fault, left - 1, 0.0)
                    return fault
        return None

    def left(self, fault: HttpFault) -> float:
        """Return the seconds for which a timed fault goes on (what ``Retry-After`` should say)."""
        now = time.monotonic()
        with self._lock:
            return max((until - now for one, _, until in self._waiting if one is fault), default=0.0)
