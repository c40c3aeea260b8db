"""Where refs were last seen."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, select

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import heads

_STEP = 200
"""Refs that one transaction forgets."""
_HEAD = select(heads.c.commit, heads.c.seen_at).where(
    heads.c.repo == bindparam("of_repo"), heads.c.ref == bindparam("of_ref")
)


def known(connection: Connection, repo: str, ref: str) -> tuple[str, float] | None:
    """Return the object at which a ref was last seen ("": it was deleted), and when."""
    row = connection.execute(_HEAD, {"of_repo": repo, "of_ref": ref}).one_or_none()
    return None if row is None else (row.commit, row.seen_at)


def remember(connection: Connection, repo: str, ref: str, commit: str, at: float) -> None:
    """Write down where a ref is; "": it was deleted."""
    row = {"repo": repo, "ref": ref, "commit": commit, "seen_at": at}
    upsert(connection, heads, row, key=("repo", "ref"))


def forget(connection: Connection, repo: str, before: float, kept: Collection[str]) -> None:
    """Forget the refs of a repository that were last seen before a time, except those in `kept`."""
    of_repo = heads.c.repo == repo
    old = connection.execute(select(heads.c.ref).where(of_repo, heads.c.seen_at < before)).scalars()
    refs = [ref for ref in old if ref not in kept][:_STEP]
    if refs:
        connection.execute(delete(heads).where(of_repo, heads.c.ref.in_(refs), heads.c.seen_at < before))
