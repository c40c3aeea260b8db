"""A re-run is of the kind of the run that it repeats: who wanted it, which image it brings, whether it is built."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Run, RunState, StageName, Trigger
from orchestrator.engine.facts import Reported
from orchestrator.services.control import ManualRun
from tests.support.executing import Workshop, two_environments

COMMIT = f"{1:040x}"
BUILT = {"commit": COMMIT, "image": "h/p:sha-1", "digest": "sha256:b"}
GIVEN = {"image": "h/p:v1", "digest": "sha256:9"}


def push(workshop: Workshop) -> int:
    workshop.push(1)
    return 1


def manual(workshop: Workshop) -> int:
    return workshop.control.start(ManualRun(app="plate-web", environment="stg", commit=COMMIT))


def branch(workshop: Workshop) -> int:
    return workshop.control.start(ManualRun(app="plate-web", environment="stg", ref="main"))


def image(workshop: Workshop) -> int:
    return workshop.control.start(ManualRun(app="plate-web", environment="stg", image="v1"))


def promotion(workshop: Workshop) -> int:
    two_environments(workshop)
    workshop.push(1)
    workshop.finish(workshop.done(workshop.begin(1), **GIVEN))
    return 2


def rollback(workshop: Workshop) -> int:
    for number, proven in ((1, GIVEN), (2, {"image": "h/p:2", "digest": "sha256:2"})):
        workshop.push(number)
        workshop.finish(workshop.done(workshop.begin(number), **proven))
    return workshop.control.rollback("plate-web", "stg", "mina", None)


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


def fail(workshop: Workshop, run_id: int, stage: StageName = StageName.SYNC, **outputs: Any) -> bool:
    """Have a run end at a stage, after others have told `outputs`; return whether a person insists on its commit."""
    at, insists = workshop.begin(run_id), set()
    while at.stage is not stage:
        insists |= {at.insists} if at.stage in (StageName.CHECK, StageName.COMMIT) else set()
        following = workshop.done(at, **outputs)
        assert following is not None
        at = following
    no = Reported(stage=stage, outcome=Fail(reason=Reason.SYNC_FAILED))
    assert workshop.one.report(at, no, "build") is None
    assert workshop.run(run_id).state is RunState.FAILED
    return insists == {True}


def again(workshop: Workshop, run_id: int, from_stage: str = "") -> Run:
    return workshop.run(workshop.control.rerun(run_id, "mina", from_stage))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_a_re_run_takes_over(workshop: Workshop, kind: Kind) -> None:
    (insists, proven), first = KINDS[kind], kind(workshop)
    assert fail(workshop, first, **proven) is insists
    found = []
    for way in WAYS:
        run = workshop.run(first)
        for stage in way:
            run = again(workshop, run.id, stage)
            assert (run.trigger, run.rerun_of, run.commit) == (Trigger.RERUN, first, workshop.run(first).commit)
            assert fail(workshop, run.id, **proven) is insists
        found.append((run.image, run.digest))
    assert tuple(found) == IMAGES[kind]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_run_that_ended_before_its_commit_is_repeated_as_what_it_was(workshop: Workshop, kind: Kind) -> None:
    first = kind(workshop)
    fail(workshop, first, StageName.CHECK)
    run = again(workshop, first)
    assert (run.image, run.digest) == {image: ("v1", ""), promotion: BOTH, rollback: BOTH}.get(kind, NOTHING)
    assert workshop.begin(run.id).insists is KINDS[kind][0]


def test_a_branch_whose_commit_was_found_only_by_the_re_run_is_still_built(workshop: Workshop) -> None:
    first = branch(workshop)
    fail(workshop, first, StageName.CHECK)
    second = again(workshop, first)
    assert (second.ref, second.commit) == ("main", "")
    fail(workshop, second.id, **BUILT)
    third = again(workshop, second.id)
    assert (third.commit, third.image, third.digest) == (COMMIT, *BY_NAME)


@pytest.mark.parametrize("stage", ["", "start", "commit"])
def test_an_image_that_was_to_be_made_anew_is_made_anew_after_a_bad_check(workshop: Workshop, stage: str) -> None:
    first = push(workshop)
    fail(workshop, first, **BUILT)
    second = again(workshop, first, "build")
    fail(workshop, second.id, StageName.CHECK)
    third = again(workshop, second.id, stage)
    assert (third.image, third.from_stage) == ("", "build")
    fail(workshop, third.id, **BUILT)
    assert again(workshop, third.id, stage).from_stage == stage, "it has been made"
