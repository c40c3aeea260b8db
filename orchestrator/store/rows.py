"""Converts rows to domain values and back: the one place where a column becomes a field."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import STAGE_ORDER, Run, RunState, Stage, StageName, StageState, Trigger

_TEXTS = ("app", "environment", "ref", "commit", "image", "digest", "title", "author", "actor", "detail")
RUN_COLUMNS = (
    *("app", "environment", "ref", "commit", "image", "digest", "title", "author", "actor", "detail", "attempt"),
    *("rerun_of", "delivery_id", "superseded_by", "blocked_by", "cut_off", "state", "reason", "cancel_requested"),
    *("approved", "started_at", "finished_at"),
)
"""The columns that `from_run` makes."""
_NUMBERS = ("attempt", "rerun_of", "delivery_id", "superseded_by", "blocked_by", "cut_off")

_CODES = frozenset(Reason)
_QUEUED = {name: Stage(name=name) for name in STAGE_ORDER}


def reason_of(code: str) -> Reason:
    """Read a stored reason; during an upgrade it may be one of a newer version."""
    return Reason(code) if code in _CODES else Reason.NEWER_VERSION


def utc(seconds: float) -> datetime:
    """Turn stored seconds into an aware UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


def moment(seconds: float | None) -> datetime | None:
    """As `utc`, for a time that may be missing."""
    return None if seconds is None else utc(seconds)


def seconds(at: datetime | None) -> float | None:
    """Turn an aware time into stored seconds."""
    return None if at is None else at.timestamp()


def storable(text: str) -> str:
    """Return a text as a database takes it: PostgreSQL stores no NUL, and none stores half a pair of surrogates."""
    return text if text.isprintable() else text.replace("\0", "?").encode("utf-8", "replace").decode()


def to_stage(row: Mapping[str, Any] | RowMapping) -> Stage:
    """Make a stage from its row."""
    return Stage(
        name=StageName(row["name"]),
        state=StageState(row["state"]),
        reason=reason_of(row["reason"]),
        detail=row["detail"],
        attempt=row["attempt"],
        reused=row["reused"],
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
        wake_at=moment(row["wake_at"]),
        deadline_at=moment(row["deadline_at"]),
        outputs=dict(row["outputs"]),
    )


def from_stage(run_id: int, stage: Stage) -> dict[str, Any]:
    """Make the row of a stage."""
    return {
        "run_id": run_id,
        "name": stage.name.value,
        "state": stage.state.value,
        "reason": stage.reason.value,
        "detail": storable(stage.detail),
        "attempt": stage.attempt,
        "reused": stage.reused,
        "started_at": seconds(stage.started_at),
        "finished_at": seconds(stage.finished_at),
        "wake_at": seconds(stage.wake_at),
        "deadline_at": seconds(stage.deadline_at),
        "outputs": dict(stage.outputs),
    }


def to_run(row: Mapping[str, Any] | RowMapping, stages: Mapping[str, Stage]) -> Run:
    """Make a run from its row and its stages; a stage that has no row yet is queued."""
    fields: dict[str, Any] = {key: row[key] for key in (*_TEXTS, *_NUMBERS)}
    return Run(
        id=row["id"],
        trigger=Trigger(row["trigger"]),
        from_stage=row["from_stage"],
        state=RunState(row["state"]),
        reason=reason_of(row["reason"]),
        cancel_requested=bool(row["cancel_requested"]),
        approved=bool(row["approved"]),
        created_at=utc(row["created_at"]),
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
        stages=tuple(stages.get(name.value) or _QUEUED[name] for name in STAGE_ORDER),
        **fields,
    )


def from_run(run: Run) -> dict[str, Any]:
    """Make the columns of a run that change in its life (its id, origin and lease have writers of their own)."""
    return {
        **{key: storable(getattr(run, key)) for key in _TEXTS},
        **{key: getattr(run, key) for key in _NUMBERS},
        "state": run.state.value,
        "reason": run.reason.value,
        "cancel_requested": run.cancel_requested,
        "approved": run.approved,
        "started_at": seconds(run.started_at),
        "finished_at": seconds(run.finished_at),
    }
