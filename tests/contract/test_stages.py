"""Every stage in the table: it has a place in the order, a patience, and a run can go through it."""

import inspect

import pytest

from orchestrator.domain.runs import STAGE_ORDER, Done, RunState, StageName
from orchestrator.engine.facts import Claimed, Reported
from orchestrator.engine.policy import POLICIES
from orchestrator.engine.transitions import advance
from orchestrator.services.execution import timeout_of
from tests.support.factories import NOW, make_app, make_environment, make_run
from workers.stages.table import STAGES


def test_the_tables_agree() -> None:
    assert tuple(STAGES) == STAGE_ORDER
    assert tuple(POLICIES) == STAGE_ORDER


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_one_function_that_says_what_it_does(name: StageName) -> None:
    stage = STAGES[name]

    assert list(inspect.signature(stage).parameters) == ["order", "tools"]
    assert stage.__doc__
    assert stage.__module__ == f"workers.stages.{name}"
    assert timeout_of(name, make_app(), make_environment()) > 0


def test_a_run_whose_every_stage_is_done_has_succeeded() -> None:
    run = make_run()
    for name in STAGE_ORDER:
        assert run.state is not RunState.SUCCEEDED
        run = advance(run, Claimed(stage=name, timeout=60), NOW).run
        run = advance(run, Reported(stage=name, outcome=Done()), NOW).run

    assert run.state is RunState.SUCCEEDED
