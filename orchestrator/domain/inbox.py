"""Where proven deliveries go: the promise between the webhook endpoint and the ingest service."""

from collections.abc import Mapping
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
    """Takes what arrived. Both calls come from many threads and must return within a second or two."""

    def accept(self, delivery: Delivery, parsed: Parsed) -> Answer:
        """Write a proven delivery down and say what came of it.

        :raises Unavailable: it could not be written down; the forge is asked to deliver it again.
        """
        ...

    def refuse(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Remember a delivery that was turned away, so that people can look it up.

        Anybody on the internet can cause this call and choose ``delivery.key``: a refused delivery must never
        count as "seen before", and what is kept must be bounded.

        :param reason: a stable word, as ``signature``, ``malformed`` or ``too_large``.
        :param detail: one sentence without secrets or body.
        :raises Unavailable: it could not be written down; the answer to the caller stays the same.
        """
        ...
