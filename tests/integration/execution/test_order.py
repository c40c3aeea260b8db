"""Which of two runs gives way."""

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, StageName
from orchestrator.engine.facts import Stopped
from tests.support.executing import SetClocks, Workshop


def test_a_newer_run_cuts_off_the_one_that_builds_but_not_the_one_that_cut_off(workshop: Workshop) -> None:
    for number in (1, 2, 3):
        workshop.push(number)
    building = workshop.until(1, StageName.BUILD)
    second = workshop.until(2, StageName.BUILD)
    assert workshop.one.is_unwanted(building)
    workshop.one.report(building, Stopped(stage=StageName.BUILD), "build")
    assert (workshop.run(1).reason, workshop.run(1).superseded_by) == (Reason.SUPERSEDED, 2)
    third = workshop.begin(3)
    assert workshop.done(third) is None
    assert (workshop.run(3).reason, workshop.run(3).blocked_by) == (Reason.BEHIND_RUN, 2)
    workshop.finish(second)
    assert workshop.run(2).state is RunState.SUCCEEDED
    assert 3 in workshop.due()
    workshop.finish(workshop.begin(3))
    assert workshop.run(3).state is RunState.SUCCEEDED


def test_check_names_the_waiting_runs_that_it_overtakes(workshop: Workshop) -> None:
    for number in (1, 2, 3):
        workshop.push(number)
    workshop.until(1, StageName.COMMIT)
    workshop.done(workshop.begin(2))
    assert workshop.run(2).reason is Reason.BEHIND_RUN
    third = workshop.begin(3)
    assert [(rival.run, rival.ref) for rival in third.rivals] == [(2, "refs/heads/main"), (1, "refs/heads/main")]
    workshop.done(third, obsolete=[2])
    assert (workshop.run(2).state, workshop.run(2).superseded_by) == (RunState.CANCELLED, 3)
    assert workshop.run(3).reason is Reason.BEHIND_RUN, "run 1 is committing and is never cut off"


def test_a_run_that_is_cancelled_while_it_is_checked_ends_no_older_one(workshop: Workshop) -> None:
    first, second = workshop.push(1)["runs"][0], workshop.push(2)["runs"][0]
    check = workshop.begin(second)
    workshop.control.cancel(second, "mina")
    older = workshop.begin(first)
    assert [one.run for one in older.rivals] == [], "nothing newer will be deployed by the other"
    assert workshop.done(check, obsolete=[first]) is None
    assert workshop.run(second).reason is Reason.CANCELLED
    workshop.finish(older)
    assert workshop.run(first).state is RunState.SUCCEEDED


