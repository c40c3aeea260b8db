"""Whether anybody has had to approve a run, as its row alone does not say it."""

from orchestrator.domain.runs import Run, Trigger
from orchestrator.store import runs
from orchestrator.store.database import Connection


def was_let_through(connection: Connection, run: Run) -> bool:
    """Tell whether a run needed no approval when it was made: nobody has approved it, nor what it repeats."""
    if not run.approved or run.approved_at is not None:
        return False
    if run.trigger is not Trigger.RERUN:
        return run.waits_for_a_word
    earlier = [runs.load(connection, run_id) for run_id in runs.attempts_of(connection, run) if run_id < run.id]
    return runs.repeated(connection, run).waits_for_a_word and not any(one and one.approved_at for one in earlier)
