"""How soon Pilotage says "healthy" after Argo CD has it, with Argo CD's stream and without.

The moment at Argo CD is when its own stream first shows the application synced and healthy at the run's commit, seen
by a second reader on the same machine. The comparison is made slow, so that the run is waiting when it happens. In
the second part the stream breaks again and again, so that only the lists are left.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.domain.apps import ArgoCD, Secret
from orchestrator.domain.errors import PilotageError
from tests.benchmarks.measuring import spread
from tests.benchmarks.world import World, at, until, world
from workers.clients.argocd import ArgoClient

PER_ROUND = 4


def main(rounds: int = 5) -> None:
    """Print both delays."""
    with world(runtime="docker") as here, _Observer(here) as observer:
        tags = [str(here.finished(here.push(f"Page {number}"))["image"]).rpartition(":")[2] for number in range(2)]
        print(f"  with the stream: {_delays(here, observer, tags, rounds * PER_ROUND)} (goal p50 100 ms)", flush=True)
        with _broken_stream(here):
            print(f"  without it:      {_delays(here, None, tags, rounds * PER_ROUND)} (goal p50 2 s)")


def _delays(here: World, observer: "_Observer | None", tags: list[str], count: int) -> str:
    found = []
    for number in range(count):
        run = here.finished(here.start(tags[number % 2]))
        healthy = observer.healthy_at(run["gitops_commit"]) if observer else _transition(here)
        found.append(max(0.0, at(run["finished_at"]) - healthy))
    return f"{spread(found)}, {count} runs"


def _transition(here: World) -> float:
    """Return when the application became healthy by its own word (whole seconds, so up to one second too early)."""
    client = ArgoClient(ArgoCD(url=here.platform.argocd_url, token=Secret(here.platform.argocd_token)))
    return at(client.get("plate-web-stg")["status"]["health"]["lastTransitionTime"])


class _Observer:
    """A second reader of the stream that notes when each revision was healthy first."""

    def __init__(self, here: World) -> None:
        access = ArgoCD(url=here.platform.argocd_url, token=Secret(here.platform.argocd_token))
        self._client = ArgoClient(access)
        self._stop = threading.Event()
        self._seen: dict[str, float] = {}
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "_Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def healthy_at(self, revision: str) -> float:
        until(lambda: revision in self._seen, 10.0)
        return self._seen[revision]

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._client.stream(self._note, self._stop, fields=())
            except PilotageError:
                continue

    def _note(self, _type: str, application: Mapping[str, Any]) -> None:
        status = application.get("status") or {}
        sync, operation = status.get("sync") or {}, status.get("operationState") or {}
        done = sync.get("status") == "Synced" and operation.get("phase") == "Succeeded"
        applied = (operation.get("syncResult") or {}).get("revision") == sync.get("revision")
        if done and applied and (status.get("health") or {}).get("status") == "Healthy":
            self._seen.setdefault(sync["revision"], time.time())


@contextmanager
def _broken_stream(here: World) -> Iterator[None]:
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.02):
            here.platform.argocd.faults.drop_streams()

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
