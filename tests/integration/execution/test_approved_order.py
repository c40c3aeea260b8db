"""What somebody has approved goes on until something newer is approved, whatever is pushed meanwhile."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, RunState, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.control import NotPossible
from tests.support.executing import Workshop
from tests.support.factories import make_app, make_environment, make_settings


@pytest.fixture
def gated(workshop: Workshop) -> Workshop:
    """An environment on hold that is pushed to and that needs approval."""
    environment = make_environment("stg", approval=True)
    workshop.use(make_settings(workshop.settings.state_dir, apps=(make_app(environments=(environment,)),)))
    workshop.control.hold("plate-web", "stg", "freeze", "mina")
    return workshop


def approved(workshop: Workshop, number: int) -> int:
    """Push, approve, and wait for the end of the hold."""
    run_id = int(workshop.push(number)["runs"][0])
    workshop.control.approve(run_id, "mina")
    assert workshop.done(workshop.begin(run_id)) is None
    assert workshop.run(run_id).reason is Reason.ON_HOLD
    return run_id


def test_a_push_ends_what_was_approved_only_when_it_is_approved_itself(gated: Workshop) -> None:
    first = approved(gated, 1)
    second = gated.push(2)["runs"][0]
    check = gated.begin(second)
    assert [(rival.run, rival.approved) for rival in check.rivals] == [(first, True)]
    gated.done(check, obsolete=[first])
    assert gated.run(first).reason is Reason.ON_HOLD
    gated.control.approve(second, "mina")
    assert (gated.run(first).reason, gated.run(first).superseded_by) == (Reason.SUPERSEDED, second)


def test_a_push_that_is_approved_while_it_is_checked_ends_what_it_overtakes(gated: Workshop) -> None:
    first = approved(gated, 1)
    second = gated.push(2)["runs"][0]
    check = gated.begin(second)
    gated.control.approve(second, "mina")
    gated.done(check, obsolete=[first])
    assert gated.run(first).superseded_by == second


def test_of_what_nobody_has_approved_the_newest_waits(gated: Workshop) -> None:
    first, second = gated.push(1)["runs"][0], gated.push(2)["runs"][0]
    gated.done(gated.begin(first))
    gated.done(gated.begin(second), obsolete=[first])
    assert gated.run(first).superseded_by == second


def test_what_was_approved_just_before_a_push_would_end_it_goes_on(gated: Workshop) -> None:
    first, second = gated.push(1)["runs"][0], gated.push(2)["runs"][0]
    gated.done(gated.begin(first))
    check = gated.begin(second)
    gated.control.approve(first, "mina")
    gated.done(check, obsolete=[first])
    assert gated.run(first).state is RunState.WAITING
    gated.control.approve(second, "mina")
    assert gated.run(first).superseded_by == second


def test_a_newer_run_that_waits_for_approval_keeps_no_re_run_back_until_it_is_approved(gated: Workshop) -> None:
    first, second = repeated_behind(gated)
    gated.done(gated.begin(first), unapproved=[second])
    assert gated.run(first).reason is Reason.ON_HOLD
    gated.control.approve(second, "mina")
    assert (gated.run(first).reason, gated.run(first).superseded_by) == (Reason.SUPERSEDED, second)


def test_a_re_run_gives_way_to_what_is_approved_while_it_is_checked(gated: Workshop) -> None:
    first, second = repeated_behind(gated)
    check = gated.begin(first)
    gated.control.approve(second, "mina")
    assert gated.done(check, unapproved=[second]) is None
    assert (gated.run(first).reason, gated.run(first).superseded_by) == (Reason.SUPERSEDED, second)


def test_a_re_run_does_not_give_way_to_what_was_approved_and_is_being_cancelled(gated: Workshop) -> None:
    first, second = repeated_behind(gated)
    check = gated.begin(first)
    gated.control.approve(second, "mina")
    gated.control.release("plate-web", "stg")
    gated.begin(second)
    gated.control.cancel(second, "mina")
    gated.done(check, unapproved=[second])
    assert gated.run(first).superseded_by is None


def test_a_run_that_is_being_cancelled_is_not_approved_any_more_and_ends_no_other(gated: Workshop) -> None:
    first, second = repeated_behind(gated)
    third = gated.push(3)["runs"][0]
    check = gated.begin(third)
    gated.done(gated.begin(first), unapproved=[second, third])
    gated.control.cancel(third, "mina")
    with pytest.raises(NotPossible, match="does not wait for approval"):
        gated.control.approve(third, "jun")
    gated.done(check)
    assert gated.run(third).detail == "cancelled by mina"
    assert gated.run(first).reason is Reason.ON_HOLD


def test_what_is_at_work_when_something_newer_is_approved_is_left_to_the_gate(gated: Workshop) -> None:
    first = approved(gated, 1)
    second = gated.push(2)["runs"][0]
    gated.done(gated.begin(second), obsolete=[first])
    gated.control.release("plate-web", "stg")
    building = gated.begin(first)
    gated.control.approve(second, "mina")
    assert not gated.one.is_unwanted(building)
    assert gated.begin(second).stage is StageName.BUILD
    assert gated.one.is_unwanted(building)


def repeated_behind(workshop: Workshop) -> tuple[int, int]:
    """Repeat an approved run that failed, while a newer one waits for approval; return both."""
    failed = approved(workshop, 1)
    workshop.control.release("plate-web", "stg")
    build = workshop.begin(failed)
    broken = Reported(stage=build.stage, outcome=Fail(reason=Reason.BUILD_FAILED, detail="exit 1"))
    workshop.one.report(build, broken, "build")
    workshop.control.hold("plate-web", "stg", "freeze", "mina")
    second = int(workshop.push(2)["runs"][0])
    workshop.done(workshop.begin(second))
    return workshop.control.rerun(failed, "mina"), second
