"""Answers that are kept for the requests with an Idempotency-Key."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import idempotency

KEY_LIFETIME = 24 * 3600.0
"""Seconds that the answer to an Idempotency-Key is kept."""
_PRUNE = 200
"""Old answers that one new key takes away at most."""


def claim(connection: Connection, key: str, request: str, at: float) -> dict[str, Any] | None:
    """Take an Idempotency-Key for a request inside its transaction; return the earlier row if the key was used.

    If another transaction holds the key, this one waits until that one has ended.

    :param request: digest of the request. The row's ``status`` and ``answer`` are those of `settle`.
    """
    old = select(idempotency.c.key).where(idempotency.c.created_at < at - KEY_LIFETIME).limit(_PRUNE)
    connection.execute(delete(idempotency).where(idempotency.c.key.in_(old.with_for_update(skip_locked=True))))
    row = {"key": key, "request": request, "status": 0, "answer": {}, "created_at": at}
    if upsert(connection, idempotency, row, key=("key",), keep=True, returning="key").first() is not None:
        return None
    found = connection.execute(select(idempotency).where(idempotency.c.key == key)).mappings().one()
    return dict(found)


def settle(connection: Connection, key: str, status: int, answer: Mapping[str, Any]) -> None:
    """Remember the answer to the request that holds a key."""
    where = idempotency.c.key == key
    connection.execute(update(idempotency).where(where).values(status=status, answer=dict(answer)))
