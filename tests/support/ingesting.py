"""Handing deliveries to an inbox and waiting until they are written down."""

from typing import Any

from orchestrator.domain.events import Delivery, Parsed
from orchestrator.domain.inbox import Answer, Inbox

LONGEST = 60
"""Seconds in which a write is over, or fails."""


def accept(inbox: Inbox, delivery: Delivery, parsed: Parsed) -> Answer:
    """Have a proven delivery written down; return what came of it. :raises Unavailable: it could not be."""
    return _written(inbox, inbox.accept(delivery, parsed))


def refuse(inbox: Inbox, delivery: Delivery, reason: str, detail: str) -> None:
    """Have a refusal written down. :raises Unavailable: it could not be."""
    _written(inbox, inbox.refuse(delivery, reason, detail))


def _written(inbox: Inbox, written: Any) -> Any:
    inbox.flush()
    return written.result(LONGEST)
