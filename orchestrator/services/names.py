"""An app or environment that got another name keeps its history: it is moved to the name that is configured.

The history of an environment is under one pair of names at any time, and the tables say under which. Whoever looks at
a run brings it there first, and brings all of it to the name of its own configuration. So the order of commits, holds
and what is proven count for all runs of an environment, also while processes of two configurations are at work.
"""

from collections.abc import Iterator, Mapping

from orchestrator import journal
from orchestrator.domain.apps import App, Settings
from orchestrator.domain.runs import Run
from orchestrator.services import ledger
from orchestrator.store import names
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock
from orchestrator.store.names import Where

_log = journal.get(__name__)


def adopt(database: Database, settings: Settings) -> None:
    """Move what is under former names to the present ones, as a process does at its start. Safe to repeat.

    Also what was moved away by another configuration, to names that this one does not have: it was taken back.
    :raises Unavailable: the database does not answer.
    """
    with database.read() as connection:
        moved = names.moved(connection)
        found = [*_left(connection, settings), *_taken_back(settings, moved)]
    parted = [one for one in _places(settings) if one in moved and settings.has(*moved[one])]
    for one in parted:
        with database.write() as connection:
            names.part(connection, one)
    for old, new in found:
        with database.write() as connection:
            if names.is_left(connection, old, new):
                _move(connection, old, new)


def settle(connection: Connection, settings: Settings, run_id: int) -> None:
    """Bring a run to where the history of its environment is, and that to the name that this configuration has."""
    found = names.of_run(connection, run_id)
    if found is None:
        return
    where, home = found
    named = settings.name_of(*home)
    if named != home and _move(connection, home, named):
        where, home = (named if where == home else where), named
    if where != home:
        names.move_run(connection, run_id, where, home)


def is_astray(connection: Connection, run: Run) -> bool:
    """Tell whether the history of a run's environment was moved while we waited to lock it, and the run was not."""
    where = (run.app, run.environment)
    return names.home(connection, where) != where


def _move(connection: Connection, old: Where, new: Where) -> bool:
    moved, was = names.move(connection, old, new), f"it was {old[0]}/{old[1]}"
    if moved is None:
        detail = f"{was}, and a run under way of each has begun; they become one when either is over"
        _log.warning("environment not renamed yet", app=new[0], env=new[1], detail=detail)
        return False
    ledger.wake_waiting(connection, *new, clock())
    if moved:
        _log.info("environment renamed", app=new[0], env=new[1], detail=f"{was}; runs: {moved}")
    return True


def _left(connection: Connection, settings: Settings) -> Iterator[tuple[Where, Where]]:
    """Yield which histories are under former names, and under which they should be."""
    for app in settings.apps:
        for former in (app.name, *app.former_names):
            for old in sorted((former, name) for name in _names(connection, app, former)):
                new = settings.name_of(*old)
                if old != new and names.is_left(connection, old, new):
                    yield old, new


def _taken_back(settings: Settings, moved: Mapping[Where, Where]) -> Iterator[tuple[Where, Where]]:
    """Yield which histories were moved to names that this configuration does not have, and where they should be."""
    for place in _places(settings):
        if place in moved and not settings.has(*settings.name_of(*moved[place])):
            yield moved[place], place


def _names(connection: Connection, app: App, former: str) -> set[str]:
    """List the environments of the file and of the tables that may have a history under one of an app's names."""
    known = names.environments_of(connection, former) if former != app.name else ()
    return {*known, *(name for one in app.environments for name in (one.name, *one.former_names))}


def _places(settings: Settings) -> list[Where]:
    return [(app.name, one.name) for app in settings.apps for one in app.environments]
