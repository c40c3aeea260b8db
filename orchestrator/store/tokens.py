"""API tokens, hashed."""

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from orchestrator.store.schema import tokens


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
