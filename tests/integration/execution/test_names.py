"""An app or environment that gets another name: its order of commits, its holds and its runs go along."""

from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from orchestrator.domain.apps import Settings
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, RunState, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services import names as renaming
from orchestrator.services.control import ManualRun, NotPossible
from orchestrator.store import names, runs
from orchestrator.store.database import Database
from orchestrator.store.schema import deployments, environments
from tests.support.databases import database, postgres_url
from tests.support.executing import Workshop
from tests.support.factories import make_app, make_environment, make_settings

__all__ = ["database", "postgres_url"]

OLD, NEW = ("plate-web", "stg"), ("web", "test")
URL = make_app().source


def configured(name: str, environment: str, former: tuple[str, str] | None = None, **fields: Any) -> Settings:
    """One app with one environment, which had other names before."""
    known = former or (name, environment)
    place = make_environment(environment, former_names=(known[1],) if known[1] != environment else (), **fields)
    formers = (known[0],) if known[0] != name else ()
    return make_settings("/s", apps=(make_app(name, source=URL, environments=(place,), former_names=formers),))


BEFORE, AFTER = configured(*OLD), configured(*NEW, former=OLD)
RENAMES = [
    pytest.param(configured("web", "stg", former=OLD), ("web", "stg"), id="app"),
    pytest.param(configured("plate-web", "test", former=OLD), ("plate-web", "test"), id="environment"),
    pytest.param(AFTER, NEW, id="both"),
]


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> Workshop:
    made = Workshop(database, tmp_path)
    made.use(BEFORE)
    return made


def start(workshop: Workshop, settings: Settings) -> None:
    """Have a process start with a configuration, and work by it."""
    workshop.use(settings)
    renaming.adopt(workshop.database, settings)


def where(workshop: Workshop, *ids: int) -> set[tuple[str, str]]:
    return {(run.app, run.environment) for run in map(workshop.run, ids)}


def held(workshop: Workshop) -> dict[tuple[str, str], str]:
    with workshop.database.read() as connection:
        rows = connection.execute(select(environments).where(environments.c.hold != "")).mappings().all()
    return {(row["app"], row["name"]): row["hold"] for row in rows}


@pytest.mark.parametrize(("settings", "now"), RENAMES)
def test_the_history_of_an_environment_goes_along_with_its_name(
    workshop: Workshop, settings: Settings, now: tuple[str, str]
) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    workshop.push(2)
    workshop.finish(workshop.until(2, StageName.BUILD, digest="sha256:2"))
    workshop.control.hold(*OLD, "a fair", "mina")
    start(workshop, settings)
    start(workshop, settings)
    assert where(workshop, 1, 2) == {now}
    assert held(workshop) == {now: "a fair"}
    with workshop.database.read() as connection:
        landed = runs.landed(connection, *now)
        places = connection.execute(select(deployments.c.app, deployments.c.environment)).all()
    assert landed is not None
    assert landed.id == 2
    assert {tuple(one) for one in places} == {now}


def test_a_commit_that_was_deployed_under_the_former_name_is_a_rival_of_one_under_the_new(workshop: Workshop) -> None:
    workshop.push(2)
    workshop.finish(workshop.begin(1))
    start(workshop, AFTER)
    workshop.push(1, before=0)
    rivals = workshop.begin(2).rivals
    assert [(one.run, one.landed) for one in rivals] == [(1, True)]


def test_a_run_under_way_goes_on_under_the_new_name_and_keeps_its_place(workshop: Workshop) -> None:
    workshop.push(1)
    at_work = workshop.until(1, StageName.PUSH)
    start(workshop, AFTER)
    workshop.push(2)
    assert workshop.done(at_work) is None
    again = workshop.begin(1)
    assert (again.stage, again.app.name, again.environment.name) == (StageName.PUSH, *NEW)
    assert where(workshop, 1, 2) == {NEW}
    workshop.finish(again)
    assert workshop.run(1).state is RunState.SUCCEEDED


def test_what_follows_a_run_is_decided_by_a_worker_that_knows_its_name(workshop: Workshop) -> None:
    """A worker of the former configuration would not know that it is to be promoted."""
    workshop.push(1)
    proving = workshop.until(1, StageName.HEALTH)
    old = workshop.one
    prod = make_environment("prod", branch="", promote_from="test")
    app = AFTER.apps[0]
    start(workshop, replace(AFTER, apps=(replace(app, environments=(*app.environments, prod)),)))
    assert old.report(proving, Reported(stage=proving.stage, outcome=Done()), "build") is None
    assert not workshop.run(1).state.final
    workshop.finish(workshop.begin(1))
    assert where(workshop, 2) == {("web", "prod")}


