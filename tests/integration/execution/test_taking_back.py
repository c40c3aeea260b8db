"""A deploy that fails is taken back by itself where its environment wants that."""

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.domain.apps import Channel
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Run, RunState, StageName
from orchestrator.domain.wording import next_step
from orchestrator.engine.facts import Reported
from orchestrator.services.control import ManualRun
from orchestrator.services.execution import Assignment
from orchestrator.store import environments, notifications
from tests.support.executing import Workshop
from tests.support.factories import make_app, make_environment, make_settings

DEGRADED = Fail(reason=Reason.DEGRADED, detail="Deployment/plate-web: no")
IMAGES = [{"image": f"h/p:{number}", "digest": f"sha256:{number}"} for number in range(4)]


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    environment = make_environment("stg", rollback=True)
    channel = Channel(name="ops", kind="webhook")
    apps = (make_app(environments=(environment,)),)
    workshop.use(make_settings(workshop.settings.state_dir, apps=apps, channels=(channel,)))
    return workshop


def deploy(shop: Workshop, run_id: int, image: Mapping[str, str]) -> Run:
    shop.finish(shop.done(shop.begin(run_id), **image))
    return shop.run(run_id)


def fail(shop: Workshop, run_id: int, image: Mapping[str, str], outcome: Fail = DEGRADED) -> Run:
    health = shop.until(run_id, StageName.HEALTH, **image)
    report(shop, health, outcome)
    return shop.run(run_id)


def report(shop: Workshop, at: Assignment, outcome: Fail = DEGRADED) -> None:
    assert shop.one.report(at, Reported(stage=at.stage, outcome=outcome), "build") is None


def second_at_health(shop: Workshop) -> Assignment:
    """Have one push deployed, and a worker look at the health of the next."""
    shop.push(1)
    deploy(shop, 1, IMAGES[1])
    shop.push(2)
    return shop.until(2, StageName.HEALTH, **IMAGES[2])


def hold(shop: Workshop) -> Mapping[str, Any]:
    with shop.database.write() as connection:
        return dict(environments.lock(connection, "plate-web", "stg"))


def test_the_image_before_comes_back_and_the_environment_is_held(shop: Workshop) -> None:
    shop.push(1)
    deploy(shop, 1, IMAGES[1])
    shop.push(2)

    failed = fail(shop, 2, IMAGES[2])

    assert (failed.state, failed.taken_back_by) == (RunState.FAILED, 3)
    assert "`pilotage app release plate-web stg`" in next_step(failed)
    back = shop.run(3)
    assert (back.trigger, back.image, back.commit, back.actor) == ("rollback", "h/p:1", f"{1:040x}", "run 2")
    assert 3 in shop.due()
    assert hold(shop)["hold"] == "run 2 failed here, and run 3 goes back"
    done = deploy(shop, 3, {})
    assert done.state is RunState.SUCCEEDED
    assert "Correct what run 2 brought" in next_step(done)


def test_what_is_pushed_meanwhile_waits_until_somebody_releases_the_environment(shop: Workshop) -> None:
    health = second_at_health(shop)
    shop.push(3)
    report(shop, health)
    deploy(shop, 4, {})

    check = shop.begin(3)
    assert shop.done(check) is None
    assert shop.run(3).reason is Reason.ON_HOLD
    shop.control.release("plate-web", "stg")
    assert deploy(shop, 3, IMAGES[3]).state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (IMAGES[2], DEGRADED),
        (None, DEGRADED),
        (IMAGES[1], Fail(reason=Reason.CHANGE_REVERTED)),
        (IMAGES[1], Fail(reason=Reason.ARGOCD_FORBIDDEN)),
    ],
    ids=["the image was proven here", "nothing was proven here", "somebody changed it", "we may not look"],
)
def test_nothing_is_taken_back_where_that_would_not_help(
    shop: Workshop, first: Mapping[str, str] | None, outcome: Fail
) -> None:
    shop.push(1)
    if first is not None:
        deploy(shop, 1, first)
    else:
        fail(shop, 1, IMAGES[1], Fail(reason=Reason.BUILD_FAILED))
    shop.push(2)
    assert fail(shop, 2, IMAGES[2], outcome).taken_back_by is None
    assert hold(shop)["hold"] == ""
    assert shop.due() == set()


def test_an_environment_that_does_not_want_it_stays_as_it_is(workshop: Workshop) -> None:
    workshop.push(1)
    deploy(workshop, 1, IMAGES[1])
    workshop.push(2)
    assert fail(workshop, 2, IMAGES[2]).taken_back_by is None


def test_a_rollback_that_fails_is_not_taken_back_again_nor_is_its_re_run(shop: Workshop) -> None:
    report(shop, second_at_health(shop))
    assert fail(shop, 3, {}).taken_back_by is None
    again = shop.control.rerun(3, "mina")
    assert fail(shop, again, {}).taken_back_by is None


