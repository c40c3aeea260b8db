"""The application controller of the stand-in: comparison with Git, automated sync, operations, health.

The order of its writes is that of the real one, because the windows between them are what a client must survive: the
status is patched before the refresh annotation goes, an operation is queued before it runs, and after it has run the
old sync status stays until the next comparison.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum

from orchestrator.sandbox import argocd_objects as objects
from orchestrator.sandbox import argocd_status as status
from orchestrator.sandbox.argocd_chart import RenderError, Workload, render
from orchestrator.sandbox.argocd_faults import MANUAL, FaultName, Faults
from orchestrator.sandbox.argocd_objects import REFRESH, REFRESH_TIME, Json, SandboxApplication, timestamp
from orchestrator.sandbox.argocd_repo import Clone, GitError
from orchestrator.sandbox.argocd_rollout import Rollout, SandboxDeployment
from orchestrator.sandbox.argocd_store import ObjectStore

PROCESSORS = 4
"""Applications that are worked on at the same time."""
RECONCILIATION = 120.0
"""Seconds between two comparisons that nobody asked for (``timeout.reconciliation``)."""
REVISION_CACHE = 30.0
"""Seconds for which a comparison that nobody asked for believes what was fetched before."""
_BLOCKED = "Sync operation blocked by sync window"
_AUTOMATED: Json = {"automated": True}
_LOADING = (
    "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = "
)


class LookDepth(IntEnum):
    """How far one look at an application goes."""

    LIVE = 0
    """At what runs."""
    CACHED = 1
    """And at Git, as it was a moment ago."""
    REMOTE = 2
    """And at Git, as it is now."""


class Controller:
    """Brings every application to what its branch says; one application is never worked on twice at a time.

    :param repositories: by repository address. :param deployments: by application.
    """

    def __init__(
        self,
        store: ObjectStore,
        applications: Mapping[str, SandboxApplication],
        repositories: Mapping[str, Clone],
        make_deployment: Callable[[SandboxApplication, Callable[[], None]], SandboxDeployment],
        faults: Faults,
    ) -> None:
        self._store = store
        self._applications = applications
        self._repositories = repositories
        self._faults = faults
        self.deployments = {
            name: make_deployment(app, lambda name=name: self.ask(name))  # type: ignore[misc]
            for name, app in applications.items()
        }
        self.events: dict[str, deque[Json]] = {name: deque(maxlen=100) for name in applications}
        self._rendered: dict[str, tuple[str, Workload]] = {}
        self._flapping: dict[tuple[str, float], float] = {}
        self._lock = threading.Lock()
        self._wanted: dict[str, LookDepth] = {}
        self._busy: set[str] = set()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(PROCESSORS, thread_name_prefix="argocd-processor")
        self._clock = threading.Thread(target=self._reconcile, name="argocd-clock", daemon=True)

    def start(self) -> None:
        """Compare everything once and begin to keep time."""
        for name in self._applications:
            self.ask(name, LookDepth.CACHED)
        self._clock.start()

    def stop(self) -> None:
        """End all work and remove all containers."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._clock.ident:
            self._clock.join(5)
        for deployment in self.deployments.values():
            deployment.stop()

    def ask(self, name: str, depth: LookDepth = LookDepth.LIVE) -> None:
        """Have an application looked at soon; the furthest of all looks that are asked for is taken."""
        with self._lock:
            self._wanted[name] = max(self._wanted.get(name, LookDepth.LIVE), depth)
            if name in self._busy or self._stop.is_set():
                return
            self._busy.add(name)
        with contextlib.suppress(RuntimeError):  # the pool refuses work while we stop
            self._pool.submit(self._work, name)

    def refresh(self, name: str, kind: str) -> int:
        """Note the wish for a comparison on the object, as the API server does; return its version with the note."""

        def note(found: Json) -> None:
            found["metadata"].setdefault("annotations", {})[REFRESH] = kind
            found["metadata"]["annotations"][REFRESH_TIME] = f"{timestamp()[:-1]}.{time.time_ns() % 10**9:09d}Z"

        version = int(self._store.update(name, note)["metadata"]["resourceVersion"])
        self.ask(name, LookDepth.REMOTE)
        return version

    def request(self, name: str, operation: Json) -> Json:
        """Queue an operation and return the object: ``.operation`` set and the old operation state gone."""

        def queue(found: Json) -> None:
            found["operation"] = operation
            found["status"].pop("operationState", None)
            status.drop_condition(found, "SyncError")

        found = self._store.update(name, queue)
        self.ask(name)
        return found

    def poke(self, name: str) -> None:
        """Look at one application, or at all (""), because a fault began or ended."""
        for each in [name] if name else list(self._applications):
            self.ask(each, LookDepth.REMOTE if name else LookDepth.LIVE)

    def _reconcile(self) -> None:
        while not self._stop.wait(RECONCILIATION):
            for name in self._applications:
                self.ask(name, LookDepth.CACHED)

    def _work(self, name: str) -> None:
        while not self._stop.is_set():
            with self._lock:
                depth = self._wanted.pop(name, None)
                if depth is None:
                    self._busy.discard(name)
                    return
            self._process(name, depth)

    def _process(self, name: str, depth: LookDepth) -> None:
        app = self._applications[name]
        if depth > LookDepth.LIVE:
            self._compare(app, fresh=depth is LookDepth.REMOTE)
        self._evaluate(app)
        found = self._object(name)
        if "operation" not in found:
            found = self._automate(app, found)
        if "operation" in found:
            self._operate(app, found["operation"])

    def _object(self, name: str) -> Json:
        found = self._store.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def _compare(self, app: SandboxApplication, *, fresh: bool) -> None:
        """Look at Git, write the status down, then take the refresh annotation away: two writes."""
        slow = self._faults.get(FaultName.SLOW_REFRESH, app.name)
        if slow:
            self._stop.wait(float(slow.value))
        asked = (self._object(app.name)["metadata"].get("annotations") or {}).get(REFRESH_TIME)
        started = timestamp()
        try:
            revision, workload = self._target(app, fresh=fresh)
        except (GitError, RenderError) as error:
            self._rendered.pop(app.name, None)
            message = f"{_LOADING}{error}"
            self._evaluate(app, lambda found: status.cannot_load(app, found, started, message))
        else:
            self._rendered[app.name] = (revision, workload)
            self._evaluate(app, lambda found: status.compared(app, found, started, revision))
        self._store.update(app.name, lambda found: status.refreshed(found, asked))

    def _target(self, app: SandboxApplication, *, fresh: bool) -> tuple[str, Workload]:
        """Resolve the branch and render the chart there.

        :param fresh: ask the remote now; else what was fetched a moment ago will do.
        :raises GitError, RenderError: it cannot be done.
        """
        repository = self._repositories[app.repo]
        known = self._rendered.get(app.name)
        if known and self._faults.get(FaultName.STALE_REVISION, app.name):
            return known
        repository.fetch(max_age=0.0 if fresh else REVISION_CACHE)
        return self._render(app, repository.resolve(app.branch))

    def _render(self, app: SandboxApplication, revision: str) -> tuple[str, Workload]:
        repository = self._repositories[app.repo]
        templates = repository.identity(revision, f"{app.path}/templates")
        read = lambda path: repository.read(revision, path)  # noqa: E731 - a partial application
        return revision, render(read, app.path, app.value_files, templates)

    def _evaluate(self, app: SandboxApplication, before: Callable[[Json], None] | None = None) -> None:
        """Write down sync status and health from one look at what runs; `reconciledAt` stays.

        :param before: an edit that belongs to the same update. A new revision must never be seen beside the sync
            status and health of the old one: clients rely on one object being of one moment.
        """
        deployment = self.deployments[app.name]
        rollout = deployment.rollout()
        rendered = self._rendered.get(app.name)
        judged = self._faults.get(FaultName.UNJUDGED, app.name) is None
        health = self._health(app, deployment, rollout) if judged else "Healthy"

        def change(found: Json) -> None:
            if before:
                before(found)
            sync = found["status"]["sync"]
            if rendered and sync.get("revision") == rendered[0]:
                sync["status"] = "Synced" if rendered[1] == deployment.applied else "OutOfSync"
            status.set_health(found["status"], health, f"apps/Deployment:{app.namespace}/{app.name}")
            found["status"]["resources"] = objects.resources(app, sync["status"], health, judged=judged)
            found["status"]["summary"] = {"images": list(rollout.images)} if rollout.images else {}
            if rollout.urls:
                found["status"]["summary"]["externalURLs"] = list(rollout.urls)

        self._store.update(app.name, change)

    def _health(self, app: SandboxApplication, deployment: SandboxDeployment, rollout: Rollout) -> str:
        degraded = self._faults.get(FaultName.DEGRADED, app.name)
        if degraded and deployment.applied_at >= degraded.since:
            return "Degraded"
        flap = self._faults.get(FaultName.FLAP, app.name)
        if flap and deployment.applied_at >= flap.since and rollout.health == "Healthy":
            until = self._flapping.setdefault((app.name, flap.since), time.monotonic() + float(flap.value))
            if time.monotonic() < until:
                timer = threading.Timer(until - time.monotonic() + 0.01, self.ask, (app.name,))
                timer.daemon = True
                timer.start()
                return "Degraded"
        return rollout.health

    def _automate(self, app: SandboxApplication, found: Json) -> Json:
        """Queue an automated sync when one is due: one attempt per revision; a sync window leaves no trace."""
        rendered = self._rendered.get(app.name)
        sync = found["status"]["sync"]
        if not app.automated or rendered is None or sync["status"] != "OutOfSync":
            return found
        if any(self._faults.get(fault, app.name) for fault in (FaultName.NEVER_SYNC, FaultName.SYNC_WINDOW)):
            return found
        state = found["status"].get("operationState", {})
        if state.get("syncResult", {}).get("revision") == rendered[0] and state["phase"] != "Succeeded":
            message = f"Failed last sync attempt to [{rendered[0]}]: {state['message']}"
            return self._store.update(app.name, lambda each: status.add_condition(each, "SyncError", message))
        return self.request(app.name, objects.operation(app, rendered[0], _AUTOMATED))

    def _operate(self, app: SandboxApplication, operation: Json) -> None:
        """Run a queued operation, or leave it where a sync window blocks it."""
        window = self._faults.get(FaultName.SYNC_WINDOW, app.name)
        blocked = window and window.value != MANUAL
        revision = operation["sync"]["revision"]
        state: Json = {
            "operation": operation,
            "phase": "Running",
            "message": _BLOCKED if blocked else "waiting for completion of hook or sync operation",
            "syncResult": {"resources": [], "revision": revision, "source": app.source()},
            "startedAt": self._object(app.name)["status"].get("operationState", {}).get("startedAt") or timestamp(),
        }
        self._store.update(app.name, lambda found: found["status"].update(operationState=state))
        if blocked:
            return
        self._say(app, "OperationStarted", f"Initiated sync to '{revision}'")
        final = self._apply(app, state)
        self._store.update(app.name, lambda found: status.finish(app, found, final))
        succeeded = final["phase"] == "Succeeded"
        self._say(
            app, "OperationCompleted", f"Sync operation to {revision}: {final['message']}", warning=not succeeded
        )
        self.ask(app.name, LookDepth.CACHED)

    def _apply(self, app: SandboxApplication, state: Json) -> Json:
        """Apply what the operation names and return the operation's last state."""
        final = {**state, "finishedAt": timestamp()}
        fails = self._faults.get(FaultName.SYNC_FAILS, app.name)
        try:
            wanted = state["operation"]["sync"]["revision"] or app.branch
            revision, workload = self._render(app, self._repositories[app.repo].resolve(wanted))
        except (GitError, RenderError) as error:
            return final | {"phase": "Error", "message": f"ComparisonError: {_LOADING}{error}"}
        if fails:
            message = f"one or more objects failed to apply, reason: {fails.value}"
            result = objects.sync_result(app, revision, workload.image, str(fails.value))
            return final | {"phase": "Failed", "message": message, "syncResult": result}
        if not state["operation"]["sync"].get("dryRun"):
            self.deployments[app.name].apply(workload)
        result = objects.sync_result(app, revision, workload.image)
        return final | {
            "phase": "Succeeded",
            "message": "successfully synced (all tasks run)",
            "syncResult": result,
            "finishedAt": timestamp(),
        }

    def _say(self, app: SandboxApplication, reason: str, message: str, *, warning: bool = False) -> None:
        uid = self._object(app.name)["metadata"]["uid"]
        found = objects.event(
            "Application", app.name, objects.NAMESPACE, uid, reason, message[:1000], warning=warning
        )
        self.events[app.name].append(found)
