"""Which proven run a rollback or a promotion takes up: the same for those who only ask and for those who do it."""

from orchestrator.domain.runs import Run
from orchestrator.store import runs
from orchestrator.store.database import Connection


def of_rollback(connection: Connection, app: str, environment: str, to: int | None = None) -> Run | None:
    """Return the run whose image a rollback brings back, or None when there is none.

    :param to: the run that is wanted; None: the last one proven with another image than the present.
    """
    proven = runs.page(connection, app=app, environment=environment, state="succeeded", limit=runs.MAX_PAGE)
    present = runs.landed(connection, app, environment)
    wanted = (run for run in proven if run.digest and (run.id == to if to else _differs(run, present)))
    return next(wanted, None)


def of_promotion(connection: Connection, app: str, source: str, of: int | None = None) -> Run | None:
    """Return the run whose image is promoted from the environment `source`, or None when none is proven there.

    :param of: the run that is wanted; None: the newest.
    """
    limit = 1 if of is None else runs.MAX_PAGE
    proven = runs.page(connection, app=app, environment=source, state="succeeded", limit=limit)
    return next((run for run in proven if of in (None, run.id)), None)


def _differs(run: Run, present: Run | None) -> bool:
    return present is None or run.digest != present.digest
