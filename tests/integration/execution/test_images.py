"""An image has one maker at a time, whatever the environment: a second push would replace what others proved."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator.domain.errors import LeaseLost
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Run, RunState, StageName
from orchestrator.domain.wording import sentence
from orchestrator.engine.facts import Fact, Reported, Stopped
from orchestrator.services.execution import Assignment
from orchestrator.store import claims, images
from orchestrator.store.database import now
from tests.support.databases import postgres_database
from tests.support.executing import SetClocks, Workshop, push_to_both
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.waiting import until

WAITING_LOCKS = text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
IMAGE = "harbor.example.com/plate/plate-web:sha-1"


@pytest.fixture
def twins(workshop: Workshop) -> Workshop:
    return push_to_both(workshop)


def to_build(workshop: Workshop, run: int, image: str = IMAGE) -> Assignment | None:
    return workshop.done(workshop.begin(run), image=image)


def building(workshop: Workshop, run: int) -> Assignment:
    assignment = to_build(workshop, run)
    assert assignment is not None
    assert assignment.stage is StageName.BUILD
    return assignment


def why(run: Run) -> str:
    return sentence(run.reason, run.detail)


def test_the_second_run_of_a_push_waits_until_the_first_has_pushed_the_image(twins: Workshop) -> None:
    build = building(twins, 1)
    assert to_build(twins, 2) is None
    assert (twins.run(2).reason, twins.run(2).blocked_by) == (Reason.BEHIND_RUN, 1)
    assert why(twins.run(2)) == "Another run goes first: run 1 makes the same image."
    push = twins.done(build)
    assert push is not None
    assert 2 not in twins.due()
    twins.done(push, digest="sha256:1")
    assert 2 in twins.due(), "at once, not when the first is over"
    assert twins.begin(2).stage is StageName.BUILD


def test_an_image_that_is_there_already_keeps_nobody_waiting(twins: Workshop) -> None:
    build = building(twins, 1)
    to_build(twins, 2)
    twins.done(build, digest="sha256:1")
    assert 2 in twins.due()
    assert twins.begin(2).stage is StageName.BUILD


@pytest.mark.parametrize(
    "end",
    [
        Stopped(stage=StageName.BUILD),
        Reported(stage=StageName.BUILD, outcome=Fail(reason=Reason.BUILD_FAILED)),
    ],
)
def test_when_the_maker_ends_without_the_image_the_next_one_makes_it(twins: Workshop, end: Fact) -> None:
    build = building(twins, 1)
    to_build(twins, 2)
    twins.control.cancel(1, "mina")
    assert 2 not in twins.due(), "its worker may still push"
    twins.one.report(build, end, "build")
    assert twins.run(1).state.final
    assert 2 in twins.due()
    assert twins.begin(2).stage is StageName.BUILD


def test_of_many_that_wait_for_one_image_the_first_to_come_makes_it_when_the_maker_fails(workshop: Workshop) -> None:
    """Those that wait are no makers: they would wait for each other."""
    places = tuple(make_environment(name) for name in ("stg", "eu", "us"))
    workshop.use(make_settings(workshop.settings.state_dir, apps=(make_app(environments=places),)))
    workshop.push(1)
    build = building(workshop, 1)
    assert to_build(workshop, 2) is None
    assert to_build(workshop, 3) is None
    workshop.one.report(build, Reported(stage=StageName.BUILD, outcome=Fail(reason=Reason.BUILD_FAILED)), "build")
    assert workshop.due() >= {2, 3}
    assert workshop.begin(3).stage is StageName.BUILD
    assert workshop.one.begin(2, "build") is None
    assert workshop.run(2).blocked_by == 3


def test_a_maker_whose_worker_vanished_goes_on_and_stays_the_maker(twins: Workshop, set_clocks: SetClocks) -> None:
    lost = building(twins, 1)
    to_build(twins, 2)
    set_clocks(claims.LEASE + 1)
    assert twins.reconcile.expired_leases() == [1]
    assert twins.one.begin(2, "build") is None
    again = twins.begin(1)
    with pytest.raises(LeaseLost):
        twins.done(lost)
    twins.finish(again)
    assert 2 in twins.due()
    twins.finish(twins.begin(2))
    assert twins.run(2).state is RunState.SUCCEEDED


def test_whoever_waits_for_an_image_keeps_no_place_and_asks_again_by_itself(twins: Workshop) -> None:
    building(twins, 1)
    to_build(twins, 2)
    wake_at = twins.run(2).stage(StageName.BUILD).wake_at
    assert wake_at is not None
    assert 10 < wake_at.timestamp() - now() < 20
    twins.push(2)
    third, fourth = twins.run(3), twins.run(4)
    assert (third.environment, fourth.environment) == ("stg", "eu")
    assert to_build(twins, fourth.id, "harbor.example.com/plate/plate-web:sha-2") is not None
    assert twins.run(2).superseded_by is None


def test_a_run_of_the_same_image_in_the_same_environment_does_not_cut_its_maker_off(workshop: Workshop) -> None:
    workshop.push(1)
    building(workshop, 1)
    workshop.push(1, key="again", before=7)
    assert to_build(workshop, 2) is None
    assert workshop.run(2).blocked_by == 1
    assert workshop.run(1).superseded_by is None


def test_a_run_that_brings_an_image_waits_for_nobody(twins: Workshop) -> None:
    building(twins, 1)
    second = twins.begin(2)
    assert twins.done(second, image=IMAGE, digest="sha256:0") is not None


def test_two_that_begin_together_are_one_after_the_other(postgres_url: str, tmp_path: Path) -> None:
    """SQLite has one writer at a time."""
    with postgres_database(postgres_url) as database:
        workshop = push_to_both(Workshop(database, tmp_path))
        checks = {1: workshop.begin(1), 2: workshop.begin(2)}
        begun: list[Assignment | None] = []

        def begin() -> None:
            fact = Reported(stage=StageName.CHECK, outcome=Done(outputs={"image": IMAGE}))
            begun.append(workshop.two.report(checks[2], fact, "build"))

        other = threading.Thread(target=begin)
        with database.write() as connection:
            fact = Reported(stage=StageName.CHECK, outcome=Done(outputs={"image": IMAGE}))
            images.maker(connection, replace(workshop.run(1), image=IMAGE))
            other.start()
            until(lambda: connection.execute(WAITING_LOCKS).first(), "the other to wait for the lock")
            assert not begun
        other.join()
        assert [one.stage for one in begun if one] == [StageName.BUILD]
        assert workshop.one.report(checks[1], fact, "build") is None
        assert workshop.run(1).blocked_by == 2
