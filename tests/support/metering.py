"""The web over a database, and a worker that a test moves by hand."""

from datetime import UTC, datetime, timedelta

from orchestrator.domain.apps import Hook, Secret
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Trigger, Wait
from orchestrator.engine.facts import Reported
from orchestrator.services.bell import Bell
from orchestrator.services.execution import Assignment, Execution
from orchestrator.store import runs
from orchestrator.store.database import now
from tests.support.web import Web

QUIET = Bell("")
HOOK = Hook(forge="github", secret=Secret("s"))


class Site(Web):
    """The web over a database, and a worker that a test moves by hand."""

    def deploy(
        self,
        number: int,
        *,
        fails_at: str = "",
        waits_at: str = "",
        trigger: Trigger = Trigger.PUSH,
        env: str = "stg",
        rerun_of: int | None = None,
        dated: str = "",
    ) -> int:
        """Take a run of commit `number` to its end; `fails_at` names the stage that says no, `waits_at` the last one.

        :param dated: when the commit says that it was made; "": an hour ago.
        """
        commit = f"{number:040x}"
        new = runs.NewRun(app="plate-web", environment=env, trigger=trigger, commit=commit, rerun_of=rerun_of)
        with self.database.write() as connection:
            run_id = runs.add(connection, [(new, None)], now())[0]
        execution = Execution(self.database, self.settings, QUIET, "worker-1")
        assignment = execution.begin(run_id, "build")
        while assignment is not None:
            assignment = execution.report(assignment, _fact(assignment, fails_at, waits_at, dated), "build")
        return run_id

    def metrics(self) -> dict[str, float]:
        """Scrape: series -> value."""
        answer = self.client("").get("/metrics")
        assert answer.status_code == 200
        pairs = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in pairs}


def _fact(assignment: Assignment, fails_at: str, waits_at: str = "", dated: str = "") -> Reported:
    if assignment.stage == fails_at:
        return Reported(stage=assignment.stage, outcome=Fail(reason=Reason.REGISTRY_QUOTA))
    if assignment.stage == waits_at:
        return Reported(stage=assignment.stage, outcome=Wait(reason=Reason.PROGRESSING))
    written = {"commit_date": dated or (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    outputs = written if assignment.stage is StageName.CHECK else {}
    return Reported(stage=assignment.stage, outcome=Done(outputs=outputs))
