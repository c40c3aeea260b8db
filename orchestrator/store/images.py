"""Who makes an image: one run at a time, whatever its environment, because a tag holds what was pushed last."""

from sqlalchemy import Connection, bindparam, select

from orchestrator.domain.runs import Run
from orchestrator.store.dialect import alone
from orchestrator.store.runs import IS_ACTIVE, load
from orchestrator.store.schema import runs

_others = (
    select(runs.c.id)
    .where(IS_ACTIVE, runs.c.app == bindparam("of_app"), runs.c.image == bindparam("of_image"))
    .where(runs.c.id != bindparam("of_run"))
    .order_by(runs.c.app, runs.c.environment, runs.c.id)  # of what is active: by id alone, all of the app were read
)
_MAKERS = _others.where(runs.c.digest == "", runs.c.commit != "")
_WAITING = _others.where(runs.c.state == "waiting", runs.c.reason == "behind_run")


def maker(connection: Connection, run: Run) -> int | None:
    """Return another run that makes the image of `run` now, or None; none can begin until the transaction ends."""
    if not run.makes_image:
        return None
    alone(connection, f"image {run.app} {run.image}")
    others = (load(connection, other) for other in connection.execute(_MAKERS, _of(run)).scalars())
    return next((other.id for other in others if other and other.is_making), None)


def waiting_for(connection: Connection, run: Run) -> list[int]:
    """List the runs that may wait for `run` to have made its image."""
    return list(connection.execute(_WAITING, _of(run)).scalars())


def _of(run: Run) -> dict[str, str | int]:
    return {"of_app": run.app, "of_image": run.image, "of_run": run.id}
