"""Which proven run a rollback or a promotion takes: the same for a preview as for the action."""

from collections.abc import Iterable

from orchestrator.domain.runs import Run, RunState, StageName, Trigger
from orchestrator.store import landings, runs
from orchestrator.store.database import Connection


def of_rollback(connection: Connection, app: str, environment: str, to: int | None = None) -> Run | None:
    """Return the run whose image a rollback brings back, or None when there is none.

    :param to: the run that is wanted; None: the last one proven with another image than the present.
    """
    if to is not None:
        named = _proven(connection, app, environment, to)
        return named if named is not None and named.digest else None
    proven = runs.page(connection, app=app, environment=environment, state="succeeded", limit=runs.MAX_PAGE)
    present = runs.landed(connection, app, environment)
    return _last(connection, (run for run in proven if run.digest and _differs(run, present)))


def of_promotion(connection: Connection, app: str, source: str, of: int | None = None) -> Run | None:
    """Return the run whose image is promoted from the environment `source`, or None when none is proven there.

    :param of: the run that is wanted; None: the one that was proven last.
    """
    if of is not None:
        return _proven(connection, app, source, of)
    newest = runs.page(connection, app=app, environment=source, state="succeeded", limit=landings.LATE)
    return _last(connection, newest)


def before(connection: Connection, run: Run) -> Run | None:
    """Return the run whose image was proven last where `run` has failed; None: nothing was, or the same image was.

    An image that was healthy there before is not what makes the application unhealthy now.
    """
    newest = runs.page(connection, app=run.app, environment=run.environment, state="succeeded", limit=landings.LATE)
    proven = _last(connection, (one for one in newest if one.digest))
    return proven if proven is not None and proven.digest != run.digest else None


def _last(connection: Connection, proven: Iterable[Run]) -> Run | None:
    """Return the run whose change came to Git last: one that waited for approval comes after newer ones."""
    by_id = {run.id: run for run in proven}
    found = landings.last_of(connection, list(by_id))
    return None if found is None else by_id[found]


def goes_back(connection: Connection, run: Run) -> bool:
    """Tell whether a run that has succeeded went back to something older, as somebody wanted for its environment.

    That is a rollback, an older commit (a person named it, or its branch was set back), or the re-run of what a
    person wanted before something else was proven.
    """
    first = runs.repeated(connection, run)
    if first.trigger is Trigger.ROLLBACK or run.stage(StageName.CHECK).outputs.get("older_than"):
        return True
    repeats = first.trigger.insists and run.rerun_of is not None
    return repeats and runs.is_other_proven(connection, run, first.id)


def _proven(connection: Connection, app: str, environment: str, run_id: int) -> Run | None:
    """Read a run that a person has named, however old, if it succeeded there."""
    run = runs.load(connection, run_id)
    there = run is not None and (run.app, run.environment) == (app, environment)
    return run if run is not None and there and run.state is RunState.SUCCEEDED else None


def _differs(run: Run, present: Run | None) -> bool:
    return present is None or run.digest != present.digest
