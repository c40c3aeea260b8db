"""How workers take runs, lose them, and go on."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.domain.changes import Batch, Change
from orchestrator.domain.errors import LeaseLost
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, RunState, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.commits import Commits
from orchestrator.services.execution import ROLLOUT, Execution
from orchestrator.store import changes, claims, logs, wakes
from orchestrator.store.database import now
from tests.support.databases import postgres_database
from tests.support.executing import QUIET, SetClocks, Workshop
from tests.support.factories import make_app, make_environment, make_settings
from workers.shell import append_to


def test_a_run_goes_through_all_stages_to_success(world: Workshop) -> None:
    world.push(1)
    world.finish(world.begin(1))
    run = world.run(1)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.HEALTHY)
    assert world.due() == set()


def test_only_one_worker_gets_a_run(world: Workshop) -> None:
    world.push(1)
    assert world.one.begin(1, "build") is not None
    assert world.two.begin(1, "build") is None


def test_a_worker_whose_run_another_one_has_writes_no_more_of_its_log(world: Workshop, set_clocks: SetClocks) -> None:
    world.push(1)
    lost = world.one.begin(1, "build")
    assert lost is not None
    set_clocks(3600)
    world.reconcile.expired_leases()
    taken = world.two.begin(1, "build")
    assert taken is not None

    append_to(world.database, lost)(["late"])
    append_to(world.database, taken)(["in time"])

    with world.database.read() as connection:
        assert [line.text for line in logs.read(connection, 1)] == ["in time"]


def test_a_deploy_worker_leaves_image_work_to_the_build_pool(world: Workshop) -> None:
    world.push(1)
    check = world.one.begin(1, "deploy")
    assert check is not None
    assert world.one.report(check, Reported(stage=check.stage, outcome=Done()), "deploy") is None
    with world.database.write() as connection:
        assert wakes.take_due(connection, now()) == [(1, "build")]
    build = world.two.begin(1, "build")
    assert build is not None
    assert build.stage is StageName.BUILD


def test_a_worker_of_both_pools_goes_on_with_the_image_without_the_way_through_the_broker(world: Workshop) -> None:
    world.push(1)
    check = world.one.begin(1, "deploy", lambda: True)
    assert check is not None
    build = world.one.report(check, Reported(stage=check.stage, outcome=Done()), "deploy", lambda: True)
    assert build is not None
    assert build.stage is StageName.BUILD
    assert world.due() == set()


def test_what_a_worker_says_after_its_lease_was_taken_is_not_written(world: Workshop) -> None:
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


def test_a_vanished_worker_s_run_is_taken_back_and_goes_on(world: Workshop, set_clocks: SetClocks) -> None:
    world.push(1)
    world.until(1, StageName.BUILD)
    assert world.reconcile.expired_leases() == []
    set_clocks(claims.LEASE + 1)
    assert world.reconcile.expired_leases() == [1]
    run = world.run(1)
    assert (run.state, run.reason) == (RunState.WAITING, Reason.RETRYING)
    again = world.begin(1)
    assert (again.stage, again.run.outputs["crashes"]) == (StageName.BUILD, 1)


def without_apps(world: Workshop) -> Execution:
    return Execution(world.database, make_settings(str(world.settings.state_dir), apps=()), QUIET, "worker-old")


def test_a_run_of_an_app_that_some_workers_do_not_have_yet_waits_for_one_that_has(
    world: Workshop, set_clocks: SetClocks
) -> None:
    """While a new configuration is rolled out, the web takes hooks for apps that the old workers do not know."""
    world.push(1)
    old = without_apps(world)
    assert old.begin(1, "build") is None
    run = world.run(1)
    assert (run.state, run.reason, run.started_at) == (RunState.WAITING, Reason.APP_REMOVED, None)
    assert "waiting up to 5 minutes for a worker that has it" in run.detail
    assert world.due() == set(), "not at once"
    set_clocks(11)
    assert world.due() == {1}
    set_clocks(ROLLOUT - 1)
    assert old.begin(1, "build") is None
    world.finish(world.begin(1))
    assert world.run(1).state is RunState.SUCCEEDED


def test_a_worker_that_knows_the_app_ends_the_wait_for_one(world: Workshop, set_clocks: SetClocks) -> None:
    """While two configurations are about, workers of both look at a run in turn."""
    world.push(1)
    old = without_apps(world)
    health = world.until(1, StageName.HEALTH)
    world.wait(health)
    started = world.run(1).stage(StageName.HEALTH).started_at
    assert old.begin(1, "build") is None
    world.wait(world.begin(1))
    set_clocks(ROLLOUT + 1)
    assert old.begin(1, "build") is None
    run = world.run(1)
    assert (run.reason, run.stage(StageName.HEALTH).started_at) == (Reason.APP_REMOVED, started)
    assert run.state is RunState.WAITING


def test_an_environment_that_left_the_configuration_fails_its_runs_after_some_minutes(
    world: Workshop, set_clocks: SetClocks
) -> None:
    world.push(1)
    old = without_apps(world)
    assert old.begin(1, "build") is None
    set_clocks(ROLLOUT + 1)
    assert old.begin(1, "build") is None
    run = world.run(1)
    assert (run.state, run.reason, run.detail) == (RunState.FAILED, Reason.APP_REMOVED, "plate-web/stg")
    assert world.due() == set()


def test_a_run_that_nothing_would_wake_is_found(world: Workshop) -> None:
    for number in (1, 2, 3):
        world.push(number)
    world.until(1, StageName.COMMIT)
    world.done(world.begin(2))
    with world.database.write() as connection:
        wakes.drop(connection, 3)
    assert world.reconcile.stranded() == [3], "one has a worker, one waits for it"
    assert world.due() == {3}


@pytest.mark.parametrize("woken", [True, False], ids=["", "written down by an older version"])
@pytest.mark.parametrize("wait", [Reason.ON_HOLD, Reason.AWAITING_APPROVAL])
def test_a_run_that_waits_for_a_person_ends_when_its_environment_has_left_the_configuration(
    world: Workshop, set_clocks: SetClocks, wait: Reason, woken: bool
) -> None:
    environment = make_environment("stg", approval=wait is Reason.AWAITING_APPROVAL)
    world.use(make_settings(world.settings.state_dir, apps=(make_app(environments=(environment,)),)))
    if wait is Reason.ON_HOLD:
        world.control.hold("plate-web", "stg", "freeze", "mina")
    world.push(1)
    world.done(world.begin(1))
    assert world.run(1).reason is wait
    assert world.due() == set()
    if not woken:
        with world.database.write() as connection:
            wakes.drop(connection, 1)
        assert world.reconcile.stranded() == []
    set_clocks(3601)
    assert world.due() == {1}
    left = without_apps(world)
    for later in (3601, 3602 + ROLLOUT):
        set_clocks(later)
        assert left.begin(1, "build") is None
    run = world.run(1)
    assert (run.state, run.reason, run.detail) == (RunState.FAILED, Reason.APP_REMOVED, "plate-web/stg")


def test_a_run_that_waited_for_such_a_worker_still_waits_for_its_turn(world: Workshop) -> None:
    for number in (1, 2):
        world.push(number)
    world.until(1, StageName.COMMIT)
    checked = world.begin(2)
    assert world.one.report(checked, Reported(stage=checked.stage, outcome=Done()), "deploy") is None
    assert without_apps(world).begin(2, "build") is None
    assert world.one.begin(2, "build") is None
    assert (world.run(2).reason, world.run(2).blocked_by) == (Reason.BEHIND_RUN, 1)


@pytest.mark.parametrize("wrong", [-25.0, 3600.0])
def test_a_worker_whose_clock_is_wrong_keeps_its_run_and_its_branch(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    with postgres_database(postgres_url) as database:
        world = Workshop(database, tmp_path)
        run = world.push(1)["runs"][0]
        with monkeypatch.context() as there:
            there.setattr("orchestrator.services.execution.clock", lambda: time.time() + wrong)
            there.setattr("orchestrator.services.commits.clock", lambda: time.time() + wrong)
            clocks = SimpleNamespace(time=lambda: time.time() + wrong, monotonic=time.monotonic)
            there.setattr("orchestrator.store.database.time", clocks)
            assignment = world.one.begin(run, "build")
            assert assignment is not None
            assert world.one.heartbeat(assignment)
            assert isinstance(Commits(database, QUIET, "gitops#main", "one").submit(change_of(run)), Batch)
        assert world.reconcile.expired_leases() == []
        with database.write() as connection:
            assert not changes.become_writer(connection, "gitops#main", "two", now())
            assert not claims.held(connection, run, now() + claims.LEASE + 1), "nor does it keep it for longer"


def change_of(run: int) -> Change:
    return Change(run=run, file="f", edits=(), message="m", trailers=(), date=1)


def test_a_clock_that_was_ahead_holds_no_run_back(world: Workshop, set_clocks: SetClocks) -> None:
    set_clocks(7200)
    run = world.push(1)["runs"][0]
    set_clocks(0)
    assert world.due() == set()
    assert world.reconcile.too_far() == [run]
    assert world.due() == {run}
    assert world.reconcile.too_far() == []
    set_clocks(7200)
    world.reconcile.due_wakes()
    set_clocks(0)
    assert world.reconcile.too_far() == [run], "it was published in the future"


def test_a_worker_that_vanished_when_the_clock_was_ahead_is_missed_after_20_s(
    world: Workshop, set_clocks: SetClocks
) -> None:
    set_clocks(3600)
    run = world.push(1)["runs"][0]
    lives = world.begin(run)
    set_clocks(0)
    assert world.reconcile.expired_leases() == []
    assert world.one.heartbeat(lives), "one that lives keeps it"
    set_clocks(claims.LEASE + 1)
    assert world.reconcile.expired_leases() == [run]


def test_a_writer_that_vanished_when_the_clock_was_ahead_is_followed(world: Workshop) -> None:
    with world.database.write() as connection:
        assert changes.become_writer(connection, "gitops#main", "one", now() + 3600)
        assert changes.become_writer(connection, "gitops#main", "two", now())
        assert not changes.become_writer(connection, "gitops#main", "three", now())


def test_a_head_that_was_seen_when_the_clock_was_ahead_knows_nothing_better(
    world: Workshop, set_clocks: SetClocks
) -> None:
    app = world.settings.apps[0]
    set_clocks(3600)
    world.polled(app, "main", "a" * 40)
    set_clocks(0)
    assert len(world.polled(app, "main", "b" * 40)) == 1
