"""Removes what is too old: logs, messages, deliveries, positions of refs; never the runs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.domain.apps import App
from orchestrator.domain.refs import repo_key
from orchestrator.domain.runs import Run
from orchestrator.engine.matching import watched_branches
from orchestrator.store import clicks, figures, heads, retention
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock

CLICKS_KEPT = 3600.0
"""Seconds for which a click may wait: it holds a person's name and an address for answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """How many deliveries are gone, and how many runs have lost their log and messages."""

    runs: int
    deliveries: int


class Retention:
    """Removes records of finished runs. Safe to run in several processes at once.

    What explains the present stays at any age: the records of an environment's newest run, of the last one that
    succeeded, and of the one whose change is in Git.

    :param keep: seconds for which records are kept. :param apps: the positions of their refs are forgotten, but
        for polled branches: the poll needs them to find a push whose hook was lost.
    """

    def __init__(self, database: Database, keep: float, apps: Iterable[App] = ()) -> None:
        self._database = database
        self._keep = keep
        self._polled: dict[str, set[str]] = {}
        for app in apps:
            refs = {f"refs/heads/{branch}" for branch in watched_branches(app)}
            self._polled.setdefault(repo_key(app.source.url), set()).update(refs)

    def tidy(self, stopping: Callable[[], bool]) -> Removed:
        """Remove what is too old, in small transactions, until nothing is or `stopping` says so.

        :raises Unavailable: the database does not answer; what was removed until then is gone.
        """
        edge = clock() - self._keep
        with self._database.write() as connection:
            clicks.forget_older(connection, clock() - CLICKS_KEPT)
        self._heads(edge, stopping)
        return Removed(runs=self._runs(edge, stopping), deliveries=self._deliveries(edge, stopping))

    def _heads(self, edge: float, stopping: Callable[[], bool]) -> None:
        for repo, polled in self._polled.items():
            if stopping():
                return
            with self._database.write() as connection:
                heads.forget(connection, repo, edge, polled)

    def _deliveries(self, edge: float, stopping: Callable[[], bool]) -> int:
        removed, step = 0, 1
        while step and not stopping():
            with self._database.write() as connection:
                step = retention.drop_deliveries(connection, edge)
            removed += step
        return removed

    def _runs(self, edge: float, stopping: Callable[[], bool]) -> int:
        removed = after = 0
        kept: dict[tuple[str, str], set[int]] = {}
        while not stopping():
            with self._database.read() as connection:
                run = retention.next_run(connection, after)
                # One of the future was made by a clock that was set back since: older ones may follow.
                if run is None or edge <= run.created_at.timestamp() <= clock():
                    break
                where = run.app, run.environment
                if where not in kept:
                    kept[where] = _kept(connection, where)
            after = run.id
            if _is_past(run, edge) and run.id not in kept[where]:
                with self._database.write() as connection:
                    retention.drop_records(connection, run.id)
                removed += 1
        return removed


def _is_past(run: Run, edge: float) -> bool:
    return run.finished_at is not None and run.finished_at.timestamp() < edge


def _kept(connection: Connection, where: tuple[str, str]) -> set[int]:
    """List the runs of an environment whose records stay."""
    standing = figures.standings(connection, [where])[where]
    found = (standing.last, standing.deployed, standing.landed, standing.judged)
    return {run.id for run in found if run is not None}
