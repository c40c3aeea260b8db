"""Runs that wait for Argo CD: which they are, and how they are woken."""

from collections.abc import Iterable

from orchestrator.domain.apps import Settings
from orchestrator.services.bell import Bell
from orchestrator.store import wakes
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock
from orchestrator.store.waits import at_now, waiting_at

_STAGES = ("sync", "health")
"""The stages that wait for Argo CD."""


class Waits:
    """The waiting runs by the name of their Argo CD application."""

    def __init__(self, database: Database, settings: Settings, bell: Bell) -> None:
        self._database = database
        self._bell = bell
        environments = [(app.name, one) for app in settings.apps for one in app.environments]
        self._application = {(app, one.name): one.argocd for app, one in environments}
        self._apps: dict[str, set[str]] = {}
        for app, one in environments:
            self._apps.setdefault(one.argocd, set()).add(app)

    def waiting(self) -> dict[str, list[int]]:
        """Return application name -> ids of runs whose ``sync`` or ``health`` waits.

        Those of environments that are not configured here have the name "": other workers may know them, and if none
        does, the run has to be told.
        """
        with self._database.read() as connection:
            rows = waiting_at(connection, _STAGES)
        return self._by_application(rows)

    def wake(self, run_ids: Iterable[int]) -> None:
        """Wake runs now; one that is due already needs no second message."""
        ids = sorted(run_ids)
        if not ids:
            return
        with self._database.write() as connection:
            wakes.hasten(connection, ids, clock(), "deploy")
        self._bell.ring()

    def wake_application(self, name: str) -> None:
        """Wake the runs that wait for an application; one that a worker looks at now looks again right after.

        They are read anew: a quick rollout may be over before a run that has just begun to wait is known here.
        """
        apps = self._apps.get(name)
        if apps:
            with self._database.read() as connection:
                rows = at_now(connection, _STAGES, sorted(apps))
            self.wake(self._by_application(rows).get(name, ()))

    def _by_application(self, rows: Iterable[tuple[int, str, str]]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for run_id, app, environment in rows:
            found.setdefault(self._application.get((app, environment), ""), []).append(run_id)
        return found
