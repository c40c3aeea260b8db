"""What went back to something older stays where a person wanted it: nothing is promoted from there by itself."""

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, RunState, StageName, Trigger
from orchestrator.engine.facts import Reported
from orchestrator.services.control import ManualRun
from orchestrator.store import runs
from tests.support.executing import Workshop, two_environments
from tests.support.factories import make_app, make_environment, make_settings


def finish(workshop: Workshop, run_id: int, number: int = 0, **found: object) -> None:
    """Bring a run to its end."""
    told = {"image": f"h/p:sha-{number}", "digest": f"sha256:{number}"} if number else {}
    workshop.finish(workshop.done(workshop.begin(run_id), **told, **found))
    assert workshop.run(run_id).state is RunState.SUCCEEDED


def proven(workshop: Workshop, number: int) -> int:
    """Push and deploy to stg; what follows goes to its end, too."""
    run_id = int(workshop.push(number)["runs"][0])
    finish(workshop, run_id, number)
    for follower in in_prod(workshop, active=True):
        finish(workshop, follower)
    return run_id


def in_prod(workshop: Workshop, *, active: bool = False) -> list[int]:
    with workshop.database.read() as connection:
        found = runs.page(connection, app="plate-web", environment="prod")
    return [run.id for run in found if not (active and run.state.final)]


def test_a_rollback_is_not_promoted_by_itself_and_says_so(workshop: Workshop) -> None:
    two_environments(workshop)
    proven(workshop, 1)
    proven(workshop, 2)
    before = in_prod(workshop)
    back = workshop.control.rollback("plate-web", "stg", "mina", None)
    health = workshop.until(back, StageName.HEALTH)
    workshop.one.report(health, Reported(stage=health.stage, outcome=Done(detail="it is live")), "build")
    assert in_prod(workshop) == before
    said = "this went back to something older, so it is not promoted to prod by itself"
    assert workshop.run(back).detail == f"it is live; {said}"
    finish(workshop, workshop.control.rerun(back, "mina"))
    assert in_prod(workshop) == before
    asked = workshop.run(workshop.control.promote("plate-web", "prod", "mina"))
    assert (asked.trigger, asked.digest) == (Trigger.PROMOTION, "sha256:1")


def test_a_rollback_from_which_nothing_is_promoted_says_nothing_of_it(workshop: Workshop) -> None:
    two_environments(workshop)
    proven(workshop, 1)
    proven(workshop, 2)
    back = workshop.control.rollback("plate-web", "prod", "mina", None)
    finish(workshop, back)
    assert workshop.run(back).detail == ""


def test_an_older_commit_that_a_person_started_is_not_promoted_and_another_one_is(workshop: Workshop) -> None:
    two_environments(workshop)
    proven(workshop, 2)
    before = in_prod(workshop)
    older = workshop.control.start(ManualRun(app="plate-web", environment="stg", commit=f"{1:040x}"))
    finish(workshop, older, 1, older_than=[1])
    assert in_prod(workshop) == before
    newer = workshop.control.start(ManualRun(app="plate-web", environment="stg", commit=f"{3:040x}"))
    finish(workshop, newer, 3)
    assert [workshop.run(run).digest for run in in_prod(workshop, active=True)] == ["sha256:3"]


def test_the_re_run_of_an_old_promotion_goes_no_further_once_something_newer_was_proven(workshop: Workshop) -> None:
    middle, last = (make_environment(to, branch="", promote_from=of) for of, to in (("stg", "qa"), ("qa", "prod")))
    app = make_app(environments=(make_environment("stg"), middle, last))
    workshop.use(make_settings(workshop.settings.state_dir, apps=(app,)))
    finish(workshop, workshop.push(1)["runs"][0], 1)
    broken = workshop.until(2, StageName.HEALTH)
    failed = Reported(stage=broken.stage, outcome=Fail(reason=Reason.DEGRADED))
    workshop.one.report(broken, failed, "build")
    again = workshop.control.rerun(2, "mina")
    finish(workshop, again)
    promoted = in_prod(workshop, active=True)
    assert len(promoted) == 1, "nothing newer was there"
    finish(workshop, promoted[0])

    second = int(workshop.push(2)["runs"][0])
    finish(workshop, second, 2)
    finish(workshop, second + 1)
    finish(workshop, in_prod(workshop, active=True)[0])
    before = in_prod(workshop)
    finish(workshop, workshop.control.rerun(again, "mina"))
    assert in_prod(workshop) == before


def test_what_is_repeated_again_and_again_goes_no_further_either(workshop: Workshop) -> None:
    two_environments(workshop)
    older = workshop.control.start(ManualRun(app="plate-web", environment="stg", commit=f"{1:040x}"))
    finish(workshop, older, 1)
    finish(workshop, in_prod(workshop, active=True)[0])
    proven(workshop, 2)
    before = in_prod(workshop)
    for _ in range(3):
        again = workshop.control.rerun(older, "mina")
        finish(workshop, again, 1)
        assert (
            workshop.run(again).detail == "this went back to something older, so it is not promoted to prod by itself"
        )
        assert in_prod(workshop) == before
