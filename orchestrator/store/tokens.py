"""API tokens (hashed), answers kept for Idempotency-Key, where refs are, and processes alive."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import heads, idempotency, processes, tokens

_STEP = 200
"""Refs that one transaction forgets."""


def add_token(connection: Connection, name: str, role: str, digest: str, at: float, expires_at: float | None) -> int:
    """Store a token by its SHA-256; return its id."""
    row = {"name": name, "role": role, "hash": digest, "created_at": at, "expires_at": expires_at}
    return int(connection.execute(tokens.insert().values(**row).returning(tokens.c.id)).scalar_one())


_FIND = select(tokens).where(tokens.c.hash == bindparam("digest"), tokens.c.revoked_at.is_(None))


def find_token(connection: Connection, digest: str, now: float) -> dict[str, Any] | None:
    """Find a token that is neither revoked nor expired."""
    row = connection.execute(_FIND, {"digest": digest}).mappings().one_or_none()
    if row is None or (row["expires_at"] is not None and row["expires_at"] < now):
        return None
    return dict(row)


def all_tokens(connection: Connection) -> list[dict[str, Any]]:
    """List tokens, revoked ones too; the hash stays here."""
    rows = connection.execute(select(tokens).order_by(tokens.c.id)).mappings()
    return [{key: value for key, value in row.items() if key != "hash"} for row in rows]


def revoke_token(connection: Connection, token_id: int, at: float) -> bool:
    """Revoke a token; False when there is no such valid one."""
    where = (tokens.c.id == token_id) & tokens.c.revoked_at.is_(None)
    return connection.execute(update(tokens).where(where).values(revoked_at=at)).rowcount == 1


KEY_LIFETIME = 24 * 3600.0
"""Seconds that the answer to an Idempotency-Key is kept."""
_PRUNE = 200
"""Old answers that one new key takes away at most."""


def claim_key(connection: Connection, key: str, request: str, at: float) -> dict[str, Any] | None:
    """Take an Idempotency-Key for a request inside its transaction; return the earlier row if the key was used.

    A transaction that holds the same key lets this one wait until it is known whether it was carried out.

    :param request: digest of the request. The row's ``status`` and ``answer`` are those of `settle_key`.
    """
    old = select(idempotency.c.key).where(idempotency.c.created_at < at - KEY_LIFETIME).limit(_PRUNE)
    connection.execute(delete(idempotency).where(idempotency.c.key.in_(old.with_for_update(skip_locked=True))))
    row = {"key": key, "request": request, "status": 0, "answer": {}, "created_at": at}
    if upsert(connection, idempotency, row, key=("key",), keep=True, returning="key").first() is not None:
        return None
    found = connection.execute(select(idempotency).where(idempotency.c.key == key)).mappings().one()
    return dict(found)


def settle_key(connection: Connection, key: str, status: int, answer: Mapping[str, Any]) -> None:
    """Remember the answer to the request that holds a key."""
    where = idempotency.c.key == key
    connection.execute(update(idempotency).where(where).values(status=status, answer=dict(answer)))


_HEAD = select(heads.c.commit, heads.c.seen_at).where(
    heads.c.repo == bindparam("of_repo"), heads.c.ref == bindparam("of_ref")
)


def known_head(connection: Connection, repo: str, ref: str) -> tuple[str, float] | None:
    """Return the object at which a ref was last seen ("": it was deleted), and when."""
    row = connection.execute(_HEAD, {"of_repo": repo, "of_ref": ref}).one_or_none()
    return None if row is None else (row.commit, row.seen_at)


def set_head(connection: Connection, repo: str, ref: str, commit: str, at: float) -> None:
    """Write down where a ref is; "": it was deleted."""
    row = {"repo": repo, "ref": ref, "commit": commit, "seen_at": at}
    upsert(connection, heads, row, key=("repo", "ref"))


def drop_heads(connection: Connection, repo: str, before: float, kept: Collection[str]) -> None:
    """Forget the refs of a repository that nobody has told of since a time, except those in `kept`."""
    of_repo = heads.c.repo == repo
    old = connection.execute(select(heads.c.ref).where(of_repo, heads.c.seen_at < before)).scalars()
    refs = [ref for ref in old if ref not in kept][:_STEP]
    if refs:
        connection.execute(delete(heads).where(of_repo, heads.c.ref.in_(refs), heads.c.seen_at < before))


def seen_alive(connection: Connection, name: str, kind: str, at: float, facts: Mapping[str, Any]) -> None:
    """Write down that a process is alive."""
    row = {"name": name, "kind": kind, "seen_at": at, "facts": dict(facts)}
    upsert(connection, processes, row, key=("name",))
    connection.execute(delete(processes).where(processes.c.seen_at < at - 3600))


def alive(connection: Connection, since: float) -> list[dict[str, Any]]:
    """List the processes seen since a time."""
    statement = select(processes).where(processes.c.seen_at >= since).order_by(processes.c.name)
    return [dict(row) for row in connection.execute(statement).mappings()]