def test_a_push_that_is_told_twice_makes_one_run_whatever_the_names(workshop: Workshop) -> None:
    assert workshop.push(1)["runs"] == [1]
    start(workshop, AFTER)
    assert workshop.push(1, key="another hook")["runs"] == [1]


def test_a_run_that_a_process_of_the_former_configuration_makes_joins_the_others(workshop: Workshop) -> None:
    workshop.push(2)
    workshop.finish(workshop.begin(1))
    start(workshop, AFTER)
    workshop.use(BEFORE)
    workshop.push(1, before=0)
    assert where(workshop, 2) == {OLD}
    assert workshop.one.begin(2, "build") is None
    assert (where(workshop, 2), workshop.run(2).reason) == ({NEW}, Reason.APP_REMOVED)
    workshop.use(AFTER)
    assert [one.run for one in workshop.begin(2).rivals] == [1]


def test_a_person_at_a_process_of_the_former_configuration_is_heard(workshop: Workshop) -> None:
    for number in (1, 2):
        workshop.push(number)
        workshop.finish(workshop.until(number, StageName.BUILD, digest=f"sha256:{number}"))
    start(workshop, AFTER)
    workshop.use(BEFORE)
    workshop.control.hold(*OLD, "a fair", "mina")
    assert held(workshop) == {NEW: "a fair"}
    assert workshop.run(workshop.control.rollback(*OLD, "mina", None)).digest == "sha256:1"
    workshop.control.release(*OLD)
    assert held(workshop) == {}


def test_a_configuration_that_is_taken_back_takes_the_history_back(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    start(workshop, AFTER)
    start(workshop, BEFORE)
    assert where(workshop, 1) == {OLD}
    start(workshop, AFTER)
    assert where(workshop, 1) == {NEW}


def test_processes_of_two_configurations_have_one_history(workshop: Workshop) -> None:
    """An old one that starts again takes it back, and the next look of a new one brings it along."""
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    start(workshop, AFTER)
    renaming.adopt(workshop.database, BEFORE)
    workshop.push(2)
    assert [one.run for one in workshop.begin(2).rivals] == [1]
    assert where(workshop, 1, 2) == {NEW}


def test_a_name_that_was_given_to_another_app_since_keeps_what_comes_under_it(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    start(workshop, AFTER)
    both = replace(AFTER, apps=(replace(AFTER.apps[0], former_names=()), make_app()))
    start(workshop, both)
    run = workshop.control.start(ManualRun(app="plate-web", environment="stg", ref="main"))
    workshop.begin(run)
    assert (where(workshop, 1), where(workshop, run)) == ({NEW}, {OLD})


def test_an_environment_that_is_not_configured_any_more_goes_along_with_its_app(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    start(workshop, configured("web", "prod", former=("plate-web", "prod")))
    assert where(workshop, 1) == {("web", "stg")}


def test_two_histories_become_one(workshop: Workshop) -> None:
    """Somebody forgot to name the former name at first."""
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    workshop.control.hold(*OLD, "a fair", "mina")
    start(workshop, configured(*NEW))
    workshop.push(1, key="again")
    workshop.push(2)
    workshop.finish(workshop.begin(2))
    start(workshop, AFTER)
    assert (where(workshop, 1, 2), held(workshop)) == ({NEW}, {NEW: "a fair"})


def test_two_that_make_never_become_one_environment(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.until(1, StageName.BUILD)
    workshop.use(configured(*NEW))
    workshop.push(2)
    second = workshop.until(2, StageName.BUILD)
    start(workshop, AFTER)
    assert where(workshop, 1) == {OLD}
    workshop.finish(second)
    start(workshop, AFTER)
    assert where(workshop, 1, 2) == {NEW}


def test_two_processes_may_start_at_once(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    starting = [Thread(target=renaming.adopt, args=(workshop.database, AFTER)) for _ in range(4)]
    for one in starting:
        one.start()
    for one in starting:
        one.join()
    assert where(workshop, 1) == {NEW}


def test_names_that_come_one_after_the_other_lead_to_the_last(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    start(workshop, AFTER)
    start(workshop, configured("site", "test", former=NEW))
    with workshop.database.read() as connection:
        assert {names.home(connection, one) for one in (OLD, NEW)} == {("site", "test")}


def test_a_release_of_what_is_unknown_is_told_by_the_name_that_was_given(workshop: Workshop) -> None:
    with pytest.raises(NotPossible, match="no app `gone`"):
        workshop.control.release("gone", "stg")
