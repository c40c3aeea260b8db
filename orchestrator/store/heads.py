"""Where refs were last seen."""

from collections.abc import Collection
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, bindparam, delete, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import heads

_STEP = 200
"""Refs that one transaction forgets."""
_HEAD = select(heads.c.commit, heads.c.seen_at, heads.c.by_poll, heads.c.doubted).where(
    heads.c.repo == bindparam("of_repo"), heads.c.ref == bindparam("of_ref")
)


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The object at which a ref was last seen ("": it was deleted), and when.

    `by_poll`: the poll has seen it there, so that hooks of what came before may still come.
    `doubted`: the last run may be of another commit than what is there, so the poll has to compare them.
    """

    commit: str
    seen_at: float
    by_poll: bool = False
    doubted: bool = False

    def is_at(self, commit: str) -> bool:
        """Tell whether a ref that the poll sees at a commit is known to be there."""
        return self.commit == commit and not self.doubted


def known(connection: Connection, repo: str, ref: str) -> LastSeen | None:
    """Return where a ref was last seen."""
    row = connection.execute(_HEAD, {"of_repo": repo, "of_ref": ref}).one_or_none()
    return None if row is None else LastSeen(*row)


def remember(connection: Connection, repo: str, ref: str, head: LastSeen) -> None:
    """Write down where a ref is."""
    upsert(connection, heads, {"repo": repo, "ref": ref, **asdict(head)}, key=("repo", "ref"))


def doubt(connection: Connection, repo: str, ref: str, commit: str) -> None:
    """Note that a ref is not at a commit at which a hook has placed it."""
    at_it = (heads.c.repo == repo, heads.c.ref == ref, heads.c.commit == commit)
    connection.execute(update(heads).where(*at_it).values(doubted=True))


def forget(connection: Connection, repo: str, before: float, kept: Collection[str]) -> None:
    """Forget the refs of a repository that were last seen before a time, except those in `kept`."""
    of_repo = heads.c.repo == repo
    old = connection.execute(select(heads.c.ref).where(of_repo, heads.c.seen_at < before)).scalars()
    refs = [ref for ref in old if ref not in kept][:_STEP]
    if refs:
        connection.execute(delete(heads).where(of_repo, heads.c.ref.in_(refs), heads.c.seen_at < before))
