"""API tokens and who may do what: random secrets, kept only as SHA-256."""

import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestrator.store import tokens
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock

PREFIX = "plt_"
"""What every token begins with, so that scanners find one that got into a repository."""
_BYTES = 32
_MAX_LENGTH = 200
LOCAL_NAME = "local"
"""Name of the token that commands on this machine use."""


class Role(StrEnum):
    """What a token may do; each role may do all that the one before may."""

    VIEWER = "viewer"
    DEPLOYER = "deployer"
    ADMIN = "admin"

    def may(self, needed: "Role") -> bool:
        """Tell whether this role is enough where `needed` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: the token's id and name, its role, and the digest by which it is looked up again."""

    id: int
    name: str
    role: Role
    digest: str


class TokenInvalid(ValueError):
    """A token cannot be made as asked for: one sentence."""


def create(database: Database, name: str, role: Role | str, expires_at: float | None = None) -> str:
    """Make a token and return it in plain text; it cannot be shown again.

    :param name: who or what uses it, 1 to 100 characters; shown as the actor of what it starts.
    :param expires_at: seconds since the epoch; None: it lives until it is revoked.
    :raises TokenInvalid: no such role, no fit name, or an end in the past.
    """
    if role not in set(Role):
        raise TokenInvalid(f"there is no role {role!r}; the roles are {', '.join(Role)}")
    if not 0 < len(name.strip()) <= 100 or not name.isprintable():
        raise TokenInvalid("the name must have 1 to 100 printable characters")
    now = clock()
    if expires_at is not None and expires_at <= now:
        raise TokenInvalid("the token would have expired already")
    plain = PREFIX + secrets.token_urlsafe(_BYTES)
    with database.write() as connection:
        tokens.add_token(connection, name.strip(), Role(role).value, digest_of(plain), now, expires_at)
    return plain


def list_all(database: Database) -> list[dict[str, Any]]:
    """List tokens without their secrets: id, name, role, created_at, expires_at, revoked_at (seconds or None)."""
    with database.read() as connection:
        return tokens.all_tokens(connection)


def revoke(database: Database, token_id: int) -> bool:
    """Make a token useless from the next request on; False when there is no such valid one."""
    with database.write() as connection:
        return tokens.revoke_token(connection, token_id, clock())


def authenticate(database: Database, plain: str) -> Principal | None:
    """Tell whose token this is; None when it is unknown, revoked or expired.

    The token is found by the index over its SHA-256: how long that takes says nothing about the secret.
    Nothing is remembered in between, so that a revocation counts at once.
    """
    if not plain.startswith(PREFIX) or len(plain) > _MAX_LENGTH:
        return None
    return by_digest(database, digest_of(plain))


def by_digest(database: Database, digest: str) -> Principal | None:
    """Do what `authenticate` does for the digest of a token, as a signed browser session holds it."""
    with database.read() as connection:
        row = tokens.find_token(connection, digest, clock())
    return None if row is None else Principal(id=row["id"], name=row["name"], role=Role(row["role"]), digest=digest)


def digest_of(plain: str) -> str:
    """Return the SHA-256 of a token in hex digits."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def ensure_local_token(database: Database, state_dir: str) -> str:
    """Return the admin token of commands on this machine, kept in ``<state_dir>/token`` (mode 0600).

    It is made when there is none or when the one in the file is no longer valid.
    """
    path = Path(state_dir) / "token"
    plain = path.read_text(encoding="ascii", errors="replace").strip() if path.is_file() else ""
    if authenticate(database, plain) is None:
        plain = create(database, LOCAL_NAME, Role.ADMIN)
        write_private(path, plain.encode() + b"\n")
    path.chmod(0o600)
    return plain


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only we may read; it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # made with mode 0600
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)  # else a power cut could leave the name and no bytes
    Path(temporary).replace(path)
