"""Runs and their stages: read, written, listed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, or_, select, text, update

from orchestrator.domain.runs import Rival, Run, Stage, StageName, Trigger
from orchestrator.store import dialect
from orchestrator.store.dialect import upsert
from orchestrator.store.landings import LANDED, later, newest
from orchestrator.store.rows import RUN_COLUMNS, from_run, from_stage, to_run, to_stage
from orchestrator.store.schema import runs, stages

ACTIVE = ("queued", "running", "waiting")
IS_ACTIVE = text("runs.state IN ('queued', 'running', 'waiting')")
"""Written as text: the index covers only these rows, and with a parameter the planner would not use it."""
_IS_WAITING = text("runs.state = 'waiting'")
_BAD = ("failed", "cancelled")
_HAS_ENVIRONMENT = text("runs.environment <> ''")
_IS_BAD = text("runs.state IN ('failed', 'cancelled')")
MAX_PAGE = 200
"""Runs in one page of a list."""

# Statements of the hot path are built once: building and hashing them costs more than running them.
_LOAD_RUN = select(runs).where(runs.c.id == bindparam("of_run"))
# Not its key: else whoever inserts a row that refers to the run, a wake-up say, would wait for us, and we for them.
_LOCK_RUN = _LOAD_RUN.with_for_update(key_share=True)
_LOCK_CLAIMED = _LOCK_RUN.where(runs.c.fence == bindparam("with_fence"), runs.c.lease_until.is_not(None))
_LOAD_STAGES = select(stages).where(stages.c.run_id == bindparam("of_run"))
_WHERE_IS = select(runs.c.app, runs.c.environment).where(runs.c.id == bindparam("of_run"))
_SAVE_RUN = (
    update(runs).where(runs.c.id == bindparam("of_run")).values({name: bindparam(name) for name in RUN_COLUMNS})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be: what is known when it is accepted. ``dedupe``: equal texts in one environment mean the
    same push; "" never equal."""

    app: str
    environment: str
    trigger: Trigger
    ref: str = ""
    commit: str = ""
    image: str = ""
    digest: str = ""
    title: str = ""
    author: str = ""
    actor: str = ""
    attempt: int = 1
    rerun_of: int | None = None
    from_stage: str = ""
    approved: bool = True
    dedupe: str = ""

    def row(self, created_at: float, delivery_id: int | None) -> dict[str, Any]:
        """Return the columns to insert."""
        names = ("app", "environment", "ref", "commit", "image", "digest", "title", "author", "actor", "attempt")
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        return values | {
            "rerun_of": self.rerun_of,
            "from_stage": self.from_stage,
            "trigger": self.trigger.value,
            "approved": self.approved,
            "dedupe": self.dedupe,
            "created_at": created_at,
            "delivery_id": delivery_id,
        }


def add(connection: Connection, new: Sequence[tuple[NewRun, int | None]], created_at: float) -> list[int]:
    """Insert queued runs, each with the id of the delivery that led to it; return their ids in the order given."""
    return dialect.add(connection, runs, [one.row(created_at, delivery_id) for one, delivery_id in new])


def of_deliveries(connection: Connection, delivery_ids: Sequence[int]) -> dict[int, list[int]]:
    """Find the runs that deliveries led to: delivery id -> run ids."""
    found: dict[int, list[int]] = {delivery_id: [] for delivery_id in delivery_ids}
    if found:
        statement = select(runs.c.delivery_id, runs.c.id).where(runs.c.delivery_id.in_(list(found)))
        for row in connection.execute(statement.order_by(runs.c.id)):
            found[row.delivery_id].append(row.id)
    return found


def load(connection: Connection, run_id: int, *, lock: bool = False) -> Run | None:
    """Read one run with all its stages. `lock` keeps other writers of this run out until the transaction ends."""
    return _load(connection, _LOCK_RUN if lock else _LOAD_RUN, {"of_run": run_id})


def load_claimed(connection: Connection, run_id: int, fence: int) -> Run | None:
    """Read and lock a run, if the claim with this fencing number is still the valid one; else None."""
    return _load(connection, _LOCK_CLAIMED, {"of_run": run_id, "with_fence": fence})


def _load(connection: Connection, statement: Any, values: dict[str, int]) -> Run | None:
    row = connection.execute(statement, values).mappings().one_or_none()
    if row is None:
        return None
    run_id = row["id"]
    rows = connection.execute(_LOAD_STAGES, {"of_run": run_id}).mappings()
    return to_run(row, {stage["name"]: to_stage(stage) for stage in rows})


def is_rollback(connection: Connection, run: Run) -> bool:
    """As `IS_ROLLBACK`, of a run that has been read."""
    return repeated(connection, run).trigger is Trigger.ROLLBACK


def repeated(connection: Connection, run: Run) -> Run:
    """Read the run that this one repeats, itself or through other re-runs; a run that repeats none is its own."""
    return (load(connection, run.rerun_of) if run.rerun_of else None) or run


