"""The runs that pushes have led to: whether one more is needed for a commit."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, exists, func, or_, select

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import StageName, Trigger
from orchestrator.store.runs import IS_ACTIVE, NewRun
from orchestrator.store.schema import runs, stages

_COUNTS = runs.c.reason.not_in([Reason.OLDER_COMMIT.value, Reason.REWRITTEN.value])
"""Not of a push that came late or was taken back."""
_TWINS = (
    select(runs.c.app, runs.c.environment, runs.c.dedupe, runs.c.id)
    .where(runs.c.dedupe.in_(bindparam("texts", expanding=True)), runs.c.created_at >= bindparam("since"))
    .where(runs.c.reason != Reason.REWRITTEN.value)
    .order_by(runs.c.id)
)
_OF_ENVIRONMENT = (runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"), _COUNTS)
_PUSHES = (
    select(runs.c.id)
    .where(*_OF_ENVIRONMENT, runs.c.ref == bindparam("of_ref"))
    .where(runs.c.trigger.in_([Trigger.PUSH.value, Trigger.POLL.value]))
    .order_by(runs.c.id.desc())
    .limit(1)
)
_CHECKED = exists().where(
    stages.c.run_id == runs.c.id, stages.c.name == StageName.CHECK.value, stages.c.state == "succeeded"
)


def _not_before(last: Select[Any]) -> Select[Any]:
    first = func.coalesce(last.scalar_subquery(), 0)
    of_commit = select(runs.c.id).where(*_OF_ENVIRONMENT, runs.c.commit == bindparam("of_commit"), runs.c.id >= first)
    return of_commit.order_by(runs.c.id.desc()).limit(1)


_COVERING = _not_before(_PUSHES.where(or_(IS_ACTIVE, _CHECKED)))
_COVERING_CHECKED = _not_before(_PUSHES.where(_CHECKED))
_WITH_COMMIT = select(runs.c.id).where(*_OF_ENVIRONMENT, runs.c.commit == bindparam("of_commit")).limit(1)


Twin = tuple[str, str, str]
"""The app, the environment and the dedupe text of a run: equal ones mean the same push."""


def recent_twin(connection: Connection, dedupes: Sequence[str], since: float) -> dict[Twin, int]:
    """Find the latest runs made since `since` for the same pushes.

    One whose branch had lost its commit does not count: if that is pushed again, it is news.
    """
    if not dedupes:
        return {}
    found = connection.execute(_TWINS, {"texts": list(dedupes), "since": since})
    return {(row.app, row.environment, row.dedupe): row.id for row in found}


def covering(connection: Connection, new: NewRun, *, checked: bool = False) -> int | None:
    """Find the run that makes one of the commit at the head of a ref needless: the last push's, or a later one.

    An earlier run of the commit does not count: its branch has been elsewhere since. A push that came late, was taken
    back or did not pass its check is not the last one; else it makes no odds how a run ended.

    :param checked: nor is one that may turn out to be such: its check is not over.
    """
    values = {"of_app": new.app, "in_environment": new.environment, "of_ref": new.ref, "of_commit": new.commit}
    return connection.execute(_COVERING_CHECKED if checked else _COVERING, values).scalar_one_or_none()


def has_run(connection: Connection, new: NewRun) -> bool:
    """Tell whether an environment has had a run of a commit that was not too late."""
    values = {"of_app": new.app, "in_environment": new.environment, "of_commit": new.commit}
    return connection.execute(_WITH_COMMIT, values).first() is not None
