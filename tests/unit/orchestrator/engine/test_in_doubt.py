"""What a run does whose change is being pushed, or may be in Git, when it is to stop or fails."""

from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, RunState, StageName, Wait
from orchestrator.engine.facts import Claimed, Fact, LeaseExpired, Reported, Troubled
from orchestrator.engine.transitions import advance
from tests.support.factories import NOW, later, working

COMMIT = StageName.COMMIT


COMMITS: dict[str, Fact] = {
    "waits": Reported(stage=COMMIT, outcome=Wait(reason=Reason.COMMIT_QUEUED, after=5)),
    "is in trouble": Troubled(stage=COMMIT, reason=Reason.GITOPS_UNAVAILABLE, detail="503"),
    "lost its worker": LeaseExpired(),
}


@pytest.mark.parametrize("fact", COMMITS.values(), ids=COMMITS)
@pytest.mark.parametrize("wish", [{"cancel_requested": True, "detail": "cancelled by mina"}, {"superseded_by": 9}])
def test_a_run_that_is_to_stop_while_its_change_is_pushed_finds_out_first(fact: Fact, wish: dict[str, Any]) -> None:
    asked = working(COMMIT, **wish)
    assert advance(asked, fact, NOW).run.state is RunState.CANCELLED
    run = advance(asked, fact, NOW, committing=True).run
    assert run.state is RunState.WAITING
    assert (run.cancel_requested, run.superseded_by) == (asked.cancel_requested, asked.superseded_by)
    assert run.detail == (asked.detail if run.cancel_requested else run.stage(COMMIT).detail)
    landed = Reported(stage=COMMIT, outcome=Done())
    run = advance(advance(run, Claimed(stage=COMMIT, timeout=60), NOW).run, landed, NOW, committing=True).run
    assert (run.state, run.committed) == (RunState.CANCELLED, True)
    assert run.detail.endswith(" after its change was committed"), "nothing is in doubt"


@pytest.mark.parametrize("fact", [COMMITS["waits"], COMMITS["is in trouble"]])
def test_when_its_time_is_over_it_ends_and_says_what_nobody_knows(fact: Fact) -> None:
    asked = working(COMMIT, cancel_requested=True, detail="cancelled by mina")
    decision = advance(asked, fact, later(10_000), committing=True)
    assert (decision.run.state, decision.run.reason) == (RunState.CANCELLED, Reason.CANCELLED)
    assert decision.run.detail == "cancelled by mina; whether its change was committed could not be found out"
    assert (decision.freed, decision.tell) == (True, ("run.cancelled",))


REFUSED = Reported(stage=COMMIT, outcome=Fail(reason=Reason.GITOPS_REFUSED, detail="401"))


@pytest.mark.parametrize(
    ("fact", "seconds", "reason"),
    [
        (COMMITS["waits"], 10_000, Reason.TIMED_OUT),
        (COMMITS["is in trouble"], 10_000, Reason.GITOPS_UNAVAILABLE),
        (REFUSED, 1, Reason.GITOPS_REFUSED),
    ],
)
def test_a_failure_says_that_the_change_may_be_in_git_all_the_same(
    fact: Fact, seconds: float, reason: Reason
) -> None:
    certain = advance(working(COMMIT), fact, later(seconds))
    decision = advance(working(COMMIT), fact, later(seconds), committing=True)
    assert (decision.run.state, decision.run.reason, decision.tell) == (RunState.FAILED, reason, ("run.failed",))
    assert decision.run.detail == f"{certain.run.detail}; whether its change was committed could not be found out"
    told = {stage.name: stage.detail for stage in decision.run.stages if stage.detail}
    assert told == {COMMIT: decision.run.detail}, "only the stage that commits"


def test_a_failure_without_a_word_says_only_that() -> None:
    refused = Reported(stage=COMMIT, outcome=Fail(reason=Reason.GITOPS_REFUSED))
    said = advance(working(COMMIT), refused, NOW, committing=True).run.detail
    assert said == "whether its change was committed could not be found out"


@pytest.mark.parametrize("fact", [*COMMITS.values(), Reported(stage=COMMIT, outcome=Done())])
def test_a_run_that_goes_on_has_nothing_to_say_about_its_change(fact: Fact) -> None:
    assert advance(working(COMMIT), fact, NOW, committing=True) == advance(working(COMMIT), fact, NOW)
