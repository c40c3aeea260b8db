"""Pods and rolling updates of the stand-in of Argo CD: one container is one pod, one thread looks after it."""

import hashlib
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from orchestrator.sandbox import argocd_objects as objects
from orchestrator.sandbox.argocd_chart import Workload
from orchestrator.sandbox.argocd_engine import ContainerState, EngineError
from orchestrator.sandbox.argocd_objects import Json, SandboxApplication

POLL_STARTING = 0.15
"""Seconds between two looks at a container that is not ready."""
POLL_READY = 1.0
"""Seconds between two looks at a container that is ready."""
PROBE_READY = 10.0
"""Seconds between two probes of a container that is ready (periodSeconds of Kubernetes)."""
PULL_ERROR_SHOWN = 0.3
"""Seconds that ErrImagePull is shown before it becomes ImagePullBackOff."""
MIN_READY = 0.5
"""Seconds that a container without a probe must stay up to be ready."""
BACKOFF = (1.0, 2.0, 5.0, 10.0)
"""Seconds before the next pull or start after a failure; the last one repeats."""
PROBE_FAILURES = 3
"""Failed probes in a row that make a ready pod unready (failureThreshold of Kubernetes)."""


class Containers(Protocol):
    """What pods need of an engine; see `DockerContainers`."""

    def pull(self, image: str) -> None:
        """Make an image available."""

    def run(self, image: str, name: str, workload: Workload, labels: dict[str, str]) -> str:
        """Create and start a container and return its id."""

    def restart(self, container: str) -> None:
        """Start a container again that has ended; one that runs is left alone."""

    def look(self, container: str, port: int) -> ContainerState:
        """Look at a container."""

    def probe(self, container: str, look: ContainerState, workload: Workload) -> str | None:
        """Ask the HTTP probe; "" when it passes, None when there is no way to ask."""

    def logs(self, container: str, lines: int) -> list[str]:
        """Return the last lines that a container printed."""

    def remove(self, container: str) -> None:
        """Remove a container."""

    def close(self) -> None:
        """Close this thread's connections."""


@dataclass(slots=True)
class PodState:
    """What a pod says about itself. ``reason`` is "Status Reason" of the tree, "" while there is none to tell."""

    ready: bool = False
    running: bool = False
    reason: str = "ContainerCreating"
    message: str = ""
    restarts: int = 0
    port: int = 0

    @property
    def health(self) -> str:
        """The health of a Pod as Argo CD computes it."""
        if self.reason.endswith(("BackOff", "Error")) or self.reason.startswith("ErrImage"):
            return "Degraded"
        return "Healthy" if self.ready else "Progressing"


