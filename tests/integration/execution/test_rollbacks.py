"""A person goes back to an image that was proven, or names any run."""

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Rival, RunState, StageName
from orchestrator.engine.facts import Fact, Reported
from orchestrator.services.control import ManualRun, NotPossible
from tests.support.executing import Workshop, two_environments


def test_a_rollback_brings_back_the_image_before_as_a_new_run(workshop: Workshop) -> None:
    for number in (1, 2):
        workshop.push(number)
        workshop.finish(workshop.done(workshop.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    run = workshop.run(workshop.control.rollback("plate-web", "stg", "mina", None))
    assert (run.trigger, run.image, run.digest, run.commit) == ("rollback", "h/p:1", "sha256:1", f"{1:040x}")
    workshop.finish(workshop.begin(run.id))
    back = workshop.run(workshop.control.rollback("plate-web", "stg", "mina", 2))
    assert back.digest == "sha256:2"


@pytest.mark.parametrize("healthy", [True, False])
def test_what_is_rolled_back_may_be_an_image_without_a_source(workshop: Workshop, healthy: bool) -> None:
    workshop.push(1)
    workshop.finish(workshop.done(workshop.begin(1), image="h/p:1", digest="sha256:1"))
    hotfix = workshop.control.start(ManualRun(app="plate-web", environment="stg", image="hotfix", actor="mina"))
    health = workshop.until(hotfix, StageName.HEALTH, image="h/p:hotfix", digest="sha256:f")
    degraded: Fact = Reported(stage=StageName.HEALTH, outcome=Fail(reason=Reason.DEGRADED))
    assert (workshop.done(health) if healthy else workshop.one.report(health, degraded, "build")) is None
    assert workshop.run(hotfix).state is (RunState.SUCCEEDED if healthy else RunState.FAILED)

    back = workshop.run(workshop.control.rollback("plate-web", "stg", "mina", None))

    assert (back.image, back.digest) == ("h/p:1", "sha256:1")
    workshop.finish(workshop.begin(back.id))
    if healthy:
        forth = workshop.run(workshop.control.rollback("plate-web", "stg", "mina", None))
        assert (forth.image, forth.digest) == ("h/p:hotfix", "sha256:f")


def test_an_image_without_a_source_hides_no_commit_from_the_order(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    hotfix = workshop.control.start(ManualRun(app="plate-web", environment="stg", image="hotfix"))
    workshop.finish(workshop.begin(hotfix))
    workshop.push(2)
    assert workshop.begin(3).rivals == (
        Rival(run=1, commit=f"{1:040x}", ref="refs/heads/main", landed=True, begun=True),
    )


def test_a_run_that_is_named_is_found_however_many_came_after_it(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.runs.MAX_PAGE", 1)
    two_environments(workshop)
    for number in (1, 2):
        (run,) = workshop.push(number)["runs"]
        workshop.finish(workshop.done(workshop.begin(run), image=f"h/p:{number}", digest=f"sha256:{number}"))
    workshop.finish(workshop.begin(4))
    assert workshop.run(workshop.control.rollback("plate-web", "stg", "mina", 1)).digest == "sha256:1"
    assert workshop.run(workshop.control.promote("plate-web", "prod", "mina", 1)).digest == "sha256:1"
    with pytest.raises(NotPossible, match="run 4 has not been proven in plate-web/stg"):
        workshop.control.rollback("plate-web", "stg", "mina", 4)
    with pytest.raises(NotPossible, match="run 4 has not succeeded in plate-web/stg"):
        workshop.control.promote("plate-web", "prod", "mina", 4)


def test_there_must_be_something_to_roll_back_to(workshop: Workshop) -> None:
    with pytest.raises(NotPossible, match="nothing else was proven yet"):
        workshop.control.rollback("plate-web", "stg", "mina", None)
    with pytest.raises(NotPossible, match="run 9 has not been proven"):
        workshop.control.rollback("plate-web", "stg", "mina", 9)
