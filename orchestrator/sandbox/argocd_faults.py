"""What the stand-in of Argo CD can be told to do wrong, for tests and demonstrations."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

MANUAL = "manual"
"""Value of ``sync_window`` for a window that lets manual syncs through."""


class FaultName(StrEnum):
    """Every way to misbehave. ``value`` and the scope of each are told in `Faults.set`."""

    UNAVAILABLE = "unavailable"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    STALE_REVISION = "stale_revision"
    SLOW_REFRESH = "slow_refresh"
    LIST_LAG = "list_lag"
    FLAP = "flap"
    DEGRADED = "degraded"
    NEVER_SYNC = "never_sync"
    SYNC_WINDOW = "sync_window"
    SYNC_FAILS = "sync_fails"
    NO_LOGS = "no_logs"
    UNJUDGED = "unjudged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFault:
    """A fault in force: since when and until when (monotonic seconds), and its value."""

    since: float
    until: float
    value: float | str


class Faults:
    """The faults in force; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[tuple[FaultName, str], ActiveFault] = {}
        self._timers: list[threading.Timer] = []
        self.changed: Callable[[str], None] = lambda _: None
        self.drop: Callable[[], None] = lambda: None

    def set(
        self, name: FaultName | str, application: str = "", *, seconds: float = math.inf, value: float | str = 0
    ) -> None:
        """Put a fault in force for `seconds`, for one application or for all ("").

        ``unavailable``: every call answers the status `value` (default 503). ``unauthorized``: every call answers
        401. ``forbidden``: the account has no rights. ``stale_revision``: a comparison does not see new commits.
        ``slow_refresh``: a comparison begins `value` seconds late. ``list_lag``: LIST shows the state of `value`
        seconds ago. ``flap``: what is synced from now on is Degraded for `value` seconds once it is healthy.
        ``degraded``: what is synced from now on is Degraded. ``never_sync``: automated sync does nothing.
        ``sync_window``: a deny window is open; with the value "manual" it lets syncs through that are asked for.
        ``sync_fails``: an operation fails with the message `value`. ``no_logs``: the account lacks ``logs, get``.
        ``unjudged``: the workload is a custom resource that has no health check.
        """
        now = time.monotonic()
        fault = ActiveFault(since=now, until=now + seconds, value=value)
        with self._lock:
            self._faults[FaultName(name), application] = fault
            if seconds < math.inf:
                timer = threading.Timer(seconds + 0.01, lambda: self.changed(application))
                timer.daemon = True
                self._timers.append(timer)
                timer.start()
        self.changed(application)

    def lift(self, name: FaultName | str, application: str = "") -> None:
        """Take one fault back."""
        with self._lock:
            self._faults.pop((FaultName(name), application), None)
        self.changed(application)

    def clear(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._faults.clear()
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
        self.changed("")

    def get(self, name: FaultName, application: str = "") -> ActiveFault | None:
        """Return the fault in force for an application (its own, or the one for all), or None."""
        now = time.monotonic()
        with self._lock:
            for key in ((name, application), (name, "")):
                fault = self._faults.get(key)
                if fault and fault.until > now:
                    return fault
        return None

    def drop_streams(self) -> None:
        """Cut every open stream now."""
        self.drop()
