"""What went back to something older stays where a person wanted it: nothing is promoted from there by itself."""

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, RunState, StageName, Trigger
from orchestrator.engine.facts import Reported
from orchestrator.services.control import Wish
from orchestrator.store import runs
from tests.support.executing import Workshop, two_places
from tests.support.factories import make_app, make_environment, make_settings


def finish(world: Workshop, run_id: int, number: int = 0, **found: object) -> None:
    """Bring a run to its end."""
    told = {"image": f"h/p:sha-{number}", "digest": f"sha256:{number}"} if number else {}
    world.finish(world.done(world.begin(run_id), **told, **found))
    assert world.run(run_id).state is RunState.SUCCEEDED


def proven(world: Workshop, number: int) -> int:
    """Push and deploy to stg; what follows goes to its end, too."""
    run_id = int(world.push(number)["runs"][0])
    finish(world, run_id, number)
    for follower in in_prod(world, active=True):
        finish(world, follower)
    return run_id


def in_prod(world: Workshop, *, active: bool = False) -> list[int]:
    with world.database.read() as connection:
        found = runs.page(connection, app="plate-web", environment="prod")
    return [run.id for run in found if not (active and run.state.final)]


def test_a_rollback_is_not_promoted_by_itself_and_says_so(world: Workshop) -> None:
    two_places(world)
    proven(world, 1)
    proven(world, 2)
    before = in_prod(world)
    back = world.control.rollback("plate-web", "stg", "mina", None)
    finish(world, back)
    assert in_prod(world) == before
    said = "this went back to something older, so it is not promoted to prod by itself"
    assert world.run(back).detail == said
    finish(world, world.control.rerun(back, "mina"))
    assert in_prod(world) == before
    asked = world.run(world.control.promote("plate-web", "prod", "mina"))
    assert (asked.trigger, asked.digest) == (Trigger.PROMOTION, "sha256:1")


def test_a_rollback_from_which_nothing_is_promoted_says_nothing_of_it(world: Workshop) -> None:
    two_places(world)
    proven(world, 1)
    proven(world, 2)
    back = world.control.rollback("plate-web", "prod", "mina", None)
    finish(world, back)
    assert world.run(back).detail == ""


def test_an_older_commit_that_a_person_started_is_not_promoted_and_another_one_is(world: Workshop) -> None:
    two_places(world)
    proven(world, 2)
    before = in_prod(world)
    older = world.control.start(Wish(app="plate-web", environment="stg", commit=f"{1:040x}"))
    finish(world, older, 1, older_than=[1])
    assert in_prod(world) == before
    newer = world.control.start(Wish(app="plate-web", environment="stg", commit=f"{3:040x}"))
    finish(world, newer, 3)
    assert [world.run(run).digest for run in in_prod(world, active=True)] == ["sha256:3"]


def test_the_re_run_of_an_old_promotion_goes_no_further_once_something_newer_was_proven(world: Workshop) -> None:
    middle, last = (make_environment(to, branch="", promote_from=of) for of, to in (("stg", "qa"), ("qa", "prod")))
    app = make_app(environments=(make_environment("stg"), middle, last))
    world.use(make_settings(world.settings.state_dir, apps=(app,)))
    finish(world, world.push(1)["runs"][0], 1)
    broken = world.until(2, StageName.HEALTH)
    failed = Reported(stage=broken.stage, outcome=Fail(reason=Reason.DEGRADED))
    world.one.report(broken, failed, "build")
    again = world.control.rerun(2, "mina")
    finish(world, again)
    promoted = in_prod(world, active=True)
    assert len(promoted) == 1, "nothing newer was there"
    finish(world, promoted[0])

    second = int(world.push(2)["runs"][0])
    finish(world, second, 2)
    finish(world, second + 1)
    finish(world, in_prod(world, active=True)[0])
    before = in_prod(world)
    finish(world, world.control.rerun(again, "mina"))
    assert in_prod(world) == before


def test_what_is_repeated_again_and_again_goes_no_further_either(world: Workshop) -> None:
    two_places(world)
    older = world.control.start(Wish(app="plate-web", environment="stg", commit=f"{1:040x}"))
    finish(world, older, 1)
    finish(world, in_prod(world, active=True)[0])
    proven(world, 2)
    before = in_prod(world)
    for _ in range(3):
        again = world.control.rerun(older, "mina")
        finish(world, again, 1)
        assert world.run(again).detail == "this went back to something older, so it is not promoted to prod by itself"
        assert in_prod(world) == before
