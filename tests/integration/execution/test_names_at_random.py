"""Processes of an old and a new configuration work at one environment, in any order: it stays one environment."""

from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from orchestrator.domain.apps import Settings
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services import names
from orchestrator.services.execution import Assignment
from orchestrator.store.schema import runs, stages
from tests.support.databases import sqlite_database
from tests.support.executing import Workshop
from tests.support.factories import make_app, make_environment, make_settings

SOURCE = make_app().source
BEFORE = make_settings("/s")
_PLACE = make_environment("test", former_names=("stg",))
_APP = make_app("web", source=SOURCE, environments=(_PLACE,), former_names=("plate-web",))
AFTER = make_settings("/s", apps=(_APP,))
STEPS = 120


class Rollout:
    """Workers, hooks and starts of both configurations; a seed says who comes next."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = Random(seed)
        self.workshop = Workshop(sqlite_database(folder), folder)
        self.pushed = 0
        self.at_work: list[tuple[Settings, Assignment]] = []

    def step(self) -> None:
        settings = self.dice.choice((BEFORE, AFTER))
        self.dice.choices((self.push, self.start, self.begin, self.report), (2, 1, 8, 12))[0](settings)

    def push(self, settings: Settings) -> None:
        self.workshop.use(settings)
        self.pushed += 1
        self.workshop.push(self.pushed, before=0)

    def start(self, settings: Settings) -> None:
        names.adopt(self.workshop.database, settings)

    def begin(self, settings: Settings) -> None:
        self.workshop.use(settings)
        if self.pushed:
            run = self.dice.randint(1, self.pushed)
            self._takes(settings, self.workshop.one.begin(run, "build"))

    def report(self, _: Settings) -> None:
        """One of those at work is ready, and goes on with what follows."""
        if self.at_work:
            settings, assignment = self.at_work.pop(self.dice.randrange(len(self.at_work)))
            self.workshop.use(settings)
            self._takes(settings, self.workshop.one.report(assignment, _look(assignment), "build"))

    def _takes(self, settings: Settings, assignment: Assignment | None) -> None:
        if assignment is not None:
            self.at_work.append((settings, assignment))

    def end(self) -> None:
        """The new configuration is everywhere."""
        while self.at_work:
            self.report(AFTER)
        self.start(AFTER)
        for run in [*range(1, self.pushed + 1)] * 3:
            self.begin_only(run)

    def begin_only(self, run: int) -> None:
        self.workshop.use(AFTER)
        self._takes(AFTER, self.workshop.one.begin(run, "build"))
        while self.at_work:
            self.report(AFTER)

    def landed(self) -> list[int]:
        """The commits that came to Git, in their order."""
        statement = (
            select(runs.c.commit)
            .join(stages, (stages.c.run_id == runs.c.id) & (stages.c.name == "commit"))
            .where(stages.c.state == "succeeded")
            .order_by(stages.c.landing)
        )
        with self.workshop.database.read() as connection:
            return [int(commit, 16) for commit in connection.execute(statement).scalars()]

    def places(self) -> set[tuple[str, str]]:
        with self.workshop.database.read() as connection:
            return {(row.app, row.environment) for row in connection.execute(select(runs.c.app, runs.c.environment))}


def _look(assignment: Assignment) -> Reported:
    """Do what the stages do about the order of commits; here a greater number is a newer commit."""
    newer = [one.run for one in assignment.rivals if one.landed and one.commit > assignment.run.commit]
    ordered = assignment.stage in (StageName.CHECK, StageName.COMMIT)
    outcome = Fail(reason=Reason.OLDER_COMMIT, detail="") if newer and ordered else Done()
    return Reported(stage=assignment.stage, outcome=outcome)


@pytest.mark.parametrize("seed", range(5, 11))
def test_no_older_commit_follows_a_newer_one_whoever_is_at_work(tmp_path: Path, seed: int) -> None:
    rollout = Rollout(tmp_path, seed)
    for _ in range(STEPS):
        rollout.step()
    rollout.end()
    landed = rollout.landed()
    assert landed == sorted(set(landed)), "each once, in their order"
    assert landed[-1] == rollout.pushed, "and the newest is there"
    assert rollout.places() == {("web", "test")}