def test_the_hold_says_what_came_of_the_way_back(shop: Workshop) -> None:
    report(shop, second_at_health(shop))
    since = hold(shop)["held_at"]
    fail(shop, 3, {})
    assert hold(shop)["hold"] == "run 2 failed here, and run 3, which was to go back, failed too"
    again = shop.control.rerun(3, "mina")
    shop.control.cancel(again, "mina")
    assert hold(shop)["hold"] == f"run 2 failed here, and run {again}, which was to go back, was cancelled"
    by_hand = shop.control.rollback("plate-web", "stg", "mina", 1)
    deploy(shop, by_hand, {})
    assert hold(shop)["hold"] == f"run 2 failed here, and run {by_hand} has gone back"
    assert (hold(shop)["held_by"], hold(shop)["held_at"]) == ("pilotage", since)


def test_the_hold_of_a_person_says_what_that_person_said(shop: Workshop) -> None:
    report(shop, second_at_health(shop))
    shop.control.hold("plate-web", "stg", "run 2 failed here", "mina")
    fail(shop, 3, {})
    assert hold(shop)["hold"] == "run 2 failed here"


def test_an_environment_that_was_released_stays_so_when_the_way_back_ends(shop: Workshop) -> None:
    report(shop, second_at_health(shop))
    shop.control.release("plate-web", "stg")
    deploy(shop, 3, {})
    assert hold(shop)["hold"] == ""


def test_the_reason_that_a_person_gave_for_a_hold_stays(shop: Workshop) -> None:
    health = second_at_health(shop)
    shop.control.hold("plate-web", "stg", "freeze", "mina")
    report(shop, health)
    assert (hold(shop)["hold"], hold(shop)["held_by"]) == ("freeze", "mina")
    assert deploy(shop, 3, {}).state is RunState.SUCCEEDED


def test_channels_are_told_of_both_runs(shop: Workshop) -> None:
    report(shop, second_at_health(shop))
    with shop.database.read() as connection:
        told = [row["message"] for row in notifications.of_run(connection, 2)]
    assert any("Run 3 goes back." in message["next_step"] for message in told)


def test_a_run_that_was_overtaken_or_cancelled_while_it_was_looked_at_is_not_taken_back(shop: Workshop) -> None:
    overtaken = second_at_health(shop)
    shop.push(3)
    sync = shop.until(3, StageName.SYNC, **IMAGES[3])
    report(shop, overtaken)
    assert (shop.run(2).taken_back_by, hold(shop)["hold"]) == (None, "")
    shop.finish(sync)

    shop.push(4)
    unwanted = shop.until(4, StageName.HEALTH, **IMAGES[0])
    shop.control.cancel(4, "mina")
    report(shop, unwanted)
    assert (shop.run(4).taken_back_by, hold(shop)["hold"]) == (None, "")


def test_a_deploy_that_is_being_committed_is_left_to_it(shop: Workshop) -> None:
    health = second_at_health(shop)
    shop.push(3)
    commit = shop.until(3, StageName.COMMIT, **IMAGES[3])
    report(shop, health)
    assert shop.run(2).taken_back_by is None
    shop.finish(shop.done(commit))
    assert shop.run(3).state is RunState.SUCCEEDED


def test_a_correction_that_is_being_built_waits_for_the_release_and_not_the_rollback_for_it(shop: Workshop) -> None:
    """Also one that has cut off another: nobody may cut that off."""
    health = second_at_health(shop)
    shop.push(3)
    shop.until(3, StageName.BUILD)
    shop.push(4)
    build = shop.until(4, StageName.BUILD)
    assert shop.run(4).cut_off == 3
    report(shop, health)

    assert deploy(shop, 5, {}).state is RunState.SUCCEEDED
    after: Assignment | None = build
    while after is not None:
        after = shop.done(after, **IMAGES[3])
    assert shop.run(4).reason is Reason.ON_HOLD
    shop.control.release("plate-web", "stg")
    assert deploy(shop, 4, IMAGES[3]).state is RunState.SUCCEEDED


def test_where_a_person_goes_back_already_that_is_enough(shop: Workshop) -> None:
    for number in (1, 2):
        shop.push(number)
        deploy(shop, number, IMAGES[number])
    shop.push(3)
    health = shop.until(3, StageName.HEALTH, **IMAGES[3])
    mina = shop.control.rollback("plate-web", "stg", "mina", 1)
    report(shop, health)
    assert shop.run(3).taken_back_by == mina
    assert hold(shop)["hold"] == f"run 3 failed here, and run {mina} goes back"


def test_what_was_committed_last_is_what_was_there_before(shop: Workshop) -> None:
    """Run 1 was approved late and came after run 2."""
    late = shop.control.start(ManualRun(app="plate-web", environment="stg", commit="1" * 40))
    shop.push(2)
    deploy(shop, 2, IMAGES[2])
    deploy(shop, late, IMAGES[1])
    shop.push(3)
    fail(shop, 3, IMAGES[3])
    assert shop.run(4).digest == "sha256:1"
