"""A deploy that fails is taken back by itself where its environment wants that."""

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.domain.apps import Channel
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Run, RunState, StageName
from orchestrator.domain.wording import next_step
from orchestrator.engine.facts import Reported
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
    assert shop.one.report(health, Reported(stage=StageName.HEALTH, outcome=outcome), "build") is None
    return shop.run(run_id)


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
    assert hold(shop)["hold"] == "run 2 failed here, and run 3 brings back what run 1 had proven"
    assert deploy(shop, 3, {}).state is RunState.SUCCEEDED


def test_what_is_pushed_meanwhile_waits_until_somebody_releases_the_environment(shop: Workshop) -> None:
    shop.push(1)
    deploy(shop, 1, IMAGES[1])
    shop.push(2)
    health = shop.until(2, StageName.HEALTH, **IMAGES[2])
    shop.push(3)
    assert shop.one.report(health, Reported(stage=StageName.HEALTH, outcome=DEGRADED), "build") is None
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
    shop.push(1)
    deploy(shop, 1, IMAGES[1])
    shop.push(2)
    fail(shop, 2, IMAGES[2])
    assert fail(shop, 3, {}).taken_back_by is None
    again = shop.control.rerun(3, "mina")
    assert fail(shop, again, {}).taken_back_by is None


def test_the_reason_that_a_person_gave_for_a_hold_stays(shop: Workshop) -> None:
    shop.push(1)
    deploy(shop, 1, IMAGES[1])
    shop.push(2)
    health = shop.until(2, StageName.HEALTH, **IMAGES[2])
    shop.control.hold("plate-web", "stg", "freeze", "mina")
    assert shop.one.report(health, Reported(stage=StageName.HEALTH, outcome=DEGRADED), "build") is None
    assert (hold(shop)["hold"], hold(shop)["held_by"]) == ("freeze", "mina")
    assert deploy(shop, 3, {}).state is RunState.SUCCEEDED


def test_channels_are_told_of_both_runs(shop: Workshop) -> None:
    shop.push(1)
    deploy(shop, 1, IMAGES[1])
    shop.push(2)
    fail(shop, 2, IMAGES[2])
    with shop.database.read() as connection:
        told = [row["message"] for row in notifications.of_run(connection, 2)]
    assert any("Run 3 goes back." in message["next_step"] for message in told)