class Pod:
    """One container with its thread: pull, start, watch, restart after a crash, until it is stopped."""

    def __init__(self, owner: "SandboxDeployment", workload: Workload, replica_set: str) -> None:
        self.workload = workload
        self.replica_set = replica_set
        self.name = f"{replica_set}-{secrets.token_hex(3)[:5]}"
        self.uid = secrets.token_hex(16)
        self.created = objects.timestamp()
        self.state = PodState()
        self.container = ""
        self._owner = owner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"pod-{self.name}", daemon=True)

    def start(self) -> None:
        """Begin; with no engine the pod is ready at once."""
        if self._owner.containers is None:
            self.state = PodState(ready=True, running=True, reason="Running")
        else:
            self._thread.start()

    def stop(self, *, wait: bool) -> None:
        """End the pod and remove its container."""
        self._stop.set()
        if wait and self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(15)

    @property
    def ended(self) -> bool:
        """Whether its container is gone for good."""
        return self._stop.is_set() and not self._thread.is_alive()

    @property
    def container_name(self) -> str:
        """The name of the only container, as the kubelet says it."""
        return self._owner.app.name

    def logs(self, lines: int) -> list[str]:
        """Return the last lines that the container printed."""
        containers = self._owner.containers
        return containers.logs(self.container, lines) if containers and self.container else []

    def _live(self) -> None:
        containers = self._owner.containers
        if containers is None:
            return
        failures = 0
        try:
            while not self._stop.is_set():
                pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
                try:
                    if self.container:
                        containers.restart(self.container)
                    else:
                        self._create(containers)
                    self._watch(containers, pause)
                except EngineError as error:
                    self._fell(error)
                self._stop.wait(pause)
                failures += 1
        finally:
            if self.container:
                containers.remove(self.container)
            containers.close()

    def _create(self, containers: Containers) -> None:
        self._event("Pulling", f'Pulling image "{self.workload.image}"')
        containers.pull(self.workload.image)
        self._event("Pulled", f'Successfully pulled image "{self.workload.image}"')
        if self._stop.is_set():
            return
        labels = {"pilotage.application": self._owner.app.name, "pilotage.pod": self.name}
        self.container = containers.run(self.workload.image, self.name, self.workload, labels)
        self._event("Started", "Started container")

    def _watch(self, containers: Containers, pause: float) -> None:
        """Look at the running container until it ends; then say for how long it is left alone."""
        if not self.container:
            return
        started, missed, asked = time.monotonic(), 0, -math.inf
        while not self._stop.is_set():
            up = time.monotonic() - started
            look = containers.look(self.container, self.workload.port)
            if not look.running:
                self._crashed(look, pause)
                return
            trouble = ""
            if not self.state.ready or missed or time.monotonic() - asked >= PROBE_READY:
                trouble, asked = self._trouble(containers, look, up), time.monotonic()
            missed = missed + 1 if trouble else 0
            ready = not trouble or (self.state.ready and missed < PROBE_FAILURES)
            told = replace(self.state, ready=ready, running=True, reason="Running", message=trouble, port=look.port)
            self._tell(told)
            self._stop.wait(POLL_READY if ready and not trouble else POLL_STARTING)

    def _trouble(self, containers: Containers, look: ContainerState, up: float) -> str:
        """Say what keeps the container from being ready; without a probe it must just stay up for a moment.

        :param up: seconds that it was seen running; it may have ended while its probe was asked.
        """
        if self.workload.probe and self.workload.port:
            said = containers.probe(self.container, look, self.workload)
            if said is not None:
                return said
        return "" if up >= MIN_READY else "starting"

    def _crashed(self, look: ContainerState, pause: float) -> None:
        """Say what the kubelet says: neither the exit code nor anything of the log is in it."""
        place = f"{self.name}_{self._owner.app.namespace}({self.uid})"
        message = f"back-off {pause:g}s restarting failed container={self.container_name} pod={place}"
        restarts = self.state.restarts + 1
        about = f"Back-off restarting failed container {self.container_name} in pod {place}"
        self._event("BackOff", about, warning=True)
        self._tell(PodState(reason="CrashLoopBackOff", message=message, restarts=restarts))
        if look.exit_code == 137 and not look.oom:
            # removed or killed by somebody: a new one, as a node would
            if self._owner.containers:
                self._owner.containers.remove(self.container)
            self.container = ""

    def _fell(self, error: EngineError) -> None:
        self._event("Failed", str(error), warning=True)
        self._tell(PodState(reason=error.reason, message=str(error), restarts=self.state.restarts))
        if error.reason == "ErrImagePull" and not self._stop.wait(PULL_ERROR_SHOWN):
            message = f'Back-off pulling image "{self.workload.image}": {error}'
            self._tell(PodState(reason="ImagePullBackOff", message=message))

    def _tell(self, state: PodState) -> None:
        changed = state != self.state
        if changed and state.message != self.state.message and state.message.startswith("Readiness"):
            self._event("Unhealthy", state.message, warning=True)
        self.state = state
        if changed:
            self._owner.moved()

    def _event(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._owner.record("Pod", self.name, self.uid, reason, message, warning=warning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What a deployment says: its health as Argo CD computes it, the images of its pods, where it listens."""

    health: str
    message: str
    images: tuple[str, ...]
    urls: tuple[str, ...]


class SandboxDeployment:
    """A rolling update: the old pods stay until all new ones are ready.

    :param changed: called, from any thread, when `rollout` may have changed.
    :param deadline: seconds until a rollout that does not finish is called Degraded.
    """

    def __init__(
        self, app: SandboxApplication, containers: Containers | None, changed: Callable[[], None], deadline: float
    ) -> None:
        self.app = app
        self.containers = containers
        self.applied_at = -math.inf
        self.applied: Workload | None = None
        self.revision = 0
        self.created = ""
        self._events: deque[Json] = deque(maxlen=200)
        self._complete = False
        self._changed = changed
        self._deadline = deadline
        self._lock = threading.RLock()
        self._new: list[Pod] = []
        self._old: list[Pod] = []
        self._ending: list[Pod] = []
        """Pods that gave way; their containers are on their way out."""
        self._timer: threading.Timer | None = None

    def apply(self, workload: Workload) -> None:
        """Begin to bring what runs to `workload`; nothing happens when that is what was applied last."""
        with self._lock:
            if workload == self.applied:
                return
            superseded = [pod for pod in self._new if not pod.state.ready]
            self._old += [pod for pod in self._new if pod.state.ready]
            self.applied, self.applied_at, self.revision = workload, time.monotonic(), self.revision + 1
            self._complete = False
            self.created = self.created or objects.timestamp()
            digest = hashlib.sha256(f"{self.revision}{workload.manifest}".encode()).hexdigest()[:10]
            self._new = [Pod(self, workload, f"{self.app.name}-{digest}") for _ in range(workload.replicas)]
            for pod in self._new:
                pod.start()
            if self.containers:
                self._arm(workload)
            self._end(superseded)
        self.moved()

    def moved(self) -> None:
        """Retire the old pods once all new ones are ready, and tell the controller."""
        with self._lock:
            ready = all(pod.state.ready for pod in self._new)
            retired, self._old = (self._old, []) if ready else ([], self._old)
            self._complete = self._complete or ready
            self._end(retired)
        self._changed()

    def rollout(self) -> Rollout:
        """Return the state of this moment."""
        with self._lock:
            pods = self._old + self._new
            health, message = self._health()
        images = tuple(sorted({pod.workload.image for pod in pods}))
        ports = sorted({pod.state.port for pod in pods if pod.state.ready and pod.state.port})
        urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
        return Rollout(health=health, message=message, images=images, urls=urls)

    def pods(self) -> list[Pod]:
        """Return the pods, the oldest first."""
        with self._lock:
            return self._old + self._new

    def record(self, kind: str, name: str, uid: str, reason: str, message: str, *, warning: bool = False) -> None:
        """Write down an event."""
        found = objects.event(kind, name, self.app.namespace, uid, reason, message, warning=warning)
        with self._lock:
            self._events.append(found)

    def events(self) -> list[Json]:
        """Return the last events, the oldest first."""
        with self._lock:
            return list(self._events)

    def stop(self) -> None:
        """End all pods and wait until their containers are gone."""
        with self._lock:
            self._end(self._old + self._new)
            pods, self._old, self._new = self._ending, [], []
            if self._timer:
                self._timer.cancel()
        for pod in pods:
            pod.stop(wait=True)

    def _end(self, pods: list[Pod]) -> None:
        """Tell pods to end, without waiting for it; the lock is held."""
        self._ending = [pod for pod in self._ending if not pod.ended] + pods
        for pod in pods:
            pod.stop(wait=False)

    def _arm(self, workload: Workload) -> None:
        """Look again when the rollout should have ended; a pod that hangs in a pull tells nothing by itself."""
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer((workload.deadline or self._deadline) + 0.05, self._changed)
        self._timer.daemon = True
        self._timer.start()

    def _health(self) -> tuple[str, str]:
        if self.applied is None:
            return "Missing", ""
        ready, wanted = sum(pod.state.ready for pod in self._new), len(self._new)
        if ready == wanted and not self._old:
            return "Healthy", ""
        limit = self.applied.deadline or self._deadline
        # the deadline is for the rollout: when pods of a finished one fall, Kubernetes says "Progressing" for ever
        if ready < wanted and not self._complete and time.monotonic() - self.applied_at >= limit:
            return "Degraded", f'Deployment "{self.app.name}" exceeded its progress deadline'
        if ready < wanted:
            said = f"{ready} of {wanted} updated replicas are available..."
            return "Progressing", f"Waiting for rollout to finish: {said}"
        return "Progressing", "Waiting for rollout to finish: 1 old replicas are pending termination..."