def test_a_broken_deploy_does_not_block_its_fix(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.wait(workshop.until(1, StageName.HEALTH))
    workshop.push(2)
    fix = workshop.until(2, StageName.COMMIT)
    assert workshop.run(1).state is RunState.WAITING, "not cut off before the fix has landed"
    health = workshop.done(fix)
    assert (workshop.run(1).state, workshop.run(1).superseded_by) == (RunState.CANCELLED, 2)
    workshop.finish(health)
    assert workshop.run(2).state is RunState.SUCCEEDED


def test_a_run_that_ended_another_s_proof_is_proven_itself(workshop: Workshop) -> None:
    for number in (1, 2, 3):
        workshop.push(number)
    workshop.wait(workshop.until(1, StageName.HEALTH))
    second = workshop.until(2, StageName.HEALTH)
    workshop.wait(second)
    third = workshop.until(3, StageName.SCAN)
    assert workshop.done(third) is None
    assert (workshop.run(3).reason, workshop.run(3).blocked_by) == (Reason.BEHIND_RUN, 2)
    workshop.finish(workshop.begin(2))
    assert workshop.run(2).state is RunState.SUCCEEDED
    workshop.finish(workshop.begin(3))
    assert workshop.run(3).state is RunState.SUCCEEDED


def test_the_fix_of_one_that_ended_another_s_proof_waits_twice_the_usual_time(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    """Three quick pushes of which the second is broken: the third does not wait until that has failed."""
    prove(workshop, 1, set_clocks, took=100)
    for number in (2, 3, 4):
        workshop.push(number)
    workshop.wait(workshop.until(2, StageName.HEALTH))
    workshop.wait(workshop.until(3, StageName.HEALTH))
    fix = workshop.until(4, StageName.SCAN)
    set_clocks(150)
    assert workshop.done(fix) is None
    assert (workshop.run(4).reason, workshop.run(4).blocked_by) == (Reason.BEHIND_RUN, 3)
    assert 4 not in workshop.due()
    set_clocks(301)
    assert 4 in workshop.due()
    workshop.finish(workshop.begin(4))
    assert (workshop.run(3).state, workshop.run(3).superseded_by) == (RunState.CANCELLED, 4)
    assert workshop.run(4).state is RunState.SUCCEEDED


def test_who_has_cut_off_one_that_was_left_alone_is_proven(workshop: Workshop, set_clocks: SetClocks) -> None:
    """However long it takes now: else no run would be under a steady stream."""
    prove(workshop, 1, set_clocks, took=100)
    for number in (2, 3, 4, 5):
        workshop.push(number)
    workshop.wait(workshop.until(2, StageName.HEALTH))
    workshop.wait(workshop.until(3, StageName.HEALTH))
    set_clocks(400)
    workshop.wait(workshop.until(4, StageName.HEALTH))
    set_clocks(1000)
    assert workshop.done(workshop.until(5, StageName.SCAN)) is None
    assert (workshop.run(5).reason, workshop.run(5).blocked_by) == (Reason.BEHIND_RUN, 4)
    set_clocks(1200)
    assert 5 not in workshop.due()


def prove(workshop: Workshop, number: int, set_clocks: SetClocks, took: float) -> None:
    workshop.push(number)
    health = workshop.until(number, StageName.HEALTH)
    set_clocks(took)
    workshop.finish(health)


def test_who_cancels_a_broken_deploy_lets_the_fix_behind_it_go_on_at_once(workshop: Workshop) -> None:
    for number in (1, 2, 3):
        workshop.push(number)
    workshop.wait(workshop.until(1, StageName.HEALTH))
    workshop.wait(workshop.until(2, StageName.HEALTH))
    assert workshop.done(workshop.until(3, StageName.SCAN)) is None
    assert workshop.run(3).blocked_by == 2, "run 2 has cut off run 1, so it is not cut off itself"
    assert 3 not in workshop.due()
    workshop.control.cancel(2, "mina")
    assert 3 in workshop.due()
    workshop.finish(workshop.begin(3))
    assert workshop.run(3).state is RunState.SUCCEEDED


def test_what_was_deployed_while_a_run_waited_counts_though_a_person_went_back_from_it(workshop: Workshop) -> None:
    """Else the run, older than what the person went back from, would go over what the person wants."""
    for number in (1, 2):
        workshop.push(number)
        workshop.finish(workshop.done(workshop.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    workshop.push(3)
    built = workshop.until(3, StageName.SCAN, image="h/p:3", digest="sha256:3")
    workshop.control.hold("plate-web", "stg", "freeze", "mina")
    assert workshop.done(built) is None
    workshop.finish(workshop.begin(workshop.control.rollback("plate-web", "stg", "mina", 1)))
    workshop.control.release("plate-web", "stg")
    workshop.push(4)
    workshop.wait(workshop.until(5, StageName.HEALTH, image="h/p:4", digest="sha256:4"))
    assert workshop.one.begin(3, "build") is None
    assert (workshop.run(3).reason, workshop.run(3).blocked_by) == (Reason.BEHIND_RUN, 5)
    workshop.finish(workshop.begin(workshop.control.rollback("plate-web", "stg", "mina", 1)))

    commit = workshop.begin(3)
    assert commit.stage is StageName.COMMIT
    landed = [(one.run, one.commit) for one in commit.rivals if one.landed]
    assert landed == [(6, f"{1:040x}"), (5, f"{4:040x}"), (4, f"{1:040x}")]
