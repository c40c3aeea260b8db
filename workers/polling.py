"""What is done now and then: finding pushes whose hook was lost, and tidying."""

import threading
from functools import partial
from pathlib import Path

from orchestrator import journal
from orchestrator.domain.apps import App, Settings
from orchestrator.domain.errors import PilotageError
from orchestrator.engine.matching import watched_branches
from orchestrator.services.bell import Bell
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.retention import Retention
from orchestrator.store.database import now as clock
from workers.clients.git import Mirror, mirror_folder
from workers.tidying import tidy

log = journal.get(__name__)


class Polling:
    """Reads the watched heads of every app's repository, one ``ls-remote`` per repository and round."""

    def __init__(self, settings: Settings, reconcile: Reconcile, bell: Bell) -> None:
        self._settings = settings
        self._reconcile = reconcile
        self._bell = bell

    def once(self, stopping: threading.Event) -> float:
        """Poll every app once, whatever becomes of the others; return the seconds until the next round."""
        for app in self._settings.apps:
            if stopping.is_set():
                break
            try:
                self._poll(app)
            except PilotageError as error:
                log.warning("heads not compared", app=app.name, reason=error.reason.value, detail=error.evidence)
        return self._settings.poll_interval

    def _poll(self, app: App) -> None:
        branches = watched_branches(app)
        if not branches:
            return
        read_at = clock()
        mirror = Mirror(app.source, mirror_folder(Path(self._settings.state_dir), app.source.url))
        heads = mirror.ls_remote([f"refs/heads/{branch}" for branch in branches])
        for branch in branches:
            commit = heads.get(f"refs/heads/{branch}")
            made = self._reconcile.head_seen(app, branch, commit, read_at) if commit else []
            for run_id in made:
                log.info("push found without a hook", run=run_id, app=app.name, branch=branch, commit=commit)
            if made:
                self._bell.ring()


class Tidying:
    """Removes old records, and packs the mirrors that have become slow to read, apart from any run."""

    _EVERY = 3600.0

    def __init__(self, settings: Settings, retention: Retention) -> None:
        self._settings = settings
        self._retention = retention

    def once(self, stopping: threading.Event) -> float:
        """Look at the tables and at every mirror; return the seconds until the next round."""
        self._forget(stopping)
        root = Path(self._settings.state_dir)
        accesses = [self._settings.gitops.access, *(app.source for app in self._settings.apps)]
        for access in {access.url: access for access in accesses}.values():
            if stopping.wait(1.0):
                break
            tidy(partial(Mirror, access, mirror_folder(root, access.url)))
        return self._EVERY

    def _forget(self, stopping: threading.Event) -> None:
        try:
            removed = self._retention.tidy(stopping.is_set)
        except PilotageError as error:
            log.warning("old records not removed", reason=error.reason.value, detail=error.evidence)
            return
        if removed.runs or removed.deliveries:
            told = f"{removed.deliveries} deliveries, logs and messages of {removed.runs} runs"
            log.info("old records removed", detail=told)
