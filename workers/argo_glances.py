"""Seeing what Argo CD says of every environment, for people: one list per interval, whoever asked for it."""

import threading
import time
from collections.abc import Callable, Iterable

from orchestrator import journal
from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import PilotageError
from orchestrator.domain.glances import Witness
from orchestrator.domain.reasons import Reason
from orchestrator.services.glances import Glances
from workers.clients.argocd import ArgoClient
from workers.gitops.fingerprint import LIST_FIELDS
from workers.gitops.glancing import glances_of
from workers.shapes import Json

log = journal.get(__name__)

EVERY = 15.0
"""Seconds between two lists, where nobody else makes one."""
OFTEN = 5.0
"""Seconds between two times that something is written down: while runs wait, lists come more often."""


class ArgoGlances:
    """Writes down what lists of applications say. :param steady: tells monotonic seconds."""

    def __init__(
        self,
        client: ArgoClient,
        glances: Glances,
        settings: Settings,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._glances = glances
        self._settings = settings
        self._steady = steady
        self._listed_at = self._written_at = -EVERY
        self._trouble: Reason | None = None

    def once(self, _stopping: threading.Event) -> float:
        """List, unless somebody else has just done so; return the seconds until the next time."""
        left = EVERY - (self._steady() - self._listed_at)
        if left > 0 or not self._settings.apps:
            return max(left, 1.0)
        self._listed_at = self._steady()
        try:
            applications = self._client.applications(LIST_FIELDS)
        except PilotageError as error:
            self._failed(error)
            return EVERY
        self._write(applications)
        return EVERY

    def listed(self, applications: Iterable[Json]) -> None:
        """Take a list that was made for waiting runs. What goes wrong here must not keep these from being woken."""
        self._listed_at = self._steady()
        if self._listed_at - self._written_at < OFTEN:
            return
        try:
            self._write(applications)
        except PilotageError as error:
            log.warning("applications not noted", reason=error.reason.value, detail=error.evidence)

    def _write(self, applications: Iterable[Json]) -> None:
        self._written_at, self._trouble = self._steady(), None
        self._glances.saw(Witness.ARGOCD, glances_of(applications, self._settings))

    def _failed(self, error: PilotageError) -> None:
        if error.reason is not self._trouble:  # else the same line comes four times a minute
            log.warning("applications not listed", reason=error.reason.value, detail=error.evidence)
        self._trouble = error.reason
        self._glances.failed(Witness.ARGOCD, error)
