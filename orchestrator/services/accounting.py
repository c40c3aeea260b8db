"""What is counted when a run changes: in the same transaction, so that each thing counts exactly once."""

from datetime import datetime

from orchestrator.domain import metrics
from orchestrator.domain.reasons import BY_OTHERS, explain
from orchestrator.domain.runs import Run, RunState, StageState, Trigger
from orchestrator.store import deployments, runs, tallies
from orchestrator.store.database import Connection
from orchestrator.store.deployments import Deployment
from orchestrator.store.tallies import Counts


def count(connection: Connection, before: Run, run: Run) -> None:
    """Count what has ended between `before` and `run`: stages, the run, a deployment."""
    counts = Counts()
    for stage in run.stages:
        if stage.started_at and stage.finished_at and not before.stage(stage.name).state.final:
            result = "reused" if stage.reused else stage.state.value
            took = (stage.finished_at - stage.started_at).total_seconds()
            if stage.state is not StageState.SKIPPED:
                counts.observe(metrics.STAGE_SECONDS, took, stage.name, result)
    if run.state.final and not before.state.final:
        _count_end(connection, counts, run)
    tallies.add(connection, counts.take())


def _count_end(connection: Connection, counts: Counts, run: Run) -> None:
    where = (run.app, run.environment)
    superseded = run.state is RunState.CANCELLED and run.reason in BY_OTHERS
    counts.add(metrics.RUNS, *where, "superseded" if superseded else run.state.value)
    if run.state is RunState.FAILED:
        counts.add(metrics.RUN_FAILURES, run.reason, explain(run.reason).actor)
    if run.finished_at is None or run.state is RunState.CANCELLED:
        return
    if run.state is RunState.SUCCEEDED:
        counts.observe(metrics.RUN_SECONDS, (run.finished_at - run.created_at).total_seconds(), *where)
    if run.committed:
        at = run.finished_at.timestamp()
        if runs.repeated(connection, run).trigger is Trigger.ROLLBACK:
            _count_rollback(connection, counts, run)
        else:
            _count_deployment(connection, counts, run, at, failed_at=at if run.state is RunState.FAILED else None)
        if run.state is RunState.SUCCEEDED:
            bad_since = deployments.restore(connection, *where, at)
            if bad_since is not None:
                counts.observe(metrics.RESTORE, at - bad_since, *where)


def _count_deployment(connection: Connection, counts: Counts, run: Run, at: float, failed_at: float | None) -> None:
    """Count a commit for its first success and its first failure in an environment: repeating it is no new change."""
    commit = _commit_of(run)
    deployment = Deployment(
        app=run.app,
        environment=run.environment,
        commit=commit,
        result=(RunState.SUCCEEDED if failed_at is None else RunState.FAILED).value,
        run_id=run.id,
        committed_at=_commit_time(run) or deployments.commit_time(connection, run.app, commit),
        at=at,
        failed_at=failed_at,
    )
    if not deployments.add(connection, deployment):
        return
    where = (run.app, run.environment)
    counts.add(metrics.DEPLOYMENTS, *where, deployment.result)
    if failed_at is not None:
        counts.add(metrics.CHANGE_FAILURES, *where)
    elif deployment.committed_at is not None:
        counts.observe(metrics.LEAD_TIME, at - deployment.committed_at, *where)


def _count_rollback(connection: Connection, counts: Counts, run: Run) -> None:
    """Count a rollback: it is no deployment, but what it took back was bad, unless that has failed already.

    That is what was in Git before it: the newest deployment may be an earlier one, to which it goes back, where the
    last one was cut off before it was healthy or not.
    """
    bad, at = runs.landed_before(connection, run), run.created_at.timestamp()
    if bad is None or bad.state is RunState.FAILED:
        return
    if bad.state is RunState.SUCCEEDED:
        if deployments.fail(connection, bad.app, bad.environment, _commit_of(bad), at):
            counts.add(metrics.CHANGE_FAILURES, bad.app, bad.environment)
    elif not runs.is_rollback(connection, bad):
        _count_deployment(connection, counts, bad, at, failed_at=at)


def _commit_of(run: Run) -> str:
    return run.commit or run.digest or f"run {run.id}"


def _commit_time(run: Run) -> float | None:
    """Read when the source commit was made, which ``check`` wrote down where it had the source.

    None: nobody knows, or its author wrote a time that no calendar has. That must not keep the run from its end.
    """
    try:
        return datetime.fromisoformat(run.outputs.get("commit_date") or "").timestamp()
    except ValueError:
        return None
