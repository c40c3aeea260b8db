"""Which change of an environment is the newest in Git: landings are numbered while their environment is locked.

Clocks do not tell: they differ between machines, and step back. Numbers are those of one row for the whole table, so
they grow in each environment, and two environments may use the same.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, text, update

from orchestrator.domain.runs import Rival, Run, StageName
from orchestrator.store.schema import runs, stages

LATE = 20
"""Runs among which the one that landed last is looked for: one that was approved late lands after newer ones."""

_IS_LANDED = text("stages.name = 'commit' AND stages.state = 'succeeded'")
"""Written as text: the index covers only these rows, and with a parameter the planner would not use it."""
_OF_COMMIT = (stages.c.run_id == runs.c.id) & (stages.c.name == StageName.COMMIT.value)
_UNNUMBERED = select(stages.c.run_id).where(_IS_LANDED, stages.c.landing.is_(None))
_OF_PLACE = (
    select(runs.c.id)
    .join(stages, _OF_COMMIT)
    .where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(runs.c.id.in_(bindparam("some", expanding=True)))
    .order_by(stages.c.finished_at, runs.c.id)
)
_LAST = (
    select(stages.c.landing)
    .where(_IS_LANDED, stages.c.landing.is_not(None))
    .order_by(stages.c.landing.desc())
    .limit(1)
)
_NUMBER = (
    update(stages)
    .where(stages.c.run_id == bindparam("of_run"), stages.c.name == StageName.COMMIT.value)
    .values(landing=bindparam("number"))
)
LANDED = select(runs.c.id, stages.c.landing, stages.c.finished_at).join(stages, _OF_COMMIT).where(_IS_LANDED)
"""Selects the runs whose change is in Git; add conditions, then pass it to `newest`."""


_LATER = (
    select(runs.c.id, runs.c.commit, runs.c.ref)
    .join(stages, _OF_COMMIT)
    .where(_IS_LANDED, runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(runs.c.commit != "", runs.c.id > bindparam("of_run"))
    .order_by(runs.c.id.desc())
    .limit(LATE)
)


def newest(landed: Select[Any]) -> Select[Any]:
    """Pick from some of `LANDED` the id of the run that landed last.

    A landing without a number came after all that have one: an older version that still runs wrote it.
    """
    late = landed.order_by(runs.c.id.desc()).limit(LATE).subquery()
    number = late.c.landing.desc().nulls_first()
    return select(late.c.id).order_by(number, late.c.finished_at.desc(), late.c.id.desc()).limit(1)


_LAST_OF = newest(LANDED.where(runs.c.id.in_(bindparam("some", expanding=True))))


def last_of(connection: Connection, run_ids: Sequence[int]) -> int | None:
    """Return which of some runs of one environment has landed last; None: none has."""
    return connection.execute(_LAST_OF, {"some": run_ids}).scalar_one_or_none()


def later(connection: Connection, run: Run) -> list[Rival]:
    """List the runs of commits that came later than `run` to its environment, and have landed."""
    values = {"of_app": run.app, "in_environment": run.environment, "of_run": run.id}
    found = connection.execute(_LATER, values)
    return [Rival(run=row.id, commit=row.commit, ref=row.ref, landed=True, begun=True) for row in found]


def number(connection: Connection, run: Run) -> None:
    """Number the landing of `run`, after those that an older version has left without a number.

    The caller has locked the environment of `run`.
    """
    last = connection.execute(_LAST).scalar_one_or_none() or 0
    several = enumerate([*_unnumbered(connection, run), run.id], last + 1)
    connection.execute(_NUMBER, [{"of_run": run_id, "number": at} for at, run_id in several])


def _unnumbered(connection: Connection, run: Run) -> list[int]:
    everywhere = list(connection.execute(_UNNUMBERED).scalars())
    if not everywhere:
        return []
    here = {"of_app": run.app, "in_environment": run.environment, "some": everywhere}
    return list(connection.execute(_OF_PLACE, here).scalars())
