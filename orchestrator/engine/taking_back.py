"""When a deploy that failed is taken back: going back helps only where what it brought is to blame."""

from dataclasses import replace

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, Stage, StageName, StageState

_REFUSED = frozenset({Reason.MANIFESTS_INVALID, Reason.SYNC_FAILED, Reason.DEGRADED})
_BLAMED = {StageName.SYNC: _REFUSED, StageName.HEALTH: _REFUSED | {Reason.TIMED_OUT}}
"""By the stage that failed. A `sync` that took too long says nothing about what was to be synced."""


def is_to_blame(run: Run) -> bool:
    """Tell whether a run has failed, behind its commit, by what it brought to its environment."""
    failed = _failed(run)
    return run.state is RunState.FAILED and failed is not None and run.reason in _BLAMED.get(failed.name, ())


def taken_back(run: Run, by: int) -> Run:
    """Note in a failed run which one goes back; see `Run.taken_back_by`."""
    failed = _failed(run)
    noted = tuple(
        replace(stage, outputs={**stage.outputs, "taken_back_by": by}) if stage is failed else stage
        for stage in run.stages
    )
    return replace(run, stages=noted)


def _failed(run: Run) -> Stage | None:
    return next((stage for stage in run.stages if stage.state is StageState.FAILED), None)
