"""How soon Pilotage says "healthy" after Argo CD has it, with Argo CD's stream and without.

The moment at Argo CD is when it first shows the application synced and healthy at the run's commit to a second reader
on the same machine: by its stream, or in the second part, where the stream breaks again and again so that only the
lists are left, by being asked all the time. The comparison is made slow, so that the run is waiting when it happens.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

from orchestrator.domain.apps import ArgoCD, Secret
from orchestrator.domain.errors import PilotageError
from tests.benchmarks.measuring import spread
from tests.benchmarks.served_platform import PAUSE, ServedPlatform, at, served_platform, until
from tests.support.argocd import told
from workers.clients.argocd import ArgoClient

PER_ROUND = 4


def main(rounds: int = 5) -> None:
    """Print both delays."""
    with served_platform(runtime="docker") as here:
        tags = [str(here.finished(here.push(f"Page {number}"))["image"]).rpartition(":")[2] for number in range(2)]
        with _Follower(here) as observer:
            print(f"  with the stream: {_delays(here, observer, tags, rounds)} (goal p50 100 ms)", flush=True)
        with _broken_stream(here), _Asker(here) as observer:
            print(f"  without it:      {_delays(here, observer, tags, rounds)} (goal p50 2 s)")


def _delays(here: ServedPlatform, observer: "_Observer", tags: list[str], rounds: int) -> str:
    found = []
    for number in range(rounds * PER_ROUND):
        run = here.finished(here.start(tags[number % 2]))
        found.append(max(0.0, at(run["finished_at"]) - observer.healthy_at(run["gitops_commit"])))
    return f"{spread(found)}, {len(found)} runs"


class _Observer:
    """A second reader of Argo CD that notes when each revision was healthy first."""

    def __init__(self, here: ServedPlatform) -> None:
        self._access = ArgoCD(url=here.platform.argocd_url, token=Secret(here.platform.argocd_token))
        self._client = ArgoClient(self._access)
        self._stop = threading.Event()
        self._seen: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def healthy_at(self, revision: str) -> float:
        until(lambda: revision in self._seen, 10.0)
        return self._seen[revision]

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except (PilotageError, requests.RequestException):
                continue

    def _look(self) -> None:
        raise NotImplementedError

    def _note(self, application: Mapping[str, Any]) -> None:
        status = application.get("status") or {}
        sync, operation = status.get("sync") or {}, status.get("operationState") or {}
        done = sync.get("status") == "Synced" and operation.get("phase") == "Succeeded"
        applied = (operation.get("syncResult") or {}).get("revision") == sync.get("revision")
        if done and applied and (status.get("health") or {}).get("status") == "Healthy":
            self._seen.setdefault(sync["revision"], time.time())


class _Follower(_Observer):
    """By its stream."""

    def _look(self) -> None:
        for application in told(self._access.url, self._access.token.reveal()):
            self._note(application)
            if self._stop.is_set():
                return


class _Asker(_Observer):
    """By asking again and again."""

    def _look(self) -> None:
        self._note(self._client.get("plate-web-stg"))
        self._stop.wait(PAUSE)


@contextmanager
def _broken_stream(here: ServedPlatform) -> Iterator[None]:
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
