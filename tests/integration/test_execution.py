"""Runs through the tables, without any foreign service: claims, places, order, retries, group commit of hooks."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import LeaseLost
from orchestrator.domain.events import Delivery, Push, RefChange, RefKind, RepoNames
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Run, RunState, StageName, Wait
from orchestrator.engine.facts import Fact, Reported, Stopped
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control, NotPossible, Wish
from orchestrator.services.execution import Assignment, Execution
from orchestrator.services.ingest import Ingest
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import changes, claims, runs, wakes
from orchestrator.store.database import Database, now
from tests.support.databases import postgres_database, postgres_url, sqlite_database
from tests.support.factories import make_app, make_environment, make_settings

__all__ = ["postgres_url"]

QUIET = Bell("")


class World:
    """One database with one app, and workers that a test moves by hand."""

    def __init__(self, database: Database, state_dir: Path) -> None:
        self.database = database
        self.use(make_settings(str(state_dir)))

    def use(self, settings: Settings) -> None:
        self.settings = settings
        self.ingest = Ingest(self.database, settings, QUIET)
        self.control = Control(self.database, settings, QUIET)
        self.reconcile = Reconcile(self.database, settings)
        self.one = Execution(self.database, settings, QUIET, "worker-1")
        self.two = Execution(self.database, settings, QUIET, "worker-2")

    def push(self, number: int, key: str = "", before: int | None = None, skip: str = "") -> dict[str, Any]:
        commit, old = f"{number:040x}", f"{number - 1 if before is None else before:040x}"
        change = RefChange(
            ref="refs/heads/main",
            kind=RefKind.BRANCH,
            name="main",
            before=old,
            after=commit,
            commit=commit,
            skip=skip,
        )
        names = RepoNames(full_name="acme/plate-web", urls=("https://git.example.com/acme/plate-web.git",))
        delivery = Delivery(hook="github", key=key or f"delivery-{number}")
        return dict(self.ingest.accept(delivery, Push(event="push", repo=names, changes=(change,))).body)

    def run(self, run_id: int) -> Run:
        with self.database.read() as connection:
            found = runs.load(connection, run_id)
        assert found is not None
        return found

    def begin(self, run_id: int) -> Assignment:
        assignment = self.one.begin(run_id, "build")
        assert assignment is not None
        return assignment

    def done(self, assignment: Assignment, **outputs: Any) -> Assignment | None:
        fact = Reported(stage=assignment.stage, outcome=Done(outputs=outputs))
        return self.one.report(assignment, fact, "build")

    def until(self, run_id: int, stage: StageName) -> Assignment:
        assignment: Assignment | None = self.begin(run_id)
        while assignment is not None and assignment.stage is not stage:
            assignment = self.done(assignment)
        assert assignment is not None
        return assignment

    def wait(self, assignment: Assignment, after: float | None = None) -> None:
        outcome = Wait(reason=Reason.PROGRESSING, after=after)
        assert self.one.report(assignment, Reported(stage=assignment.stage, outcome=outcome), "build") is None

    def finish(self, assignment: Assignment | None) -> None:
        while assignment is not None:
            assignment = self.done(assignment)

    def due(self) -> set[int]:
        return {run_id for run_id, _ in self.reconcile.due_wakes()}


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        database = sqlite_database(tmp_path)
        yield World(database, tmp_path)
        database.engine.dispose()
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as database:
            yield World(database, tmp_path)


def test_a_push_becomes_a_queued_run_that_is_due_at_once(world: World) -> None:
    answer = world.push(1)
    assert answer["runs"] == [1]
    assert world.run(1).state is RunState.QUEUED
    assert world.due() == {1}
    assert world.due() == set(), "published once, until a worker takes it or it counts as lost"


def test_a_delivery_that_comes_again_answers_with_the_same_run(world: World) -> None:
    first = world.push(1)
    again = world.push(1)
    other_hook = world.push(1, key="another-hook")
    assert again == {"delivery": first["delivery"], "duplicate": True, "runs": [1]}
    assert (other_hook["duplicate"], other_hook["runs"]) == (True, [1])
    assert world.push(1, key="another-hook")["runs"] == [1]


def test_going_back_to_an_earlier_commit_is_a_push_of_its_own(world: World) -> None:
    world.push(1)
    world.push(2)
    assert world.push(1, key="force-push", before=2)["runs"] == [3]


def test_fifty_deliveries_at_once_are_all_recorded_once(world: World) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(world.push(n // 2, key=f"key-{n // 2}")))
        for n in range(100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = [answer["runs"][0] for answer in answers if "duplicate" not in answer]
    assert sorted(fresh) == sorted(set(fresh))
    assert len(fresh) == 50
    assert len(answers) == 100


def test_a_run_goes_through_all_stages_to_success(world: World) -> None:
    world.push(1)
    world.finish(world.begin(1))
    run = world.run(1)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.HEALTHY)
    assert world.due() == set()


def test_only_one_worker_gets_a_run(world: World) -> None:
    world.push(1)
    assert world.one.begin(1, "build") is not None
    assert world.two.begin(1, "build") is None


def test_a_deploy_worker_leaves_image_work_to_the_build_pool(world: World) -> None:
    world.push(1)
    check = world.one.begin(1, "deploy")
    assert check is not None
    assert world.one.report(check, Reported(stage=check.stage, outcome=Done()), "deploy") is None
    with world.database.write() as connection:
        assert wakes.take_due(connection, now()) == [(1, "build")]
    build = world.two.begin(1, "build")
    assert build is not None
    assert build.stage is StageName.BUILD


def test_what_a_worker_says_after_its_lease_was_taken_is_not_written(world: World) -> None:
    world.push(1)
    stale = world.begin(1)
    with world.database.write() as connection:
        claims.release(connection, 1)
    current = world.two.begin(1, "build")
    assert current is not None
    with pytest.raises(LeaseLost):
        world.done(stale)
    assert world.run(1).current is not None
    assert not world.one.heartbeat(stale)
    assert world.two.heartbeat(current)


def test_a_vanished_worker_s_run_is_taken_back_and_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.push(1)
    world.until(1, StageName.BUILD)
    assert world.reconcile.expired_leases() == []
    monkeypatch.setattr("orchestrator.services.reconcile.clock", lambda: now() + claims.LEASE + 1)
    assert world.reconcile.expired_leases() == [1]
    run = world.run(1)
    assert (run.state, run.reason) == (RunState.WAITING, Reason.RETRYING)
    again = world.begin(1)
    assert (again.stage, again.run.outputs["crashes"]) == (StageName.BUILD, 1)


def test_a_newer_run_cuts_off_the_one_that_builds_but_not_the_one_that_cut_off(world: World) -> None:
    for number in (1, 2, 3):
        world.push(number)
    building = world.until(1, StageName.BUILD)
    second = world.until(2, StageName.BUILD)
    assert world.one.is_unwanted(building)
    world.one.report(building, Stopped(stage=StageName.BUILD), "build")
    assert (world.run(1).reason, world.run(1).superseded_by) == (Reason.SUPERSEDED, 2)
    third = world.begin(3)
    assert world.done(third) is None
    assert (world.run(3).reason, world.run(3).blocked_by) == (Reason.BEHIND_RUN, 2)
    world.finish(second)
    assert world.run(2).state is RunState.SUCCEEDED
    assert 3 in world.due()
    world.finish(world.begin(3))
    assert world.run(3).state is RunState.SUCCEEDED


def test_check_names_the_waiting_runs_that_it_overtakes(world: World) -> None:
    for number in (1, 2, 3):
        world.push(number)
    world.until(1, StageName.COMMIT)
    world.done(world.begin(2))
    assert world.run(2).reason is Reason.BEHIND_RUN
    third = world.begin(3)
    assert [rival.run for rival in third.rivals] == [2, 1]
    world.done(third, obsolete=[2])
    assert (world.run(2).state, world.run(2).superseded_by) == (RunState.CANCELLED, 3)
    assert world.run(3).reason is Reason.BEHIND_RUN, "run 1 is committing and is never cut off"


def test_a_broken_deploy_does_not_block_its_fix(world: World) -> None:
    world.push(1)
    world.wait(world.until(1, StageName.HEALTH))
    world.push(2)
    fix = world.until(2, StageName.COMMIT)
    assert world.run(1).state is RunState.WAITING, "not cut off before the fix has landed"
    health = world.done(fix)
    assert (world.run(1).state, world.run(1).superseded_by) == (RunState.CANCELLED, 2)
    world.finish(health)
    assert world.run(2).state is RunState.SUCCEEDED


def test_a_run_that_ended_another_s_proof_is_proven_itself(world: World) -> None:
    for number in (1, 2, 3):
        world.push(number)
    world.wait(world.until(1, StageName.HEALTH))
    second = world.until(2, StageName.HEALTH)
    world.wait(second)
    third = world.until(3, StageName.SCAN)
    assert world.done(third) is None
    assert (world.run(3).reason, world.run(3).blocked_by) == (Reason.BEHIND_RUN, 2)
    world.finish(world.begin(2))
    assert world.run(2).state is RunState.SUCCEEDED
    world.finish(world.begin(3))
    assert world.run(3).state is RunState.SUCCEEDED


def test_cancel_stops_a_waiting_run_at_once_and_a_working_one_at_its_next_checkpoint(world: World) -> None:
    world.push(1)
    world.wait(world.until(1, StageName.HEALTH))
    assert world.control.cancel(1, "mina").state is RunState.CANCELLED
    world.push(2)
    working = world.until(2, StageName.BUILD)
    assert world.control.cancel(2, "mina").state is RunState.RUNNING
    assert world.one.is_unwanted(working)
    world.one.report(working, Stopped(stage=StageName.BUILD), "build")
    assert world.run(2).detail == "cancelled by mina"


def test_a_hold_keeps_runs_waiting_until_it_is_released(world: World) -> None:
    world.control.hold("plate-web", "stg", "freeze", "mina")
    world.push(1)
    assert world.done(world.begin(1)) is None
    assert world.run(1).reason is Reason.ON_HOLD
    world.due()
    world.control.release("plate-web", "stg")
    assert world.due() == {1}
    world.finish(world.begin(1))
    assert world.run(1).state is RunState.SUCCEEDED


def test_an_environment_that_left_the_configuration_fails_its_runs(world: World) -> None:
    world.push(1)
    world.settings = make_settings(str(world.settings.state_dir), apps=())
    gone = Execution(world.database, world.settings, QUIET, "worker-1")
    assert gone.begin(1, "build") is None
    assert (world.run(1).state, world.run(1).reason) == (RunState.FAILED, Reason.APP_REMOVED)


def test_a_rerun_is_a_new_run_that_names_the_first(world: World) -> None:
    world.push(1)
    failed: Fact = Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.ARGOCD_FORBIDDEN))
    world.one.report(world.begin(1), failed, "build")
    again = world.control.rerun(1, "mina", "build")
    third = world.control.rerun(1, "mina") if world.run(again).state.final else None
    assert third is None
    run = world.run(again)
    assert (run.rerun_of, run.attempt, run.commit) == (1, 2, world.run(1).commit)
    assert run.from_stage == "build"


def test_a_head_that_moved_without_a_hook_becomes_a_run(world: World) -> None:
    app = world.settings.apps[0]
    assert world.reconcile.head_seen(app, "main", "1" * 40) == [], "the first look only remembers"
    assert world.reconcile.head_seen(app, "main", "1" * 40) == []
    assert world.reconcile.head_seen(app, "main", "2" * 40) == [1]
    assert world.run(1).trigger == "poll"
    world.push(3)
    assert world.reconcile.head_seen(app, "main", f"{3:040x}") == [], "the hook came after all"


def two_places(world: World, **prod: Any) -> None:
    """Configure prod behind stg."""
    stg, follows = make_environment("stg"), make_environment("prod", branch="", promote_from="stg", **prod)
    world.use(make_settings(world.settings.state_dir, apps=(make_app(environments=(stg, follows)),)))


def test_what_is_proven_in_one_environment_is_brought_to_the_next(world: World) -> None:
    two_places(world)
    world.push(1)
    check = world.begin(1)
    world.finish(world.done(check, image="h/p:t", digest="sha256:1"))
    promotion = world.run(2)
    assert (promotion.environment, promotion.trigger, promotion.digest) == ("prod", "promotion", "sha256:1")
    world.finish(world.begin(2))
    assert world.run(2).state is RunState.SUCCEEDED


def test_a_promotion_that_needs_approval_waits_for_it_and_gives_way_to_a_newer_one(world: World) -> None:
    two_places(world, approval=True)
    for number in (1, 2):
        world.push(number)
    world.finish(world.begin(1))
    assert world.done(world.begin(3)) is None
    assert world.run(3).reason is Reason.AWAITING_APPROVAL
    world.finish(world.begin(2))
    assert (world.run(3).state, world.run(3).superseded_by) == (RunState.CANCELLED, 4)
    assert world.done(world.begin(4)) is None
    world.control.approve(4, "mina")
    assert 4 in world.due()
    world.finish(world.begin(4))
    assert world.run(4).state is RunState.SUCCEEDED


def test_a_run_whose_change_is_being_pushed_is_cancelled_only_after_it_landed(world: World) -> None:
    world.push(1)
    world.wait(world.until(1, StageName.COMMIT))
    with world.database.write() as connection:
        changes.submit(connection, 1, "gitops#main", {}, now())
        changes.take_batch(connection, "gitops#main")
    assert world.control.cancel(1, "mina").state is RunState.WAITING
    assert world.done(world.begin(1), gitops_commit="c" * 40) is None
    run = world.run(1)
    assert (run.state, run.committed) == (RunState.CANCELLED, True)
    assert run.detail == "cancelled by mina after its change was committed"


def test_a_rollback_brings_back_the_image_before_as_a_new_run(world: World) -> None:
    for number in (1, 2):
        world.push(number)
        world.finish(world.done(world.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    run = world.run(world.control.rollback("plate-web", "stg", "mina", None))
    assert (run.trigger, run.image, run.digest, run.commit) == ("rollback", "h/p:1", "sha256:1", f"{1:040x}")
    world.finish(world.begin(run.id))
    back = world.run(world.control.rollback("plate-web", "stg", "mina", 2))
    assert back.digest == "sha256:2"


def test_there_must_be_something_to_roll_back_to(world: World) -> None:
    with pytest.raises(NotPossible, match="nothing else was proven yet"):
        world.control.rollback("plate-web", "stg", "mina", None)
    with pytest.raises(NotPossible, match="run 9 has not been proven"):
        world.control.rollback("plate-web", "stg", "mina", 9)


def test_a_push_found_by_the_poll_waits_for_approval_as_a_delivered_one_does(world: World) -> None:
    guarded = make_app(environments=(make_environment(approval=True),))

    world.reconcile.head_seen(guarded, "main", "1" * 40)
    (made,) = world.reconcile.head_seen(guarded, "main", "2" * 40)

    assert not world.run(made).approved


def test_a_manual_run_waits_for_approval_where_the_environment_asks_for_it(world: World) -> None:
    two_places(world, approval=True)
    wish = Wish(app="plate-web", environment="prod", ref="main", actor="mina")
    run_id = world.control.start(wish)
    assert world.done(world.begin(run_id)) is None
    assert world.run(run_id).reason is Reason.AWAITING_APPROVAL
    world.control.approve(run_id, "jun")
    world.finish(world.begin(run_id))
    assert world.run(world.control.rerun(run_id, "mina")).approved, "it was approved before"


def test_a_hook_that_comes_after_the_poll_leads_to_the_polled_run(world: World) -> None:
    app = world.settings.apps[0]
    world.reconcile.head_seen(app, "main", f"{1:040x}")
    assert world.reconcile.head_seen(app, "main", f"{2:040x}") == [1]
    late = world.push(2)
    assert (late["duplicate"], late["runs"]) == (True, [1])
    assert world.push(3)["runs"] == [2]
    assert world.push(2, key="back", before=3)["runs"] == [3], "back again is a push of its own"


def test_a_push_that_asks_to_be_skipped_is_not_deployed_by_the_poll_either(world: World) -> None:
    app = world.settings.apps[0]
    world.reconcile.head_seen(app, "main", f"{1:040x}")
    assert world.push(2, skip="[skip ci]")["ignored"] == "skip"
    assert world.reconcile.head_seen(app, "main", f"{2:040x}") == []
    assert world.reconcile.head_seen(app, "main", f"{3:040x}") == [1]
