"""A person goes back to an image that was proven, or names any run."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Rival, RunState, StageName
from orchestrator.engine.facts import Fact, Reported
from orchestrator.services.control import NotPossible, Wish
from tests.support.executing import Workshop, two_places


def test_a_rollback_brings_back_the_image_before_as_a_new_run(world: Workshop) -> None:
    for number in (1, 2):
        world.push(number)
        world.finish(world.done(world.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    run = world.run(world.control.rollback("plate-web", "stg", "mina", None))
    assert (run.trigger, run.image, run.digest, run.commit) == ("rollback", "h/p:1", "sha256:1", f"{1:040x}")
    world.finish(world.begin(run.id))
    back = world.run(world.control.rollback("plate-web", "stg", "mina", 2))
    assert back.digest == "sha256:2"


@pytest.mark.parametrize("healthy", [True, False])
def test_what_is_rolled_back_may_be_an_image_without_a_source(world: Workshop, healthy: bool) -> None:
    world.push(1)
    world.finish(world.done(world.begin(1), image="h/p:1", digest="sha256:1"))
    hotfix = world.control.start(Wish(app="plate-web", environment="stg", image="hotfix", actor="mina"))
    health = world.until(hotfix, StageName.HEALTH, image="h/p:hotfix", digest="sha256:f")
    degraded: Fact = Reported(stage=StageName.HEALTH, outcome=Fail(reason=Reason.DEGRADED))
    assert (world.done(health) if healthy else world.one.report(health, degraded, "build")) is None
    assert world.run(hotfix).state is (RunState.SUCCEEDED if healthy else RunState.FAILED)

    back = world.run(world.control.rollback("plate-web", "stg", "mina", None))

    assert (back.image, back.digest) == ("h/p:1", "sha256:1")
    world.finish(world.begin(back.id))
    if healthy:
        forth = world.run(world.control.rollback("plate-web", "stg", "mina", None))
        assert (forth.image, forth.digest) == ("h/p:hotfix", "sha256:f")


def test_an_image_without_a_source_hides_no_commit_from_the_order(world: Workshop) -> None:
    world.push(1)
    world.finish(world.begin(1))
    hotfix = world.control.start(Wish(app="plate-web", environment="stg", image="hotfix"))
    world.finish(world.begin(hotfix))
    world.push(2)
    assert world.begin(3).rivals == (
        Rival(run=1, commit=f"{1:040x}", ref="refs/heads/main", landed=True, begun=True),
    )


def test_a_run_that_is_named_is_found_however_many_came_after_it(
    world: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.runs.MAX_PAGE", 1)
    two_places(world)
    for number in (1, 2):
        (run,) = world.push(number)["runs"]
        world.finish(world.done(world.begin(run), image=f"h/p:{number}", digest=f"sha256:{number}"))
    world.finish(world.begin(4))
    assert world.run(world.control.rollback("plate-web", "stg", "mina", 1)).digest == "sha256:1"
    assert world.run(world.control.promote("plate-web", "prod", "mina", 1)).digest == "sha256:1"
    with pytest.raises(NotPossible, match="run 4 has not been proven in plate-web/stg"):
        world.control.rollback("plate-web", "stg", "mina", 4)
    with pytest.raises(NotPossible, match="run 4 has not succeeded in plate-web/stg"):
        world.control.promote("plate-web", "prod", "mina", 4)


def test_there_must_be_something_to_roll_back_to(world: Workshop) -> None:
    with pytest.raises(NotPossible, match="nothing else was proven yet"):
        world.control.rollback("plate-web", "stg", "mina", None)
    with pytest.raises(NotPossible, match="run 9 has not been proven"):
        world.control.rollback("plate-web", "stg", "mina", 9)
