"""Requests that are carried out once, however often they are sent: the server's side of ``Idempotency-Key``.

The key is taken, the work done and the answer kept in one transaction: after a crash between any two lines either
all of it is there or nothing, and of two requests with one key exactly one does the work.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.domain.runs import Run
from orchestrator.store import idempotency
from orchestrator.store.database import Connection

ACCEPTED = 202
"""The status of every answer that is kept."""


class Repeated(Exception):
    """The request was carried out before; this is what was answered."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__("the request was carried out before")
        self.status = status
        self.answer = answer


class KeyReused(Exception):
    """The key belongs to another request."""


class KeyBusy(Exception):
    """The first request with this key is still being carried out."""


class Once:
    """One request. With an empty key it is carried out each time that it is sent.

    :param word: makes the answer from the run that came of the request (None: no run is concerned).
    :param key: unique per client and key. :param request: digest of what is asked for.
    """

    def __init__(self, word: Callable[[Run | None], Mapping[str, Any]], *, key: str = "", request: str = "") -> None:
        self._word = word
        self._key = key
        self._request = request
        self.answer: Mapping[str, Any] = {}

    def claim(self, connection: Connection, now: float) -> None:
        """Take the key inside the transaction that does the work.

        :raises Repeated: the same request was carried out. :raises KeyReused: the key was used for another one.
        """
        if not self._key:
            return
        found = idempotency.claim(connection, self._key, self._request, now)
        if found is None:
            return
        if found["request"] != self._request:
            raise KeyReused
        raise Repeated(found["status"], found["answer"])

    def settle(self, connection: Connection, run: Run | None) -> None:
        """Make the answer and keep it."""
        self.answer = self._word(run)
        if self._key:
            idempotency.settle(connection, self._key, ACCEPTED, self.answer)


class InFlight:
    """The keys that this process works on now; a second request is told so instead of waiting for the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[str] = set()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold `key` ("" is free for everybody) while the block runs. :raises KeyBusy: somebody holds it."""
        with self._lock:
            if key in self._keys:
                raise KeyBusy
            if key:
                self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)
