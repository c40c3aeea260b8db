"""Where verified deliveries go: the interface between the webhook endpoint and the ingest service."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.domain.events import Delivery, Parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the forge is told.

    ``status`` is 202 (runs were queued) or 200 (ignored, duplicate, ping); ``body`` is a JSON object.
    """

    status: int
    body: Mapping[str, Any]


class Inbox(Protocol):
    """Takes deliveries. The calls come from many threads and return at once; a caller may wait for the result.

    What they return is there within a second or two after `flush`, and fails with Unavailable where it could not be
    written down.
    """

    def accept(self, delivery: Delivery, parsed: Parsed) -> Future[Answer]:
        """Record a verified delivery and return the result; if that fails, the forge is to deliver it again."""
        ...

    def refuse(self, delivery: Delivery, reason: str, detail: str) -> Future[None]:
        """Record a refused delivery, so that people can look it up.

        Anybody on the internet can cause this call and choose ``delivery.key``: a refused delivery must never
        count as "seen before", and what is kept must be bounded. If it fails, the answer to the caller stays the
        same.

        :param reason: a stable word, as ``signature``, ``malformed`` or ``too_large``.
        :param detail: one sentence without secrets or body.
        """
        ...

    def flush(self) -> None:
        """Write what was taken so far: what arrives together is written together."""
        ...
