"""What log and trace say about a run as a whole: that it began, and how it and its stages ended."""

from datetime import UTC, datetime
from functools import partial

from orchestrator import journal, tracing
from orchestrator.domain.runs import Run, RunState, Stage, StageState
from orchestrator.store.database import Connection, after_commit
from orchestrator.store.rows import utc
from orchestrator.store.runs import NewRun
from orchestrator.tracing import Trace

log = journal.get(__name__)


def queued(connection: Connection, run_id: int, new: NewRun, at: float) -> None:
    """Log and trace a new run, once this transaction is durable. :param at: when it was accepted, as it is stored."""
    after_commit(connection, partial(began, run_id, new, at))


def began(run_id: int, new: NewRun, at: float) -> None:
    """Log and trace a new run."""
    trace_id = tracing.shown(trace_of(run_id, at))
    log.info(
        "run queued",
        run=run_id,
        app=new.app,
        env=new.environment,
        trace_id=trace_id,
        trigger=new.trigger.value,
        commit=new.commit or None,
    )


def delivered(run_id: int, at: float, received_at: float) -> None:
    """Add to the trace of a new run how long its delivery took to be durable."""
    if tracing.is_on():
        tracing.record("delivery", trace_of(run_id, at), utc(received_at), datetime.now(UTC))


def trace_of(run_id: int, at: float) -> Trace:
    """Return the trace of a run. :param at: when it was accepted, as it is stored."""
    return Trace(run_id, utc(at))


def told(connection: Connection, before: Run, run: Run) -> None:
    """Log and trace what is over now, once this transaction is durable."""
    if tracing.is_on():
        for old, stage in zip(before.stages, run.stages, strict=True):
            if stage.state.final and not old.state.final and stage.started_at is not None:
                after_commit(connection, partial(_trace_stage, run, stage))
    if run.state.final and not before.state.final:
        after_commit(connection, partial(_over, run))


def _over(run: Run) -> None:
    trace = Trace(run.id, run.created_at)
    ended = run.finished_at or run.created_at
    outcome, reason = run.state.value, run.reason.value
    duration_ms = round((ended - run.created_at).total_seconds() * 1000)
    with journal.about(run=run.id, app=run.app, env=run.environment, trace_id=tracing.shown(trace)):
        log.info("run over", outcome=outcome, reason=reason, duration_ms=duration_ms)
    tracing.record(
        "run",
        trace,
        run.created_at,
        ended,
        key=tracing.ROOT,
        failed=reason if run.state is RunState.FAILED else "",
        app=run.app,
        env=run.environment,
        trigger=run.trigger.value,
        commit=run.commit or None,
        outcome=outcome,
        reason=reason,
    )


def _trace_stage(run: Run, stage: Stage) -> None:
    begun = stage.started_at or run.created_at
    tracing.record(
        f"stage {stage.name}",
        Trace(run.id, run.created_at),
        begun,
        stage.finished_at or begun,
        key=stage.name.value,
        failed=stage.reason.value if stage.state is StageState.FAILED else "",
        stage=stage.name.value,
        outcome=stage.state.value,
        reason=stage.reason.value,
    )
