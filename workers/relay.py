"""The relay: from the tables to Celery, and the clock of everything that is due.

One process (more do no harm): publishes wake-ups, repairs what crashes left, watches Argo CD for waiting runs,
sends notifications, polls branch heads for pushes whose hook was lost, and sees for people what Git and Argo CD say.
Each is a thread of its own, so that a slow foreign service delays nothing else.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from celery import Celery
from kombu.exceptions import OperationalError

from orchestrator import journal
from orchestrator.domain.errors import PilotageError, Unavailable
from orchestrator.heartbeat import EVERY
from orchestrator.services.bell import Bell
from orchestrator.services.reconcile import Reconcile
from orchestrator.store.wakes import SOON
from workers.tasks import LOOK

log = journal.get(__name__)

IDLE = SOON
"""Seconds after which the tables are looked at even if nobody rang."""
REPAIR = 5.0
"""Seconds between two repairs."""
UPKEEP = 10.0
"""Seconds between two signs of life in the tables."""
GRACE = 10.0
"""Seconds that all duties together get to finish what they are doing; what they leave is taken up from the tables."""
PATIENCE = 300.0
"""Seconds that a duty may take before the relay counts as stuck; every foreign call ends much sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something that the relay does again and again. ``once`` returns the seconds until the next time.

    :param patience: seconds that ``once`` may take; None: no bound, as there may be any number of repositories.
    """

    name: str
    once: Callable[[threading.Event], float]
    patience: float | None = PATIENCE


class Relay:
    """Runs duties until told to stop.

    :param beat: called every few seconds as long as no duty is stuck.
    """

    def __init__(self, duties: tuple[Duty, ...], beat: Callable[[], None] = lambda: None) -> None:
        self._duties = duties
        self._beat = beat
        self._since: dict[str, float] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        """Run all duties; returns after `stopping` is set and each has finished what it was doing."""
        threads = [
            threading.Thread(target=self._keep, args=(duty,), name=duty.name, daemon=True) for duty in self._duties
        ]
        for thread in threads:
            thread.start()
        self._show_life()
        while not self.stopping.wait(EVERY):
            self._show_life()
        deadline = time.monotonic() + GRACE
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def stuck(self, now: float) -> list[str]:
        """Name the duties that have taken longer than their patience. :param now: monotonic seconds."""
        patience = {duty.name: duty.patience for duty in self._duties}
        begun = tuple(self._since.items())
        return [name for name, since in begun if (most := patience[name]) is not None and now - since > most]

    def _show_life(self) -> None:
        stuck = self.stuck(time.monotonic())
        for name in stuck:
            log.error("duty is stuck", duty=name)
        if stuck:
            return
        try:
            self._beat()
        except OSError as error:
            log.warning("heartbeat not written", detail=str(error))

    def _keep(self, duty: Duty) -> None:
        while not self.stopping.is_set():
            self._since[duty.name] = time.monotonic()
            try:
                pause = duty.once(self.stopping)
            except PilotageError as error:
                log.warning("duty failed", duty=duty.name, reason=error.reason.value, detail=error.evidence)
                pause = IDLE
            except Exception:  # the shell of a duty: one mistake must not end it for ever
                log.exception("duty broke", duty=duty.name)
                pause = REPAIR
            self._since.pop(duty.name, None)
            self.stopping.wait(pause)


class Publisher:
    """Publishes due wake-ups to Celery."""

    def __init__(self, reconcile: Reconcile, celery: Celery, bell: Bell) -> None:
        self._reconcile = reconcile
        self._celery = celery
        self._bell = bell

    def once(self, stopping: threading.Event) -> float:
        """Publish what is due; else wait for the bell. A message that is lost is repeated from the table.

        A broker that is away takes seconds to fail: the message that it did not take, and all after it, wait.
        """
        due = self._reconcile.due_wakes()
        for number, (run_id, queue) in enumerate(due):
            if not self._publish(run_id, queue):
                self._reconcile.not_published([left for left, _ in due[number:]])
                return IDLE
        if not due:
            self._wait(self._reconcile.seconds_until_due(IDLE), stopping)
        return 0.0

    def _publish(self, run_id: int, queue: str) -> bool:
        try:
            self._celery.send_task(LOOK, args=[run_id], queue=queue, retry=False, ignore_result=True)
        except (OperationalError, OSError) as error:
            log.warning("wake-up not published", run=run_id, err_type=type(error).__name__)
            return False
        return True

    def _wait(self, seconds: float, stopping: threading.Event) -> None:
        try:
            self._bell.wait(seconds)
        except Unavailable:
            stopping.wait(min(seconds, IDLE))  # no bell without Redis; the table is looked at all the same


class Upkeep:
    """Writes into the tables that this relay is alive, and folds the tallies."""

    def __init__(self, reconcile: Reconcile) -> None:
        self._reconcile = reconcile
        self._name = f"{socket.gethostname()}:relay:{os.getpid()}"

    def once(self, _stopping: threading.Event) -> float:
        """Do both; return the seconds until the next time."""
        self._reconcile.alive(self._name, "relay")
        self._reconcile.fold_tallies()
        return UPKEEP


class Repairs:
    """Takes runs back from workers that vanished."""

    def __init__(self, reconcile: Reconcile, bell: Bell) -> None:
        self._reconcile = reconcile
        self._bell = bell
        self._looks = 0

    def once(self, _stopping: threading.Event) -> float:
        """Repair once."""
        taken = self._reconcile.expired_leases()
        for run_id in taken:
            log.warning("lease expired", run=run_id)
        self._looks += 1
        if self._looks % 12 == 0:
            stranded = self._reconcile.stranded()
            for run_id in stranded:
                log.error("run without a wake-up", run=run_id)
            too_far = self._reconcile.too_far()
            for run_id in too_far:
                log.warning("wake-up was too far ahead", run=run_id)
            for channel in self._reconcile.give_up_messages():
                log.warning("messages given up", channel=channel, detail="it is not configured any more")
            taken = taken + stranded + too_far
        if taken:
            self._bell.ring()
        return REPAIR
