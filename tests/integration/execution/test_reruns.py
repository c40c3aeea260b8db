"""A re-run is of the kind of the run that it repeats: who wanted it, which image it brings, whether it is built."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Run, RunState, StageName, Trigger
from orchestrator.engine.facts import Reported
from orchestrator.services.control import Wish
from tests.support.executing import Workshop, two_places

COMMIT = f"{1:040x}"
BUILT = {"commit": COMMIT, "image": "h/p:sha-1", "digest": "sha256:b"}
GIVEN = {"image": "h/p:v1", "digest": "sha256:9"}


def push(world: Workshop) -> int:
    world.push(1)
    return 1


def manual(world: Workshop) -> int:
    return world.control.start(Wish(app="plate-web", environment="stg", commit=COMMIT))


def branch(world: Workshop) -> int:
    return world.control.start(Wish(app="plate-web", environment="stg", ref="main"))


def image(world: Workshop) -> int:
    return world.control.start(Wish(app="plate-web", environment="stg", image="v1"))


def promotion(world: Workshop) -> int:
    two_places(world)
    world.push(1)
    world.finish(world.done(world.begin(1), **GIVEN))
    return 2


def rollback(world: Workshop) -> int:
    for number, proven in ((1, GIVEN), (2, {"image": "h/p:2", "digest": "sha256:2"})):
        world.push(number)
        world.finish(world.done(world.begin(number), **proven))
    return world.control.rollback("plate-web", "stg", "mina", None)


Kind = Callable[[Workshop], int]
BY_NAME, NAMED, BOTH, NOTHING = ("h/p:sha-1", ""), ("h/p:v1", ""), ("h/p:v1", "sha256:9"), ("", "")
"""An image of a commit goes by its name, for it may be built again; with a digest, nothing is ever built."""
KINDS: dict[Kind, tuple[bool, dict[str, str]]] = {
    push: (False, BUILT),
    manual: (True, BUILT),
    branch: (True, BUILT),
    image: (True, GIVEN),
    promotion: (True, GIVEN),
    rollback: (True, GIVEN),
}
"""Whether a person insists on the commit, and what the run proves before it fails."""
WAYS = (("",), ("", ""), ("start",), ("build",), ("build", ""), ("commit",))
IMAGES: dict[Kind, tuple[tuple[str, str], ...]] = {
    push: (BY_NAME, BY_NAME, BY_NAME, NOTHING, BY_NAME, BY_NAME),
    manual: (BY_NAME, BY_NAME, BY_NAME, NOTHING, BY_NAME, BY_NAME),
    branch: (BY_NAME, BY_NAME, BY_NAME, NOTHING, BY_NAME, BY_NAME),
    image: (BOTH, BOTH, BOTH, NAMED, BOTH, BOTH),
    promotion: (BOTH, BOTH, BOTH, BOTH, BOTH, BOTH),
    rollback: (BOTH, BOTH, BOTH, BOTH, BOTH, BOTH),
}
"""Image and digest of the re-run, for each way to repeat a run."""


def fail(world: Workshop, run_id: int, stage: StageName = StageName.SYNC, **outputs: Any) -> bool:
    """Have a run end at a stage, after others have told `outputs`; return whether a person insists on its commit."""
    at, insists = world.begin(run_id), set()
    while at.stage is not stage:
        insists |= {at.insists} if at.stage in (StageName.CHECK, StageName.COMMIT) else set()
        following = world.done(at, **outputs)
        assert following is not None
        at = following
    no = Reported(stage=stage, outcome=Fail(reason=Reason.SYNC_FAILED))
    assert world.one.report(at, no, "build") is None
    assert world.run(run_id).state is RunState.FAILED
    return insists == {True}


def again(world: Workshop, run_id: int, from_stage: str = "") -> Run:
    return world.run(world.control.rerun(run_id, "mina", from_stage))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_a_re_run_takes_over(world: Workshop, kind: Kind) -> None:
    (insists, proven), first = KINDS[kind], kind(world)
    assert fail(world, first, **proven) is insists
    found = []
    for way in WAYS:
        run = world.run(first)
        for stage in way:
            run = again(world, run.id, stage)
            assert (run.trigger, run.rerun_of, run.commit) == (Trigger.RERUN, first, world.run(first).commit)
            assert fail(world, run.id, **proven) is insists
        found.append((run.image, run.digest))
    assert tuple(found) == IMAGES[kind]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_run_that_ended_before_its_commit_is_repeated_as_what_it_was(world: Workshop, kind: Kind) -> None:
    first = kind(world)
    fail(world, first, StageName.CHECK)
    run = again(world, first)
    assert (run.image, run.digest) == {image: ("v1", ""), promotion: BOTH, rollback: BOTH}.get(kind, NOTHING)
    assert world.begin(run.id).insists is KINDS[kind][0]


def test_a_branch_whose_commit_was_found_only_by_the_re_run_is_still_built(world: Workshop) -> None:
    first = branch(world)
    fail(world, first, StageName.CHECK)
    second = again(world, first)
    assert (second.ref, second.commit) == ("main", "")
    fail(world, second.id, **BUILT)
    third = again(world, second.id)
    assert (third.commit, third.image, third.digest) == (COMMIT, *BY_NAME)


@pytest.mark.parametrize("stage", ["", "start", "commit"])
def test_an_image_that_was_to_be_made_anew_is_made_anew_after_a_bad_check(world: Workshop, stage: str) -> None:
    first = push(world)
    fail(world, first, **BUILT)
    second = again(world, first, "build")
    fail(world, second.id, StageName.CHECK)
    third = again(world, second.id, stage)
    assert (third.image, third.from_stage) == ("", "build")
    fail(world, third.id, **BUILT)
    assert again(world, third.id, stage).from_stage == stage, "it has been made"
