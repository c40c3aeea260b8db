"""The hold of an environment whose deploy was taken back: it says how far the way back has come."""

import re

from orchestrator.domain.runs import Run, RunState
from orchestrator.store import environments, runs
from orchestrator.store.database import Connection

BY = "pilotage"
"""Who holds an environment by itself."""
_FAILED_HERE = re.compile(r"run \d+ failed here")
_CAME_TO = {
    RunState.SUCCEEDED: "run {} has gone back",
    RunState.FAILED: "run {}, which was to go back, failed too",
    RunState.CANCELLED: "run {}, which was to go back, was cancelled",
}


def hold(connection: Connection, failed: Run, by: int, now: float) -> None:
    """Hold the environment of a failed run. :param by: the run that goes back."""
    why = f"run {failed.id} failed here, and run {by} goes back"
    environments.set_hold(connection, failed.app, failed.environment, why, BY, now)


def told(connection: Connection, run: Run) -> None:
    """Say in the hold what came of a rollback that has ended, also of one by hand and of a re-run.

    The hold stays, and so does its time: a person decides when to go on. Nothing happens to the hold of a person.
    """
    if not runs.is_rollback(connection, run):
        return
    held = environments.lock(connection, run.app, run.environment)
    begins = _FAILED_HERE.match(held["hold"])
    if held["held_by"] == BY and begins:
        why = f"{begins[0]}, and {_CAME_TO[run.state].format(run.id)}"
        environments.set_hold(connection, run.app, run.environment, why, BY, held["held_at"])
