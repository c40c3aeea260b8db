"""Which failed deploys are taken back."""

from dataclasses import replace

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, StageName, StageState
from orchestrator.engine.taking_back import is_to_blame, taken_back
from tests.support.factories import make_run

SYNC, HEALTH = StageName.SYNC, StageName.HEALTH


def failed(at: StageName, reason: Reason) -> Run:
    return make_run(at, StageState.FAILED, state=RunState.FAILED, reason=reason)


@pytest.mark.parametrize(
    ("stage", "reason", "expected"),
    [
        (HEALTH, Reason.DEGRADED, True),
        (SYNC, Reason.DEGRADED, True),
        (HEALTH, Reason.TIMED_OUT, False),
        (HEALTH, Reason.SYNC_FAILED, False),
        (SYNC, Reason.MANIFESTS_INVALID, False),
        (SYNC, Reason.TIMED_OUT, False),
        (HEALTH, Reason.CHANGE_REVERTED, False),
        (HEALTH, Reason.IMAGE_NOT_DEPLOYED, False),
        (HEALTH, Reason.ARGOCD_UNAVAILABLE, False),
        (HEALTH, Reason.APPLICATION_DELETING, False),
        (SYNC, Reason.COMPARISON_FAILED, False),
        (StageName.BUILD, Reason.BUILD_FAILED, False),
        (StageName.COMMIT, Reason.TIMED_OUT, False),
    ],
)
def test_what_makes_the_application_degraded_is_to_blame(stage: StageName, reason: Reason, expected: bool) -> None:
    assert is_to_blame(failed(stage, reason)) is expected


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.CANCELLED, RunState.WAITING])
def test_a_run_that_has_not_failed_is_not_to_blame(state: RunState) -> None:
    assert not is_to_blame(replace(failed(HEALTH, Reason.DEGRADED), state=state))


def test_a_run_that_failed_in_no_stage_is_not_to_blame() -> None:
    assert not is_to_blame(make_run(HEALTH, state=RunState.FAILED, reason=Reason.DEGRADED))


def test_the_failed_run_names_the_one_that_goes_back() -> None:
    run = failed(HEALTH, Reason.DEGRADED)
    assert run.taken_back_by is None
    noted = taken_back(run, 8)
    assert noted.taken_back_by == 8
    assert replace(noted, stages=run.stages) == run
