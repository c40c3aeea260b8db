"""What the log tells of a run as a whole: that it began, and how it ended. The stages between tell of themselves."""

from orchestrator import journal
from orchestrator.domain.runs import Run
from orchestrator.store.database import Connection, after_commit
from orchestrator.store.runs import NewRun

log = journal.get(__name__)


def queued(connection: Connection, run_id: int, new: NewRun) -> None:
    """Tell of a new run, once this transaction is durable."""
    after_commit(connection, lambda: began(run_id, new))


def began(run_id: int, new: NewRun) -> None:
    """Tell of a new run that is durable."""
    with journal.about(run=run_id, app=new.app, env=new.environment):
        log.info("run queued", trigger=new.trigger.value, commit=new.commit or None)


def told(connection: Connection, before: Run, run: Run) -> None:
    """Tell of what became of a run, once this transaction is durable."""
    if run.state.final and not before.state.final:
        after_commit(connection, lambda: _over(run))


def _over(run: Run) -> None:
    took = run.finished_at - run.created_at if run.finished_at else None
    duration_ms = round(took.total_seconds() * 1000) if took else None
    with journal.about(run=run.id, app=run.app, env=run.environment):
        log.info("run over", outcome=run.state.value, reason=run.reason.value, duration_ms=duration_ms)
