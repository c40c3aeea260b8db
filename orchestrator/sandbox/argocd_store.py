"""The Application objects of the stand-in: versions, waiters and watchers, as the Kubernetes API has them."""

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from orchestrator.sandbox.argocd_objects import Json

BUFFER = 1000
"""Events that are kept for slow readers of a stream; older ones are lost to them (as in Argo CD)."""

Event = tuple[str, Json]


class ObjectStore:
    """All objects by name. An object that was handed out is never changed: every update makes a new one."""

    def __init__(self, objects: Iterable[Json]) -> None:
        self._changed = threading.Condition()
        self._objects = {found["metadata"]["name"]: found for found in objects}
        self._past: dict[str, deque[tuple[float, Json]]] = {name: deque(maxlen=50) for name in self._objects}
        self._log: deque[tuple[int, Event]] = deque(maxlen=BUFFER)
        self._version = 1
        self._cut = 0
        self.closed = False

    def get(self, name: str) -> Json | None:
        """Return the newest version of an object, or None."""
        return self._objects.get(name)

    def all(self, lag: float = 0.0) -> list[Json]:
        """Return every object, as of `lag` seconds ago."""
        with self._changed:
            found = list(self._objects.items())
            return [self._as_of(name, newest, lag) if lag else newest for name, newest in found]

    def update(self, name: str, change: Callable[[Json], None]) -> Json:
        """Let `change` edit a copy of an object; when it differs, make it the newest version and tell everybody."""
        with self._changed:
            old = self._objects[name]
            new = copy.deepcopy(old)
            change(new)
            if new == old:
                return old
            self._version += 1
            new["metadata"]["resourceVersion"] = str(self._version)
            self._past[name].append((time.monotonic(), old))
            self._objects[name] = new
            self._log.append((self._version, ("MODIFIED", new)))
            self._changed.notify_all()
            return new

    def wait(self, name: str, good: Callable[[Json], bool], seconds: float) -> Json | None:
        """Wait until the newest version of an object is `good` and return it; None when time is up or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or good(self._objects[name]), seconds)
            found = self._objects[name]
            return found if good(found) and not self.closed else None

    @property
    def version(self) -> int:
        """The newest resource version."""
        return self._version

    @property
    def cut(self) -> int:
        """How often the streams were cut."""
        return self._cut

    def follow(self, since: int, cut: int, seconds: float) -> tuple[int, list[Event]] | None:
        """Wait for events after the version `since`.

        :param cut: value of `cut` when the stream began.
        :return: the version to go on from and the events, none when `seconds` passed; None when the stream ends.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._cut != cut or self._version > since, seconds)
            if self.closed or self._cut != cut:
                return None
            return self._version, [event for version, event in self._log if version > since]

    def drop_streams(self) -> None:
        """End every stream."""
        with self._changed:
            self._cut += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End every stream and every wait."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _as_of(self, name: str, newest: Json, lag: float) -> Json:
        then = time.monotonic() - lag
        for changed_at, old in self._past[name]:
            if changed_at > then:
                return old
        return newest
