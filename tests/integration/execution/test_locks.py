"""Two transactions that meet at the same runs never wait for each other (PostgreSQL; on SQLite only one writes)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, StageName, Wait
from orchestrator.engine.facts import Reported
from orchestrator.services import names
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control, NotPossible
from orchestrator.services.waits import Waits
from orchestrator.store import names as moved_names
from orchestrator.store import wakes
from orchestrator.store.database import Database
from orchestrator.store.schema import wakes as wakes_table
from tests.support.executing import Workshop, two_environments
from tests.support.factories import make_app, make_settings
from tests.support.meanwhile import is_waiting
from tests.support.two_processes import Meanwhile, between, elsewhere, workshop
from tests.support.waiting import until

__all__ = ["between", "elsewhere", "workshop"]


def test_the_watch_wakes_a_run_whose_worker_is_writing_down_that_it_waits(
    workshop: Workshop, elsewhere: Database, between: Meanwhile
) -> None:
    workshop.push(1)
    assignment = workshop.until(1, StageName.HEALTH)
    watch = Waits(elsewhere, workshop.settings, Bell(""))
    woken = between(lambda statement, _: statement.startswith("INSERT INTO wakes"), lambda: watch.wake([1]))

    waits = Reported(stage=StageName.HEALTH, outcome=Wait(reason=Reason.PROGRESSING, after=500))
    assert workshop.one.report(assignment, waits, "build") is None

    woken()
    assert workshop.run(1).state is RunState.WAITING
    assert workshop.due() == {1}, "the change was seen while its worker had looked already"


def test_who_has_made_an_image_waits_for_nobody_who_is_at_a_run_that_waits_for_it(
    workshop: Workshop, elsewhere: Database
) -> None:
    workshop.push(1)
    with elsewhere.write() as busy, workshop.database.write() as connection:
        busy.execute(select(wakes_table).where(wakes_table.c.run_id == 1).with_for_update())
        wakes.nudge(connection, [1], 5.0)
    with workshop.database.write() as connection:
        wakes.nudge(connection, [1], 7.0)
        assert connection.execute(select(wakes_table.c.due_at)).scalars().all() == [7.0]


def test_a_promotion_that_is_cancelled_while_a_newer_one_takes_its_place(
    workshop: Workshop, elsewhere: Database, between: Meanwhile
) -> None:
    two_environments(workshop, approval=True)
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    assert workshop.done(workshop.begin(2)) is None
    assert (workshop.run(2).environment, workshop.run(2).reason) == ("prod", Reason.AWAITING_APPROVAL)
    workshop.push(2)
    last = workshop.until(3, StageName.HEALTH)
    control = Control(elsewhere, workshop.settings, Bell(""))

    def leaves_prod(statement: str, values: Any) -> bool:
        return statement.startswith("UPDATE environments") and "prod" in values.values()

    cancelled = between(leaves_prod, lambda: control.cancel(2, "mina"))
    workshop.finish(last)

    with pytest.raises(NotPossible, match="over"):
        cancelled()
    assert [workshop.run(run_id).state for run_id in (2, 3)] == [RunState.CANCELLED, RunState.SUCCEEDED]
    assert workshop.run(2).superseded_by == 4


def test_a_run_that_is_renamed_while_somebody_waits_for_its_environment(
    workshop: Workshop, elsewhere: Database, between: Meanwhile
) -> None:
    """Whoever holds a run holds its environment, by the name that this has."""
    workshop.push(1)
    workshop.until(1, StageName.BUILD)
    settings = make_settings("/s", apps=(make_app("web", former_names=("plate-web",)),))
    locked = list[Any]()

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "FROM environments" in statement and statement.endswith("FOR UPDATE"):
            locked.append((values["of_app"], values["named"]))

    event.listen(workshop.database.engine, "before_cursor_execute", note)
    renamed = between(lambda statement, _: statement.endswith("FOR UPDATE"), lambda: names.adopt(elsewhere, settings))
    workshop.control.cancel(1, "mina")
    renamed()
    assert locked == [("plate-web", "stg"), ("web", "stg")]
    assert (workshop.run(1).app, workshop.run(1).cancel_requested) == ("web", True)


def test_a_run_that_was_made_while_its_environment_was_renamed(workshop: Workshop, elsewhere: Database) -> None:
    """Whoever renamed did not see it, and whoever looks at it waited: it must not go on by itself."""
    workshop.push(1)
    looking = Database(workshop.database.url)
    with ThreadPoolExecutor(1) as pool:
        with elsewhere.write() as renaming:
            moved_names.move(renaming, ("plate-web", "stg"), ("web", "stg"))
            workshop.push(2)
            begun = pool.submit(workshop.one.begin, 2, "build")
            until(lambda: is_waiting(looking), "the look at the run to wait")
        assert begun.result(10) is None
    looking.close()
    assert workshop.due() >= {2}
    workshop.use(make_settings("/s", apps=(make_app("web", former_names=("plate-web",)),)))
    assert workshop.begin(2).run.app == "web"
