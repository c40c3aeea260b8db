"""How workers take runs, lose them, and go on."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.domain.changes import Batch, Change
from orchestrator.domain.errors import LeaseLost
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, RunState, StageName
from orchestrator.engine.facts import Reported, Troubled
from orchestrator.services.commits import Commits
from orchestrator.services.execution import ROLLOUT, Execution
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import changes, claims, logs, wakes
from orchestrator.store.database import now
from tests.support.databases import postgres_database
from tests.support.executing import QUIET, SetClocks, Workshop
from tests.support.factories import make_app, make_environment, make_settings
from workers.shell import append_to


def test_a_run_goes_through_all_stages_to_success(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    run = workshop.run(1)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.HEALTHY)
    assert workshop.due() == set()


def test_only_one_worker_gets_a_run(workshop: Workshop) -> None:
    workshop.push(1)
    assert workshop.one.begin(1, "build") is not None
    assert workshop.two.begin(1, "build") is None


def test_a_worker_whose_run_another_one_has_writes_no_more_of_its_log(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    workshop.push(1)
    lost = workshop.one.begin(1, "build")
    assert lost is not None
    set_clocks(3600)
    workshop.reconcile.expired_leases()
    taken = workshop.two.begin(1, "build")
    assert taken is not None

    append_to(workshop.database, lost)(["late"])
    append_to(workshop.database, taken)(["in time"])

    with workshop.database.read() as connection:
        assert [line.text for line in logs.read(connection, 1)] == ["in time"]


@pytest.mark.parametrize("sign", ["\0", "\ud800"])
def test_what_no_database_takes_keeps_no_run_from_its_end(workshop: Workshop, sign: str) -> None:
    """The words of a service may hold half a pair of surrogates, which JSON can spell, or a NUL."""
    workshop.push(1)
    title = Reported(stage=StageName.CHECK, outcome=Done(outputs={"title": f"a{sign}b"}))
    build = workshop.one.report(workshop.begin(1), title, "build")
    assert build is not None
    said = Fail(reason=Reason.BUILD_FAILED, detail=f"c{sign}d")
    workshop.one.report(build, Reported(stage=build.stage, outcome=said), "build")
    run = workshop.run(1)
    assert (run.state, run.title, run.detail) == (RunState.FAILED, "a?b", "c?d")
    assert run.stage(StageName.BUILD).detail == "c?d"


def test_a_deploy_worker_leaves_image_work_to_the_build_pool(workshop: Workshop) -> None:
    workshop.push(1)
    check = workshop.one.begin(1, "deploy")
    assert check is not None
    assert workshop.one.report(check, Reported(stage=check.stage, outcome=Done()), "deploy") is None
    with workshop.database.write() as connection:
        assert wakes.take_due(connection, now()) == [(1, "build")]
    build = workshop.two.begin(1, "build")
    assert build is not None
    assert build.stage is StageName.BUILD


def test_a_worker_of_both_pools_goes_on_with_the_image_without_the_way_through_the_broker(workshop: Workshop) -> None:
    workshop.push(1)
    check = workshop.one.begin(1, "deploy", lambda: True)
    assert check is not None
    build = workshop.one.report(check, Reported(stage=check.stage, outcome=Done()), "deploy", lambda: True)
    assert build is not None
    assert build.stage is StageName.BUILD
    assert workshop.due() == set()


def test_what_a_worker_says_after_its_lease_was_taken_is_not_written(workshop: Workshop) -> None:
    workshop.push(1)
    stale = workshop.begin(1)
    with workshop.database.write() as connection:
        claims.release(connection, 1)
    current = workshop.two.begin(1, "build")
    assert current is not None
    with pytest.raises(LeaseLost):
        workshop.done(stale)
    assert workshop.run(1).current is not None
    assert not workshop.one.heartbeat(stale)
    assert workshop.two.heartbeat(current)


def test_a_vanished_worker_s_run_is_taken_back_and_goes_on(workshop: Workshop, set_clocks: SetClocks) -> None:
    workshop.push(1)
    workshop.until(1, StageName.BUILD)
    assert workshop.reconcile.expired_leases() == []
    set_clocks(claims.LEASE + 1)
    assert workshop.reconcile.expired_leases() == [1]
    run = workshop.run(1)
    assert (run.state, run.reason) == (RunState.WAITING, Reason.RETRYING)
    again = workshop.begin(1)
    assert (again.stage, again.run.outputs["crashes"]) == (StageName.BUILD, 1)


def test_workers_that_outlive_an_outage_of_the_database_keep_their_runs(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    """Leases last 20 seconds, and a database that is taken over by its standby is away for longer."""
    wall = iter((0.0, 40.0, 45.0, 50.0, 50.0)).__next__
    reconcile = Reconcile(workshop.database, workshop.settings, wall=wall)
    workshop.push(1)
    workshop.push(2)
    lives = workshop.begin(1)
    workshop.begin(2)
    assert reconcile.expired_leases() == []
    set_clocks(40)
    assert reconcile.expired_leases() == [], "the database is back"
    assert workshop.one.heartbeat(lives)
    assert reconcile.expired_leases() == []
    set_clocks(50)
    assert reconcile.expired_leases() == [2], "its worker had its time"


def test_a_push_by_a_worker_that_had_to_build_the_image_again_is_tried_again(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    """The one that built it was told to stop, and the image is in its engine."""
    workshop.push(1)
    push = workshop.until(1, StageName.PUSH)
    set_clocks(40 * 60)
    trouble = Troubled(stage=StageName.PUSH, reason=Reason.REGISTRY_UNAVAILABLE, detail="503")
    workshop.one.report(push, trouble, "build")
    assert workshop.run(1).reason is Reason.RETRYING


def test_a_machine_that_was_off_for_hours_goes_on_before_its_services_are_back(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    workshop.push(1)
    workshop.until(1, StageName.PUSH)
    set_clocks(3 * 3600)
    assert workshop.reconcile.expired_leases() == [1]
    again = workshop.begin(1)
    trouble = Troubled(stage=StageName.PUSH, reason=Reason.REGISTRY_UNAVAILABLE, detail="it starts")
    workshop.one.report(again, trouble, "build")
    run = workshop.run(1)
    assert (run.state, run.reason) == (RunState.WAITING, Reason.RETRYING)


def without_apps(workshop: Workshop) -> Execution:
    return Execution(workshop.database, make_settings(str(workshop.settings.state_dir), apps=()), QUIET, "worker-old")


def test_a_run_of_an_app_that_some_workers_do_not_have_yet_waits_for_one_that_has(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    """While a new configuration is rolled out, the web takes hooks for apps that the old workers do not know."""
    workshop.push(1)
    old = without_apps(workshop)
    assert old.begin(1, "build") is None
    run = workshop.run(1)
    assert (run.state, run.reason, run.started_at) == (RunState.WAITING, Reason.APP_REMOVED, None)
    assert "waiting up to 5 minutes for a worker that has it" in run.detail
    assert workshop.due() == set(), "not at once"
    set_clocks(11)
    assert workshop.due() == {1}
    set_clocks(ROLLOUT - 1)
    assert old.begin(1, "build") is None
    workshop.finish(workshop.begin(1))
    assert workshop.run(1).state is RunState.SUCCEEDED


def test_a_worker_that_knows_the_app_ends_the_wait_for_one(workshop: Workshop, set_clocks: SetClocks) -> None:
    """While two configurations are about, workers of both look at a run in turn."""
    workshop.push(1)
    old = without_apps(workshop)
    health = workshop.until(1, StageName.HEALTH)
    workshop.wait(health)
    started = workshop.run(1).stage(StageName.HEALTH).started_at
    assert old.begin(1, "build") is None
    workshop.wait(workshop.begin(1))
    set_clocks(ROLLOUT + 1)
    assert old.begin(1, "build") is None
    run = workshop.run(1)
    assert (run.reason, run.stage(StageName.HEALTH).started_at) == (Reason.APP_REMOVED, started)
    assert run.state is RunState.WAITING


def test_an_environment_that_left_the_configuration_fails_its_runs_after_some_minutes(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    workshop.push(1)
    old = without_apps(workshop)
    assert old.begin(1, "build") is None
    set_clocks(ROLLOUT + 1)
    assert old.begin(1, "build") is None
    run = workshop.run(1)
    assert (run.state, run.reason, run.detail) == (RunState.FAILED, Reason.APP_REMOVED, "plate-web/stg")
    assert workshop.due() == set()


def test_a_run_that_nothing_would_wake_is_found(workshop: Workshop) -> None:
    for number in (1, 2, 3):
        workshop.push(number)
    workshop.until(1, StageName.COMMIT)
    workshop.done(workshop.begin(2))
    with workshop.database.write() as connection:
        wakes.drop(connection, 3)
    assert workshop.reconcile.stranded() == [3], "one has a worker, one waits for it"
    assert workshop.due() == {3}


@pytest.mark.parametrize("woken", [True, False], ids=["", "written down by an older version"])
@pytest.mark.parametrize("wait", [Reason.ON_HOLD, Reason.AWAITING_APPROVAL])
def test_a_run_that_waits_for_a_person_ends_when_its_environment_has_left_the_configuration(
    workshop: Workshop, set_clocks: SetClocks, wait: Reason, woken: bool
) -> None:
    environment = make_environment("stg", approval=wait is Reason.AWAITING_APPROVAL)
    workshop.use(make_settings(workshop.settings.state_dir, apps=(make_app(environments=(environment,)),)))
    if wait is Reason.ON_HOLD:
        workshop.control.hold("plate-web", "stg", "freeze", "mina")
    workshop.push(1)
    workshop.done(workshop.begin(1))
    assert workshop.run(1).reason is wait
    assert workshop.due() == set()
    if not woken:
        with workshop.database.write() as connection:
            wakes.drop(connection, 1)
        assert workshop.reconcile.stranded() == []
    set_clocks(3601)
    assert workshop.due() == {1}
    left = without_apps(workshop)
    for later in (3601, 3602 + ROLLOUT):
        set_clocks(later)
        assert left.begin(1, "build") is None
    run = workshop.run(1)
    assert (run.state, run.reason, run.detail) == (RunState.FAILED, Reason.APP_REMOVED, "plate-web/stg")


def test_a_run_that_waited_for_such_a_worker_still_waits_for_its_turn(workshop: Workshop) -> None:
    for number in (1, 2):
        workshop.push(number)
    workshop.until(1, StageName.COMMIT)
    checked = workshop.begin(2)
    assert workshop.one.report(checked, Reported(stage=checked.stage, outcome=Done()), "deploy") is None
    assert without_apps(workshop).begin(2, "build") is None
    assert workshop.one.begin(2, "build") is None
    assert (workshop.run(2).reason, workshop.run(2).blocked_by) == (Reason.BEHIND_RUN, 1)


@pytest.mark.parametrize("wrong", [-25.0, 3600.0])
def test_a_worker_whose_clock_is_wrong_keeps_its_run_and_its_branch(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    with postgres_database(postgres_url) as database:
        workshop = Workshop(database, tmp_path)
        run = workshop.push(1)["runs"][0]
        with monkeypatch.context() as there:
            there.setattr("orchestrator.services.execution.clock", lambda: time.time() + wrong)
            there.setattr("orchestrator.services.commits.clock", lambda: time.time() + wrong)
            clocks = SimpleNamespace(time=lambda: time.time() + wrong, monotonic=time.monotonic)
            there.setattr("orchestrator.store.database.time", clocks)
            assignment = workshop.one.begin(run, "build")
            assert assignment is not None
            assert workshop.one.heartbeat(assignment)
            assert isinstance(Commits(database, QUIET, "gitops#main", "one").submit(change_of(run)), Batch)
        assert workshop.reconcile.expired_leases() == []
        with database.write() as connection:
            assert not changes.become_writer(connection, "gitops#main", "two", now())
            assert not claims.held(connection, run, now() + claims.LEASE + 1), "nor does it keep it for longer"


def change_of(run: int) -> Change:
    return Change(run=run, file="f", edits=(), message="m", trailers=(), date=1)


def test_a_clock_that_was_ahead_holds_no_run_back(workshop: Workshop, set_clocks: SetClocks) -> None:
    set_clocks(7200)
    run = workshop.push(1)["runs"][0]
    set_clocks(0)
    assert workshop.due() == set()
    assert workshop.reconcile.too_far() == [run]
    assert workshop.due() == {run}
    assert workshop.reconcile.too_far() == []
    set_clocks(7200)
    workshop.reconcile.due_wakes()
    set_clocks(0)
    assert workshop.reconcile.too_far() == [run], "it was published in the future"


def test_a_worker_that_vanished_when_the_clock_was_ahead_is_missed_after_20_s(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    set_clocks(3600)
    run = workshop.push(1)["runs"][0]
    lives = workshop.begin(run)
    set_clocks(0)
    assert workshop.reconcile.expired_leases() == []
    assert workshop.one.heartbeat(lives), "one that lives keeps it"
    set_clocks(claims.LEASE + 1)
    assert workshop.reconcile.expired_leases() == [run]


def test_a_writer_that_vanished_when_the_clock_was_ahead_is_followed(workshop: Workshop) -> None:
    with workshop.database.write() as connection:
        assert changes.become_writer(connection, "gitops#main", "one", now() + 3600)
        assert changes.become_writer(connection, "gitops#main", "two", now())
        assert not changes.become_writer(connection, "gitops#main", "three", now())


def test_a_head_that_was_seen_when_the_clock_was_ahead_knows_nothing_better(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    app = workshop.settings.apps[0]
    set_clocks(3600)
    workshop.polled(app, "main", "a" * 40)
    set_clocks(0)
    assert len(workshop.polled(app, "main", "b" * 40)) == 1
