"""When a deploy that failed is taken back: going back helps only where what it brought is to blame.

That is so where the application is ``Degraded`` with its commit. A time that is over may be Argo CD's fault, and a
chart that does not render or a sync that fails that of a later commit of somebody else.
"""

from dataclasses import replace

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, Stage, StageState


def is_to_blame(run: Run) -> bool:
    """Tell whether a run has failed by what it brought to its environment."""
    return run.state is RunState.FAILED and run.reason is Reason.DEGRADED and _failed(run) is not None


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
