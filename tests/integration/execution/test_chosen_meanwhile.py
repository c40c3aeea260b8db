"""What a person asks for while a run of the same environment moves on (PostgreSQL; on SQLite only one writes)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, RunState, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.control import Control, NotPossible
from orchestrator.services.execution import Assignment, Execution
from orchestrator.store import environments, names
from orchestrator.store.database import Database
from tests.support.executing import QUIET, Workshop, two_environments
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.meanwhile import is_waiting
from tests.support.two_processes import Meanwhile, between, elsewhere, workshop
from tests.support.waiting import until

__all__ = ["between", "elsewhere", "workshop"]

Before = Callable[[str, Callable[[], Any]], Callable[[], Any]]
NEW_RUN_IS_MADE = "INSERT INTO wakes (run_id, due_at, queue) SELECT"


@pytest.fixture
def before(between: Meanwhile) -> Before:
    """Have something done elsewhere right before a statement of the workshop that begins so."""
    return lambda words, do: between(lambda statement, _: statement.startswith(words), do)


def deploy(workshop: Workshop, number: int) -> int:
    """Have a push proven in stg; return its run."""
    run: int = workshop.push(number)["runs"][0]
    workshop.finish(workshop.done(workshop.begin(run), image=f"h/p:{number}", digest=f"sha256:{number}"))
    return run


def third_commit(workshop: Workshop) -> Assignment:
    """Deploy two pushes and have a third one at its commit."""
    for number in (1, 2):
        deploy(workshop, number)
    workshop.push(3)
    return workshop.until(3, StageName.COMMIT, image="h/p:3", digest="sha256:3")


def test_the_newest_is_promoted_that_is_proven_when_the_promotion_takes_its_turn(
    workshop: Workshop, elsewhere: Database, before: Before
) -> None:
    """Else what was proven before would take the place of the promotion that follows what is proven just now."""
    two_environments(workshop)
    deploy(workshop, 1)
    control = Control(elsewhere, workshop.settings, QUIET)
    run = workshop.push(2)["runs"][0]
    health = workshop.until(run, StageName.HEALTH, image="h/p:2", digest="sha256:2")
    promoted = before(NEW_RUN_IS_MADE, lambda: control.promote("plate-web", "prod", "mina"))
    workshop.finish(health)
    by_itself, by_mina = workshop.run(promoted() - 1), workshop.run(promoted())
    assert (by_itself.digest, by_itself.superseded_by) == ("sha256:2", by_mina.id)
    assert by_mina.digest == "sha256:2"


def test_a_rollback_goes_back_from_what_lands_while_it_is_asked_for(
    workshop: Workshop, elsewhere: Database, before: Before
) -> None:
    commit = third_commit(workshop)
    control = Control(elsewhere, workshop.settings, QUIET)
    back = before("UPDATE environments", lambda: control.rollback("plate-web", "stg", "mina", None))
    workshop.done(commit)
    assert workshop.run(back()).digest == "sha256:2"


def test_a_run_is_not_undone_when_another_lands_while_that_is_asked_for(
    workshop: Workshop, elsewhere: Database, before: Before
) -> None:
    commit = third_commit(workshop)
    control = Control(elsewhere, workshop.settings, QUIET)
    back = before("UPDATE environments", lambda: control.rollback("plate-web", "stg", "mina", None, of=2))
    workshop.done(commit)
    with pytest.raises(NotPossible, match="moved on: run 3 is the newest there"):
        back()


def test_a_person_and_a_run_that_fails_go_back_once(workshop: Workshop, elsewhere: Database, before: Before) -> None:
    app = make_app(environments=(make_environment("stg", rollback=True),))
    workshop.use(make_settings(workshop.settings.state_dir, apps=(app,)))
    deploy(workshop, 1)
    workshop.push(2)
    health = workshop.until(2, StageName.HEALTH, image="h/p:2", digest="sha256:2")
    degraded = Reported(stage=StageName.HEALTH, outcome=Fail(reason=Reason.DEGRADED))
    worker = Execution(elsewhere, workshop.settings, QUIET, "worker-2")
    failed = before(NEW_RUN_IS_MADE, lambda: worker.report(health, degraded, "build"))
    back = workshop.control.rollback("plate-web", "stg", "mina", None)
    failed()
    assert (workshop.run(2).state, workshop.run(2).taken_back_by) == (RunState.FAILED, back)


@pytest.mark.parametrize("held", [True, False])
def test_a_hold_is_where_the_history_has_gone_meanwhile(workshop: Workshop, elsewhere: Database, held: bool) -> None:
    old, new, looker = ("plate-web", "stg"), ("web", "stg"), Database(workshop.database.url)
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    if not held:
        workshop.control.hold(*old, "freeze", "mina")
    with ThreadPoolExecutor(1) as pool:
        with elsewhere.write() as renaming:
            names.move(renaming, old, new)
            asked = pool.submit(ask, workshop.control, held)
            until(lambda: is_waiting(looker), "what is asked for to wait")
        asked.result(10)
    with looker.read() as connection:
        assert [environments.is_held(connection, *place) for place in (old, new)] == [False, held]
    looker.close()


def ask(control: Control, held: bool) -> None:
    """Hold or release the environment by its former names."""
    if held:
        control.hold("plate-web", "stg", "freeze", "mina")
    else:
        control.release("plate-web", "stg")
