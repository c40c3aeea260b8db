"""The relay: from the tables to Celery, and the clock of everything that is due.

One process (more do no harm): publishes wake-ups, repairs what crashes left, watches Argo CD for waiting runs,
sends notifications, and polls branch heads for pushes whose hook was lost. Each is a thread of its own, so that a
slow foreign service delays nothing else.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from celery import Celery
from kombu.exceptions import OperationalError

from orchestrator import journal
from orchestrator.domain.errors import PilotageError, Unavailable
from orchestrator.services.bell import Bell
from orchestrator.services.reconcile import Reconcile
from workers.tasks import LOOK

log = journal.get(__name__)

IDLE = 1.0
"""Seconds after which the tables are looked at even if nobody rang."""
REPAIR = 5.0
"""Seconds between two repairs."""
PULSE = 10.0
"""Seconds between two signs of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something that the relay does again and again: ``once`` returns the seconds until the next time."""

    name: str
    once: Callable[[threading.Event], float]


class Relay:
    """Runs duties until told to stop."""

    def __init__(self, duties: tuple[Duty, ...]) -> None:
        self._duties = duties
        self.stopping = threading.Event()

    def run(self) -> None:
        """Run all duties; returns after `stopping` is set and each has finished what it was doing."""
        threads = [
            threading.Thread(target=self._keep, args=(duty,), name=duty.name, daemon=True) for duty in self._duties
        ]
        for thread in threads:
            thread.start()
        self.stopping.wait()
        for thread in threads:
            thread.join(timeout=10)

    def _keep(self, duty: Duty) -> None:
        while not self.stopping.is_set():
            try:
                pause = duty.once(self.stopping)
            except PilotageError as error:
                log.warning("duty failed", duty=duty.name, reason=error.reason.value, detail=error.evidence)
                pause = IDLE
            except Exception:  # the shell of a duty: one mistake must not end it for ever
                log.exception("duty broke", duty=duty.name)
                pause = REPAIR
            self.stopping.wait(pause)


class Pulse:
    """Touches a file for the probe of an orchestrator, as workers do; a relay has no port that could be asked."""

    def __init__(self, state_dir: str) -> None:
        self._file = Path(state_dir) / "relay.alive"

    def once(self, _stopping: threading.Event) -> float:
        """Touch it. :raises OSError: the state folder cannot be written to."""
        self._file.touch()
        return PULSE


class Publisher:
    """Publishes due wake-ups to Celery."""

    def __init__(self, reconcile: Reconcile, celery: Celery, bell: Bell) -> None:
        self._reconcile = reconcile
        self._celery = celery
        self._bell = bell

    def once(self, stopping: threading.Event) -> float:
        """Publish what is due; else wait for the bell. A message that is lost is repeated from the table."""
        due = self._reconcile.due_wakes()
        for run_id, queue in due:
            self._publish(run_id, queue)
        if not due:
            self._wait(self._reconcile.seconds_until_due(IDLE), stopping)
        return 0.0

    def _publish(self, run_id: int, queue: str) -> None:
        try:
            self._celery.send_task(LOOK, args=[run_id], queue=queue, retry=False, ignore_result=True)
        except (OperationalError, OSError) as error:
            log.warning("wake-up not published", run=run_id, detail=type(error).__name__)

    def _wait(self, seconds: float, stopping: threading.Event) -> None:
        try:
            self._bell.wait(seconds)
        except Unavailable:
            stopping.wait(min(seconds, IDLE))  # no bell without Redis; the table is looked at all the same


class Repairs:
    """Takes runs back from workers that vanished."""

    def __init__(self, reconcile: Reconcile, bell: Bell) -> None:
        self._reconcile = reconcile
        self._bell = bell
        self._looks = 0

    def once(self, _stopping: threading.Event) -> float:
        """Repair once."""
        taken = self._reconcile.expired_leases()
        if taken:
            log.warning("leases expired", runs=taken)
        self._looks += 1
        if self._looks % 12 == 0:
            stranded = self._reconcile.stranded()
            if stranded:
                log.error("runs without a wake-up", runs=stranded)
                taken = taken + stranded
        if taken:
            self._bell.ring()
        return REPAIR
