"""One database with one app, and workers that a test moves by hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.domain.apps import App, Settings
from orchestrator.domain.events import Delivery, Push, RefChange, RefKind, RepoNames
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Run, StageName, Wait
from orchestrator.engine.facts import Reported
from orchestrator.services.bell import Bell
from orchestrator.services.commits import Commits
from orchestrator.services.control import Control
from orchestrator.services.execution import Assignment, Execution
from orchestrator.services.ingest import Ingest
from orchestrator.services.reconcile import LAG, Reconcile
from orchestrator.store.database import Database
from orchestrator.store.schema import heads
from tests.support.databases import load_run
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.ingesting import accept

QUIET = Bell("")
SetClocks = Callable[[float], None]
REPO = RepoNames(full_name="acme/plate-web", urls=("https://git.example.com/acme/plate-web.git",))
"""What a push says of the app's repository."""


class Workshop:
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

    def push(self, number: int, key: str = "", before: int | None = None, **about: Any) -> dict[str, Any]:
        """Have a hook tell that main moved. :param about: what else it tells, as fields of a `RefChange`."""
        commit, old = f"{number:040x}", f"{number - 1 if before is None else before:040x}"
        change = RefChange(
            ref="refs/heads/main",
            kind=RefKind.BRANCH,
            name="main",
            before=old,
            after=commit,
            commit=commit,
            **about,
        )
        delivery = Delivery(hook="github", key=key or f"delivery-{number}")
        return dict(accept(self.ingest, delivery, Push(event="push", repo=REPO, changes=(change,))).body)

    def polled(self, app: App, branch: str, commit: str, read_at: float | None = None, **about: Any) -> list[int]:
        """Have the poll see a head. :param about: what it finds out about the move, as fields of a `RefChange`."""
        return self.reconcile.head_seen(app, branch, commit, partial(_moved, branch, commit, about), read_at)

    def settle(self) -> None:
        """Let so much time pass that no server of the forge can show a branch as it was before the last push."""
        with self.database.write() as connection:
            connection.execute(heads.update().values(seen_at=heads.c.seen_at - LAG))

    def run(self, run_id: int) -> Run:
        return load_run(self.database, run_id)

    def begin(self, run_id: int) -> Assignment:
        assignment = self.one.begin(run_id, "build")
        assert assignment is not None
        return assignment

    def done(self, assignment: Assignment, **outputs: Any) -> Assignment | None:
        fact = Reported(stage=assignment.stage, outcome=Done(outputs=outputs))
        return self.one.report(assignment, fact, "build")

    def until(self, run_id: int, stage: StageName, **outputs: Any) -> Assignment:
        """Bring a run to a stage; each one before it tells `outputs`."""
        assignment: Assignment | None = self.begin(run_id)
        while assignment is not None and assignment.stage is not stage:
            assignment = self.done(assignment, **outputs)
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


def _moved(branch: str, commit: str, about: dict[str, Any], known: str) -> RefChange:
    ref = f"refs/heads/{branch}"
    return RefChange(
        ref=ref, kind=RefKind.BRANCH, name=branch, before=known or None, after=commit, commit=commit, **about
    )


def two_environments(workshop: Workshop, **prod: Any) -> None:
    """Configure prod behind stg."""
    stg, follows = make_environment("stg"), make_environment("prod", branch="", promote_from="stg", **prod)
    workshop.use(make_settings(workshop.settings.state_dir, apps=(make_app(environments=(stg, follows)),)))


def queue(workshop: Workshop, owner: str) -> Commits:
    return Commits(workshop.database, QUIET, "gitops#main", owner)


def push_to_both(workshop: Workshop) -> Workshop:
    """Have one push lead to runs 1 and 2, in two environments, with one image."""
    app = make_app(environments=(make_environment("stg"), make_environment("eu")))
    workshop.use(make_settings(workshop.settings.state_dir, apps=(app,)))
    workshop.push(1)
    return workshop
