"""Which of two runs gives way."""

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, StageName
from orchestrator.engine.facts import Stopped
from tests.support.executing import Workshop


def test_a_newer_run_cuts_off_the_one_that_builds_but_not_the_one_that_cut_off(world: Workshop) -> None:
    for number in (1, 2, 3):
        world.push(number)
    building = world.until(1, StageName.BUILD)
    second = world.until(2, StageName.BUILD)
    assert world.one.is_unwanted(building)
    world.one.report(building, Stopped(stage=StageName.BUILD), "build")
    assert (world.run(1).reason, world.run(1).superseded_by) == (Reason.SUPERSEDED, 2)
    third = world.begin(3)
    assert world.done(third) is None
    assert (world.run(3).reason, world.run(3).blocked_by) == (Reason.BEHIND_RUN, 2)
    world.finish(second)
    assert world.run(2).state is RunState.SUCCEEDED
    assert 3 in world.due()
    world.finish(world.begin(3))
    assert world.run(3).state is RunState.SUCCEEDED


def test_check_names_the_waiting_runs_that_it_overtakes(world: Workshop) -> None:
    for number in (1, 2, 3):
        world.push(number)
    world.until(1, StageName.COMMIT)
    world.done(world.begin(2))
    assert world.run(2).reason is Reason.BEHIND_RUN
    third = world.begin(3)
    assert [(rival.run, rival.ref) for rival in third.rivals] == [(2, "refs/heads/main"), (1, "refs/heads/main")]
    world.done(third, obsolete=[2])
    assert (world.run(2).state, world.run(2).superseded_by) == (RunState.CANCELLED, 3)
    assert world.run(3).reason is Reason.BEHIND_RUN, "run 1 is committing and is never cut off"


def test_a_run_that_is_cancelled_while_it_is_checked_ends_no_older_one(world: Workshop) -> None:
    first, second = world.push(1)["runs"][0], world.push(2)["runs"][0]
    check = world.begin(second)
    world.control.cancel(second, "mina")
    older = world.begin(first)
    assert [one.run for one in older.rivals] == [], "nothing newer will be deployed by the other"
    assert world.done(check, obsolete=[first]) is None
    assert world.run(second).reason is Reason.CANCELLED
    world.finish(older)
    assert world.run(first).state is RunState.SUCCEEDED


def test_a_broken_deploy_does_not_block_its_fix(world: Workshop) -> None:
    world.push(1)
    world.wait(world.until(1, StageName.HEALTH))
    world.push(2)
    fix = world.until(2, StageName.COMMIT)
    assert world.run(1).state is RunState.WAITING, "not cut off before the fix has landed"
    health = world.done(fix)
    assert (world.run(1).state, world.run(1).superseded_by) == (RunState.CANCELLED, 2)
    world.finish(health)
    assert world.run(2).state is RunState.SUCCEEDED


def test_a_run_that_ended_another_s_proof_is_proven_itself(world: Workshop) -> None:
    for number in (1, 2, 3):
        world.push(number)
    world.wait(world.until(1, StageName.HEALTH))
    second = world.until(2, StageName.HEALTH)
    world.wait(second)
    third = world.until(3, StageName.SCAN)
    assert world.done(third) is None
    assert (world.run(3).reason, world.run(3).blocked_by) == (Reason.BEHIND_RUN, 2)
    world.finish(world.begin(2))
    assert world.run(2).state is RunState.SUCCEEDED
    world.finish(world.begin(3))
    assert world.run(3).state is RunState.SUCCEEDED