# Newest first: what a person goes back from is near the end, however much came before.
_PROVEN_OTHER = (
    select(runs.c.id)
    .where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(runs.c.state == "succeeded", runs.c.id > bindparam("after"), runs.c.digest != bindparam("of_digest"))
    .order_by(runs.c.id.desc())
    .limit(1)
)


def is_other_proven(connection: Connection, run: Run, after: int) -> bool:
    """Tell whether another image than that of `run` was proven in its environment by a run later than `after`."""
    values = {"of_app": run.app, "in_environment": run.environment, "after": after, "of_digest": run.digest}
    return connection.execute(_PROVEN_OTHER, values).first() is not None


def where_is(connection: Connection, run_id: int) -> tuple[str, str] | None:
    """Return a run's app and environment."""
    row = connection.execute(_WHERE_IS, {"of_run": run_id}).one_or_none()
    return None if row is None else (row.app, row.environment)


def load_many(connection: Connection, statement: Any, only: Collection[StageName] = ()) -> list[Run]:
    """Read the runs that a select over the whole `runs` table yields, with their stages, in its order.

    :param only: the stages to read, where few are needed: the others look as if they were queued. Empty: all.
    """
    return _with_stages(connection, connection.execute(statement).mappings().all(), only)


def save(connection: Connection, before: Run, after: Run) -> None:
    """Write what a decision changed: the run's row and the rows of stages that differ."""
    connection.execute(_SAVE_RUN, {"of_run": after.id, **from_run(after)})
    old = {stage.name: stage for stage in before.stages}
    changed = [from_stage(after.id, stage) for stage in after.stages if stage != old[stage.name]]
    if changed:
        upsert(connection, stages, *changed, key=("run_id", "name"))


_repeated = runs.alias("repeated")


def _is_or_repeats(trigger: Trigger) -> ColumnElement[bool]:
    """Tell whether a run has a trigger, itself or through the one that it repeats (`repeated`)."""
    repeats = exists().where(_repeated.c.id == runs.c.rerun_of, _repeated.c.trigger == trigger.value)
    return or_(runs.c.trigger == trigger.value, repeats)


IS_ROLLBACK = _is_or_repeats(Trigger.ROLLBACK)
"""A person goes back with it: a hold does not stop it, and no push takes its place."""
_is_at_build = (stages.c.run_id == runs.c.id) & (stages.c.name == StageName.BUILD.value)
_RIVALS = (
    select(runs.c.id, runs.c.commit, runs.c.ref, runs.c.approved, stages.c.started_at)
    .add_columns(IS_ROLLBACK.label("rolls_back"))
    .outerjoin(stages, _is_at_build)
    .where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(IS_ACTIVE, runs.c.commit != "", runs.c.id != bindparam("of_run"))
    .where(or_(~runs.c.cancel_requested, stages.c.started_at.is_not(None)))  # else it deploys nothing any more
    .order_by(runs.c.id.desc())
    .limit(100)
)


def rivals(connection: Connection, run: Run) -> tuple[Rival, ...]:
    """Read the other runs of the environment that matter for the order of commits."""
    values = {"of_app": run.app, "in_environment": run.environment, "of_run": run.id}
    found = [
        Rival(
            run=row.id,
            commit=row.commit,
            ref=row.ref,
            begun=row.started_at is not None,
            approved=row.approved,
            rolls_back=row.rolls_back,
        )
        for row in connection.execute(_RIVALS, values)
    ]
    last = _first(connection, _LAST_COMMIT, values)
    there = [Rival(run=last.id, commit=last.commit, ref=last.ref, landed=True, begun=True)] if last else []
    return (*found, *there, *(one for one in later(connection, run) if one not in there))


_waits_for_turn = and_(_IS_WAITING, runs.c.reason.in_(("behind_run", "on_hold")))
_WAITING_IN = (
    select(runs.c.id)
    .where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(IS_ACTIVE, _waits_for_turn)
    .order_by(runs.c.id.desc())
    .limit(20)
)


def waiting_in(connection: Connection, app: str, environment: str) -> list[int]:
    """List the runs of an environment that wait for another run or for a hold to end, the newest 20 first."""
    return list(connection.execute(_WAITING_IN, {"of_app": app, "in_environment": environment}).scalars())


