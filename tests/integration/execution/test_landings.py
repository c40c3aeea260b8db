"""Which change is the newest in Git, whatever the clocks say."""

import pytest
from sqlalchemy import select, update

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.control import ManualRun
from orchestrator.services.queries import Queries
from orchestrator.services.views import View
from orchestrator.store import figures, runs
from orchestrator.store.database import now
from orchestrator.store.schema import stages
from tests.support.executing import Workshop, two_environments
from tests.support.factories import make_app, make_environment, make_settings

STG = ("plate-web", "stg")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds by which the clock of the next worker differs."""
    wrong = [0.0]
    monkeypatch.setattr("orchestrator.services.execution.clock", lambda: now() + wrong[0])
    return wrong


def land(workshop: Workshop, number: int) -> int:
    """Push a commit and deploy it."""
    run_id = int(workshop.push(number)["runs"][0])
    told = {"digest": f"sha256:{number}", "image": f"h/p:sha-{number}", "commit": f"{number:040x}"}
    workshop.finish(workshop.done(workshop.until(run_id, StageName.HEALTH, **told), **told))
    return run_id


def newest(workshop: Workshop) -> set[int | None]:
    """Ask in every way which run's change is the newest in Git of stg."""
    with workshop.database.read() as connection:
        here, standing = runs.landed(connection, *STG), figures.standings(connection, [STG])[STG]
    return {run.id if run else None for run in (here, standing.landed, standing.judged)}


def forget_number(workshop: Workshop, run_id: int) -> None:
    """Leave a landing as an older version does, that runs beside this one."""
    where = (stages.c.run_id == run_id) & (stages.c.name == "commit")
    with workshop.database.write() as connection:
        connection.execute(update(stages).where(where).values(landing=None))


def numbers(workshop: Workshop) -> dict[int, int | None]:
    wanted = select(stages.c.run_id, stages.c.landing).where(stages.c.name == "commit")
    with workshop.database.read() as connection:
        return {row.run_id: row.landing for row in connection.execute(wanted)}


def test_a_clock_that_is_behind_hides_no_landing(workshop: Workshop, clock: list[float]) -> None:
    first = land(workshop, 5)
    clock[0] = -3600.0
    second = land(workshop, 9)
    assert newest(workshop) == {second}
    older = workshop.begin(workshop.push(7, before=6)["runs"][0])
    assert [(rival.run, rival.landed) for rival in older.rivals] == [(second, True)]
    target = Queries(workshop.database, workshop.settings).rollback_target(*STG)
    assert target is not None
    assert target["run"] == first


def test_what_an_older_version_landed_without_a_number_is_newer_than_what_has_one(
    workshop: Workshop, clock: list[float]
) -> None:
    land(workshop, 1)
    clock[0] = -60.0
    second = land(workshop, 2)
    forget_number(workshop, second)
    assert newest(workshop) == {second}
    clock[0] = -120.0
    third = land(workshop, 3)
    assert newest(workshop) == {third}
    assert numbers(workshop) == {1: 1, second: 2, third: 3}


def test_what_fails_is_taken_back_to_what_landed_last(workshop: Workshop, clock: list[float]) -> None:
    stg = make_environment("stg", rollback=True)
    workshop.use(make_settings(workshop.settings.state_dir, apps=(make_app(environments=(stg,)),)))
    land(workshop, 1)
    clock[0] = -3600.0
    land(workshop, 2)
    workshop.push(3)
    health = workshop.until(3, StageName.HEALTH, digest="sha256:3", image="h/p:sha-3")
    degraded = Reported(stage=StageName.HEALTH, outcome=Fail(reason=Reason.DEGRADED))
    assert workshop.one.report(health, degraded, "build") is None
    assert workshop.run(4).digest == "sha256:2"


def test_what_was_approved_late_is_what_was_proven_last(workshop: Workshop) -> None:
    stg, prod = make_environment("stg", approval=True), make_environment("prod", branch="", promote_from="stg")
    workshop.use(make_settings(workshop.settings.state_dir, apps=(make_app(environments=(stg, prod)),)))
    late, early, last = (
        workshop.control.start(ManualRun(app="plate-web", environment="stg", commit=f"{number:040x}"))
        for number in (1, 2, 3)
    )
    for run_id in (early, late):
        workshop.control.approve(run_id, "mina")
        told = {"digest": f"sha256:{run_id}", "image": f"h/p:{run_id}"}
        workshop.finish(workshop.done(workshop.until(run_id, StageName.HEALTH, **told), **told))
    queries = Queries(workshop.database, workshop.settings)
    assert run_of(queries.promotion_target(*STG)) == late
    assert run_of(queries.rollback_target(*STG)) == early
    (app,) = queries.apps()
    assert (run_of(app["environments"][0]["deployed"]), newest(workshop)) == (late, {late})
    workshop.control.approve(last, "mina")
    workshop.until(last, StageName.HEALTH, digest="sha256:3", image="h/p:3")
    assert run_of(queries.rollback_target(*STG)) == late


def run_of(view: View | None) -> int | None:
    return None if view is None else int(view["run"])


def test_a_landing_numbers_no_other_environment(workshop: Workshop) -> None:
    two_environments(workshop, approval=True)
    first = land(workshop, 1)
    forget_number(workshop, first)
    workshop.control.approve(2, "mina")
    workshop.finish(workshop.begin(2))
    assert numbers(workshop) == {first: None, 2: 1}
