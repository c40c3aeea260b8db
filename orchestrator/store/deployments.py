"""Deployments as DORA counts them: a commit that an environment was brought to, once for each result."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import deployments

_KEY = ("app", "environment", "commit", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment.

    :param commit: of the source; for a run without one, the digest of its image.
    :param committed_at: of the source commit, None where nobody knows. :param at: when the run was over.
    :param failed_at: when it failed, or when a person wanted it rolled back. :param restored_at: when the next
        run of the environment succeeded after that.
    """

    app: str
    environment: str
    commit: str
    result: str
    run_id: int
    committed_at: float | None
    at: float
    failed_at: float | None = None
    restored_at: float | None = None


class DoraRow(NamedTuple):
    """What DORA's figures take of a deployment; the fields are those of `Deployment`."""

    app: str
    environment: str
    result: str
    committed_at: float | None
    at: float
    failed_at: float | None
    restored_at: float | None


_DORA_ROWS = select(*(deployments.c[name] for name in DoraRow._fields)).execution_options(yield_per=500)


def add(connection: Connection, deployment: Deployment) -> bool:
    """Record a deployment; False if its commit had this result in this environment before."""
    row = asdict(deployment)
    return upsert(connection, deployments, row, key=_KEY, keep=True, returning="run_id").first() is not None


def commit_time(connection: Connection, app: str, commit: str) -> float | None:
    """Return when a source commit was made, as recorded with an earlier deployment of it (in another environment)."""
    where = (deployments.c.app == app) & (deployments.c.commit == commit) & deployments.c.committed_at.is_not(None)
    return connection.execute(select(deployments.c.committed_at).where(where).limit(1)).scalar_one_or_none()


def fail(connection: Connection, app: str, environment: str, commit: str, at: float) -> bool:
    """Record that a deployment which had succeeded turned out to be bad; False if that was known, or it had not."""
    wanted = {"app": app, "environment": environment, "commit": commit, "result": "succeeded"}
    where = [deployments.c[name] == value for name, value in wanted.items()]
    failed = update(deployments).where(*where, deployments.c.failed_at.is_(None)).values(failed_at=at)
    return connection.execute(failed).rowcount == 1


def restore(connection: Connection, app: str, environment: str, at: float) -> float | None:
    """Close the failures of an environment that has a success now; return since when it was bad, None: it was not."""
    where: tuple[Any, ...] = (
        deployments.c.app == app,
        deployments.c.environment == environment,
        deployments.c.failed_at.is_not(None),
        deployments.c.restored_at.is_(None),
    )
    closed = update(deployments).where(*where).values(restored_at=at).returning(deployments.c.failed_at)
    return min(connection.execute(closed).scalars().all(), default=None)


def since(connection: Connection, at: float, *, app: str = "", environment: str = "") -> Iterator[DoraRow]:
    """Read how the deployments since a time turned out, in any order, a few at a time: of a year there are many."""
    statement = _DORA_ROWS.where(deployments.c.at >= at)
    for column, value in ((deployments.c.app, app), (deployments.c.environment, environment)):
        if value:
            statement = statement.where(column == value)
    with connection.execute(statement) as found:
        yield from map(DoraRow._make, found)
