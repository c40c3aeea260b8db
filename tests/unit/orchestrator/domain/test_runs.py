"""What a run knows of its stages."""

from dataclasses import replace

import pytest

from orchestrator.domain.runs import Run, Stage, StageName, StageState, Trigger
from tests.support.factories import NOW, later, make_run


def test_the_current_stage_is_the_first_that_is_not_over() -> None:
    assert make_run(at=StageName.COMMIT).current == make_run(at=StageName.COMMIT).stage(StageName.COMMIT)
    assert make_run(at=StageName.HEALTH, at_state=StageState.SUCCEEDED).current is None


def test_a_later_stages_word_counts() -> None:
    run = make_run()
    told = {StageName.BUILD: {"image": "a", "digest": "built"}, StageName.PUSH: {"digest": "pushed"}}
    stages = tuple(replace(stage, outputs=told.get(stage.name, {})) for stage in run.stages)

    assert replace(run, stages=stages).outputs == {"image": "a", "digest": "pushed"}


def test_what_is_not_over_has_taken_no_time_yet() -> None:
    begun = Stage(name=StageName.BUILD, started_at=NOW)
    run = make_run(created_at=NOW)

    assert (Stage(name=StageName.BUILD, finished_at=NOW).seconds, begun.seconds, run.seconds) == (None, None, None)
    assert replace(begun, finished_at=later(1.23456)).seconds == 1.235
    assert replace(run, finished_at=later(2.5)).seconds == 2.5


APPROVED = {"check": (0, 2), "build": (602, 612)}
"""Seconds at which the stages of a run began and ended that waited ten minutes for its approval."""


def run_of(ends: dict[str, tuple[float, float | None]], state: str = "running", ended: float | None = None) -> Run:
    """Make a run that was accepted at `NOW`."""
    run = make_run(created_at=NOW, finished_at=None if ended is None else later(ended))
    stages = []
    for stage in run.stages:
        begun, end = ends.get(stage.name, (None, None))
        over = StageState.SUCCEEDED if end is not None else StageState(state) if begun is not None else stage.state
        times = {"started_at": begun, "finished_at": end}
        stages.append(replace(stage, state=over, **{k: v if v is None else later(v) for k, v in times.items()}))
    return replace(run, stages=tuple(stages))


@pytest.mark.parametrize(
    ("run", "worked", "waited", "since"),
    [
        (run_of({}), 0, 0, 0),
        (run_of({"check": (5, None)}), 0, 5, None),
        (run_of({"check": (0, 2)}), 2, 0, 2),
        (run_of({"check": (1, 2)}), 1, 1, 2),
        (run_of({**APPROVED, "push": (612, None)}), 12, 600, None),
        (run_of({**APPROVED, "push": (612, None)}, "waiting"), 12, 600, None),
        (run_of(APPROVED), 12, 600, 612),
        (run_of({**APPROVED, "push": (612, 700)}, ended=700), 100, 600, None),
        (run_of({"check": (0, 2)}, ended=3602), 2, 3600, None),
        (run_of({"check": (-4, -1)}, ended=2), 3, 0, None),
    ],
    ids=[
        "just accepted", "waited for a worker", "waits at the gate", "has waited and waits", "goes on",
        "waits within its stage", "waits again", "is over", "was cancelled while it waited", "clocks that differ",
    ],
)  # fmt: skip
def test_work_and_waiting_are_told_apart(run: Run, worked: float, waited: float, since: float | None) -> None:
    assert (run.worked_seconds, run.waited_seconds) == (worked, waited)
    assert run.waits_since == (None if since is None else later(since))


def test_a_run_whose_stages_are_all_over_waits_for_nothing() -> None:
    run = make_run(StageName.HEALTH, StageState.SUCCEEDED, created_at=NOW)
    assert (run.waits_since, run.waited_seconds) == (None, 0)


def test_only_a_person_s_word_goes_before_the_order_of_commits() -> None:
    assert {trigger for trigger in Trigger if trigger.insists} == {"manual", "promotion", "rollback"}


IMAGE = "harbor.example.com/plate/web:sha-1"


@pytest.mark.parametrize(
    ("run", "makes", "is_making"),
    [
        (make_run(StageName.BUILD, image=IMAGE), True, False),
        (make_run(StageName.BUILD, StageState.RUNNING, image=IMAGE), True, True),
        (make_run(StageName.PUSH, image=IMAGE), True, True),
        (make_run(StageName.SCAN, image=IMAGE), True, False),
        (make_run(StageName.PUSH, image=IMAGE, digest="sha256:1"), False, False),
        (make_run(StageName.PUSH, image=IMAGE, commit=""), False, False),
        (make_run(StageName.PUSH), False, False),
    ],
)
def test_a_run_makes_its_image_until_the_registry_has_it(run: Run, makes: bool, is_making: bool) -> None:
    assert (run.makes_image, run.is_making) == (makes, is_making)


@pytest.mark.parametrize(
    ("trigger", "actor", "waits"),
    [
        (Trigger.PUSH, "mina", True),
        (Trigger.POLL, "", True),
        (Trigger.MANUAL, "mina", True),
        (Trigger.PROMOTION, "run 41", True),
        (Trigger.PROMOTION, "mina", False),
        (Trigger.ROLLBACK, "mina", False),
    ],
)
def test_a_run_waits_for_a_persons_word_unless_it_is_one(trigger: Trigger, actor: str, waits: bool) -> None:
    assert make_run(trigger=trigger, actor=actor).waits_for_a_word is waits
