"""What is going on now, for metrics, and the newest runs of environments: read by index from tables that grow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, text, union_all

from orchestrator.domain.glances import Place
from orchestrator.domain.runs import STAGE_ORDER, Run, RunState, StageName
from orchestrator.store.landings import LANDED
from orchestrator.store.landings import newest as newest_landing
from orchestrator.store.runs import IS_ACTIVE, load_many
from orchestrator.store.schema import environments, notifications, runs, stages, wakes

_CHUNK = 64
"""Environments in one statement, a power of two; SQLite takes at most 500 parts of a UNION.

One part for each, with its names as parameters: a subselect over a list of places is quicker to build, but PostgreSQL
then plans for an average place and reads all runs to find none of a new one.
"""
_LOADED = 500
"""Runs that are loaded together."""
_Here = tuple[ColumnElement[bool], ColumnElement[bool]]
_IS_JUDGED = text("runs.state IN ('succeeded', 'failed')")
_NEWEST = select(runs.c.id).order_by(runs.c.id.desc()).limit(1)
_QUESTIONS: dict[str, Callable[[_Here], Select[Any]]] = {
    "last": lambda here: _NEWEST.where(*here),
    "deployed": lambda here: newest_landing(LANDED.where(*here, text("runs.state = 'succeeded'"))),
    "landed": lambda here: newest_landing(LANDED.where(*here)),
    "judged": lambda here: newest_landing(LANDED.where(*here, _IS_JUDGED)),
}
"""The fields of a `Standing`, and what selects the run of each."""
_ANSWERS = {"judged": (RunState.SUCCEEDED, RunState.FAILED), "deployed": (RunState.SUCCEEDED,)}
"""In which states the run of the question before answers this one, too: the newest of all is that of some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The runs that tell how an environment stands; of their stages only ``commit`` has been read.

    :param last: the newest. :param landed: the run whose change is the newest in Git. :param judged: the same, among
        those of which it turned out whether they are healthy. :param deployed: the same, among those that are.
    """

    last: Run | None = None
    deployed: Run | None = None
    landed: Run | None = None
    judged: Run | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRun:
    """A run that is not over, as far as figures need it.

    :param stage: the one that comes next or is at work. :param leased_until: until when a worker holds the run.
    :param due_at: since when it waits for a worker; None: it does not. :param landed_at: when its change reached Git.
    """

    app: str
    environment: str
    state: str
    stage: StageName
    leased_until: float | None
    due_at: float | None
    landed_at: float | None


_ACTIVE = select(runs.c.id, runs.c.app, runs.c.environment, runs.c.state, runs.c.lease_until).where(IS_ACTIVE)
_PASSED = (
    select(stages.c.run_id, stages.c.name, stages.c.finished_at)
    .join(runs, runs.c.id == stages.c.run_id)
    .where(IS_ACTIVE, stages.c.state.in_(("succeeded", "skipped")))
)
_DUE = select(wakes.c.run_id, wakes.c.due_at).where(wakes.c.due_at <= bindparam("now"))
_PENDING = (
    select(notifications.c.channel, func.count())
    .where(text("notifications.state = 'pending'"))
    .group_by(notifications.c.channel)
)
STATEMENTS = (_ACTIVE, _PASSED, _DUE, _PENDING)
"""What a scrape reads beside the tallies: none of them may read a whole table that grows."""


def active(connection: Connection, now: float) -> list[ActiveRun]:
    """Read the runs that are not over."""
    passed: dict[int, dict[str, float | None]] = {}
    for run_id, name, finished_at in connection.execute(_PASSED):
        passed.setdefault(run_id, {})[name] = finished_at
    due = {row.run_id: row.due_at for row in connection.execute(_DUE, {"now": now})}
    found = []
    for row in connection.execute(_ACTIVE):
        behind = passed.get(row.id, {})
        found.append(
            ActiveRun(
                app=row.app,
                environment=row.environment,
                state=row.state,
                stage=next((stage for stage in STAGE_ORDER if stage.value not in behind), STAGE_ORDER[-1]),
                leased_until=row.lease_until,
                due_at=due.get(row.id),
                landed_at=behind.get(StageName.COMMIT.value),
            )
        )
    return found


def reasons_of_active(connection: Connection) -> list[tuple[int, tuple[str, str], str]]:
    """List the runs that are not over, oldest first: id, app and environment, and the code of why it is as it is."""
    found = connection.execute(_ACTIVE.add_columns(runs.c.reason))
    return sorted((row.id, (row.app, row.environment), row.reason) for row in found)


def pending_notifications(connection: Connection) -> dict[str, int]:
    """Count the messages that wait to be sent: channel -> number."""
    return {channel: int(number) for channel, number in connection.execute(_PENDING)}


def standings(connection: Connection, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Standing]:
    """Read how each environment (app and name) stands."""
    last, found = _runs(connection, "last", places), _runs(connection, "landed", places)
    named = {"last": last, "landed": found}
    for question, states in _ANSWERS.items():
        open_ones = [place for place, run in found.items() if run.state not in states]
        found = {place: run for place, run in found.items() if run.state in states}
        found |= _runs(connection, question, open_ones)
        named[question] = found
    return {place: Standing(**{question: named[question].get(place) for question in named}) for place in places}


def _runs(connection: Connection, question: str, places: Sequence[Place]) -> dict[Place, Run]:
    loaded = _load(connection, sorted(_ids(connection, question, places)))
    return {(run.app, run.environment): run for run in loaded}


def _ids(connection: Connection, question: str, places: Sequence[Place]) -> set[int]:
    found: set[int] = set()
    for at in range(0, len(places), _CHUNK):
        chunk = list(places[at : at + _CHUNK])
        size = 1 << (len(chunk) - 1).bit_length()  # so that there are few statements to keep
        names: dict[str, str] = {}
        for number, (app, environment) in enumerate(chunk + chunk[-1:] * (size - len(chunk))):
            names |= {f"app_{number}": app, f"environment_{number}": environment}
        found.update(connection.execute(_asking(question, size), names).scalars())
    return found


@cache
def _asking(question: str, size: int) -> Any:
    """Build the statement for some environments once: that takes longer than running it."""
    parts = [_QUESTIONS[question](_here(number)).subquery() for number in range(size)]
    return union_all(*(select(part.c.id) for part in parts))


def _here(number: int) -> _Here:
    return runs.c.app == bindparam(f"app_{number}"), runs.c.environment == bindparam(f"environment_{number}")


def _load(connection: Connection, ids: Sequence[int]) -> Iterator[Run]:
    for at in range(0, len(ids), _LOADED):
        wanted = select(runs).where(runs.c.id.in_(ids[at : at + _LOADED]))
        yield from load_many(connection, wanted, (StageName.COMMIT,))


def holds(connection: Connection) -> dict[tuple[str, str], tuple[str, str, float | None]]:
    """Return the holds: (app, environment) -> why, by whom, since when."""
    statement = select(environments).where(environments.c.hold != "")
    rows = connection.execute(statement).mappings()
    return {(row["app"], row["name"]): (row["hold"], row["held_by"], row["held_at"]) for row in rows}


def with_history(connection: Connection) -> list[tuple[str, str]]:
    """List the environments in which a run has had a place, configured or not, by their present names."""
    found = connection.execute(select(environments.c.app, environments.c.name).where(environments.c.moved_app == ""))
    return sorted((row.app, row.name) for row in found)
