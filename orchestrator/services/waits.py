"""Runs that wait for Argo CD: which they are, and how they are woken."""

from collections.abc import Iterable

from orchestrator.domain.apps import Settings
from orchestrator.services.bell import Bell
from orchestrator.store import wakes
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock
from orchestrator.store.runs import waiting_at


class Waits:
    """The waiting runs by the name of their Argo CD application."""

    def __init__(self, database: Database, settings: Settings, bell: Bell) -> None:
        self._database = database
        self._settings = settings
        self._bell = bell
        self._latest: dict[str, list[int]] = {}

    def waiting(self) -> dict[str, list[int]]:
        """Return application name -> ids of runs whose ``sync`` or ``health`` waits."""
        with self._database.read() as connection:
            rows = waiting_at(connection, ("sync", "health"))
        found: dict[str, list[int]] = {}
        for run_id, app, environment in rows:
            configured = self._settings.app(app)
            place = configured.environment(environment) if configured else None
            if place is not None:
                found.setdefault(place.argocd, []).append(run_id)
        self._latest = found
        return found

    def wake(self, run_ids: Iterable[int]) -> None:
        """Have runs look now; one that is due already needs no second message, whether workers come to it or not."""
        ids = sorted(run_ids)
        if not ids:
            return
        with self._database.write() as connection:
            wakes.hasten(connection, ids, clock(), "deploy")
        self._bell.ring()

    def wake_application(self, name: str) -> None:
        """Have the runs that wait for an application look now."""
        self.wake(self._latest.get(name, ()))