_OLDER_PROMOTIONS = (
    select(runs.c.id)
    .outerjoin(stages, _is_at_build)
    .where(IS_ACTIVE, runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(_is_or_repeats(Trigger.PROMOTION), runs.c.id < bindparam("of_run"))
    .where(or_(stages.c.started_at.is_(None), _waits_for_turn))
    .order_by(runs.c.id)
)
_OLDER_UNAPPROVED = _OLDER_PROMOTIONS.where(~runs.c.approved)


def older_promotions(connection: Connection, run: Run) -> list[int]:
    """List the older promotions to the environment of `run`, and re-runs of such, that could land after it.

    They wait, or have no place yet.

    One that has its place is cut off, or goes first. While `run` is not approved, those that are stay as they are.
    """
    statement = _OLDER_PROMOTIONS if run.approved else _OLDER_UNAPPROVED
    values = {"of_app": run.app, "in_environment": run.environment, "of_run": run.id}
    return list(connection.execute(statement, values).scalars())


_checked = stages.alias("checked")
_NOT_BEGUN = (
    select(runs.c.id, _checked.c.outputs)
    .join(_checked, (_checked.c.run_id == runs.c.id) & (_checked.c.name == StageName.CHECK.value))
    .outerjoin(stages, _is_at_build)
    .where(IS_ACTIVE, runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(runs.c.id != bindparam("of_run"), stages.c.started_at.is_(None))
    .order_by(runs.c.id)
)


def overtaken(connection: Connection, run: Run) -> list[int]:
    """List the runs that have not begun and whose commit is older than that of `run`, as a ``check`` has found."""
    values = {"of_app": run.app, "in_environment": run.environment, "of_run": run.id}
    older = run.stage(StageName.CHECK).outputs.get("obsolete", ())
    rows = connection.execute(_NOT_BEGUN, values)
    return [row.id for row in rows if row.id in older or run.id in row.outputs.get("unapproved", ())]


_LANDED_HERE = LANDED.where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
_LANDED = newest(_LANDED_HERE)
_LANDED_BEFORE = newest(_LANDED_HERE.where(runs.c.id != bindparam("of_run")))
_LAST_COMMIT = newest(_LANDED_HERE.where(runs.c.commit != "", runs.c.id != bindparam("of_run")))


def landed(connection: Connection, app: str, environment: str) -> Run | None:
    """Read the run whose change is the newest in Git for this environment, from whatever source its image is."""
    return _first(connection, _LANDED, {"of_app": app, "in_environment": environment})


def landed_before(connection: Connection, run: Run) -> Run | None:
    """Read the run whose change was the newest in Git for the environment before that of `run`, which is it now."""
    values = {"of_app": run.app, "in_environment": run.environment, "of_run": run.id}
    return _first(connection, _LANDED_BEFORE, values)


_GOING_BACK = (
    select(runs.c.id)
    .where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("in_environment"))
    .where(IS_ACTIVE, IS_ROLLBACK)
    .order_by(runs.c.id.desc())
    .limit(1)
)


def going_back(connection: Connection, app: str, environment: str) -> int | None:
    """Return the newest rollback in this environment that is not over."""
    values = {"of_app": app, "in_environment": environment}
    return connection.execute(_GOING_BACK, values).scalar_one_or_none()


def _first(connection: Connection, ids: Any, values: dict[str, Any]) -> Run | None:
    found = connection.execute(ids, values).scalar_one_or_none()
    return None if found is None else load(connection, found)


_of_commit = runs.alias("of_commit")


def page(
    connection: Connection,
    *,
    app: str = "",
    environment: str = "",
    state: str = "",
    commit: str = "",
    limit: int = 50,
    before: int | None = None,
) -> list[Run]:
    """Read runs, newest first, with ids below `before`: stable while new runs arrive.

    :param commit: the beginning of the source commit's id, in small letters.
    """
    statement = select(runs).order_by(runs.c.id.desc()).limit(min(limit, MAX_PAGE))
    for column, value in ((runs.c.app, app), (runs.c.environment, environment), (runs.c.state, state)):
        if value:
            statement = statement.where(column == value)
    if state in ACTIVE:
        statement = statement.where(IS_ACTIVE)
    elif environment:
        statement = statement.where(_HAS_ENVIRONMENT)
    elif state in _BAD and not app:  # an app's own are fewer
        statement = statement.where(_IS_BAD)
    if commit:  # as a range, which the index of either database answers: no digit of an id comes after "f"
        found = select(_of_commit.c.id).where(_of_commit.c.commit >= commit, _of_commit.c.commit < f"{commit}g")
        statement = statement.where(runs.c.id.in_(found))  # by themselves: SQLite does not know how few they are
    if before is not None:
        statement = statement.where(runs.c.id < before)
    return load_many(connection, statement)


def commits_of(connection: Connection, run_ids: Collection[int]) -> dict[int, str]:
    """Look up the source commits of those of some runs that are there."""
    found = connection.execute(select(runs.c.id, runs.c.commit).where(runs.c.id.in_(run_ids)))
    return {row.id: row.commit for row in found}


def attempts_of(connection: Connection, run: Run) -> list[int]:
    """List the ids of the run and of everything that repeats it, oldest first."""
    root = run.rerun_of or run.id
    statement = select(runs.c.id).where((runs.c.id == root) | (runs.c.rerun_of == root)).order_by(runs.c.id)
    return list(connection.execute(statement).scalars())


def _with_stages(connection: Connection, rows: Sequence[Any], only: Collection[StageName]) -> list[Run]:
    ids = [row["id"] for row in rows]
    wanted = select(stages).where(stages.c.name.in_(only)) if only else select(stages)
    by_run: dict[int, dict[str, Stage]] = {run_id: {} for run_id in ids}
    for chunk in (ids[at : at + 500] for at in range(0, len(ids), 500)):
        for row in connection.execute(wanted.where(stages.c.run_id.in_(chunk))).mappings():
            by_run[row["run_id"]][row["name"]] = to_stage(row)
    return [to_run(row, by_run[row["id"]]) for row in rows]
