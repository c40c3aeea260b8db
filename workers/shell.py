"""The shell around every stage: claim, call, record. Whatever a stage does ends as one fact."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from orchestrator import journal, tracing
from orchestrator.domain.errors import Cancelled, LeaseLost, Refused, Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.metrics import LOOKS_TOTAL
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Outcome, StageName, Wait
from orchestrator.domain.wording import bounded
from orchestrator.engine.facts import Fact, Reported, Stopped, Troubled
from orchestrator.services.execution import Assignment, Execution, no_build
from orchestrator.store import claims, logs
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock
from orchestrator.tracing import Trace
from workers.runlog import RunLog
from workers.stages.order import Order, Tools
from workers.stages.table import STAGES
from workers.stages.toolbox import Clients, Shared
from workers.tidying import Tidier, strays_of
from workers.watching import Watch, Watcher

log = journal.get(__name__)

_WRITTEN = ("title", "author")
"""Outputs with text by the author of the commit."""


class Shell:
    """Runs stages for one worker process.

    :param queue: the pool that this worker serves; a ``build`` worker goes on with every stage that follows.
    :param stopping: whether this worker was told to stop; then it finishes the stage at hand and begins no other.
    """

    def __init__(
        self,
        shared: Shared,
        execution: Execution,
        mask: Mask,
        queue: str,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._shared = shared
        self._execution = execution
        self._mask = mask
        self._queue = queue
        self._stopping = stopping
        self._watcher = Watcher(execution)
        self._tidier = Tidier(partial(strays_of, shared.settings))

    def look(self, run_id: int, build_here: Callable[[], bool] = no_build) -> None:
        """Look at a run now: do what its current stages ask for, until it has to wait or is over.

        :param build_here: asked when a worker of another pool comes to image work: whether to go on all the same.
        :raises Unavailable: the database is gone; the wake-up is repeated by the relay.
        """
        with journal.about(run=run_id):
            assignment = self._execution.begin(run_id, self._queue, build_here)
            if assignment is None:
                return
            with self._watcher.watch(assignment) as watch:
                following: Assignment | None = assignment
                while following is not None:
                    following = self._one(following, watch, build_here)
        # Where no relay shares this folder, nobody else packs what fetches leave.
        self._tidier.begin((lambda: self._shared.gitops, partial(self._shared.source, assignment.app)))

    def _one(self, assignment: Assignment, watch: Watch, build_here: Callable[[], bool]) -> Assignment | None:
        run, started = assignment.run, clock()
        counts = self._shared.database.counts
        with (
            journal.about(stage=assignment.stage.value, app=run.app, env=run.environment),
            tracing.span("look", Trace(run.id, run.created_at), assignment.stage.value) as span,
        ):
            try:
                fact = self._perform(assignment, watch)
                outcome, reason = _told(fact)
                counts.add(LOOKS_TOTAL, assignment.stage.value, outcome)
                following = self._execution.report(
                    assignment, fact, self._queue, build_here, go_on=not self._stopping()
                )
            except LeaseLost:
                counts.add(LOOKS_TOTAL, assignment.stage.value, "lost")
                log.warning("lease lost")
                return None
            span.note(stage=assignment.stage.value, outcome=outcome, reason=reason)
            duration_ms = round((clock() - started) * 1000)
            log.info("stage looked at", outcome=outcome, reason=reason, duration_ms=duration_ms)
            return following

    def _perform(self, assignment: Assignment, watch: Watch) -> Fact:
        with self._open_log(assignment) as runlog:
            try:
                tools = Tools(
                    log=runlog.line,
                    checkpoint=watch.checkpoint,
                    clients=Clients(self._shared, assignment.app),
                )
                outcome = self._outcome(assignment, tools)
                return Reported(stage=assignment.stage, outcome=self._masked(outcome))
            except LeaseLost:
                raise
            except Cancelled:
                runlog.line("stopped")
                return Stopped(stage=assignment.stage)
            except Refused as error:
                return self._refused(assignment.stage, error, runlog)
            except Unavailable as error:
                return self._unavailable(assignment.stage, error, runlog)
            except Exception as error:  # noqa: BLE001  # the shell: nothing a stage does may kill its worker
                return self._broken(assignment.stage, error, runlog)

    def _outcome(self, assignment: Assignment, tools: Tools) -> Outcome:
        """Run the stage, and again if its time ran out meanwhile: only a stage that is late looks for the cause."""
        stage, order = STAGES[assignment.stage], self._order(assignment)
        outcome = stage(order, tools)
        again = self._order(assignment)
        if not isinstance(outcome, Wait) or outcome.confirm or order.is_late or not again.is_late:
            return outcome
        return stage(replace(again, outputs={**again.outputs, **outcome.outputs}), tools)

    def _order(self, assignment: Assignment) -> Order:
        run = assignment.run
        stage = run.stage(assignment.stage)
        return Order(
            run=run,
            app=assignment.app,
            environment=assignment.environment,
            settings=self._shared.settings,
            outputs=run.outputs,
            rivals=assignment.rivals,
            insists=assignment.insists,
            started_at=stage.started_at or datetime.now(UTC),
            deadline_at=stage.deadline_at,
            now=datetime.now(UTC),
        )

    def _open_log(self, assignment: Assignment) -> RunLog:
        return RunLog(append_to(self._shared.database, assignment), self._mask)

    def _masked(self, outcome: Outcome) -> Outcome:
        """Take secrets out of what people may read: the detail, then bounded, and what the commit's author wrote."""
        written = {name: self._mask(str(outcome.outputs[name])) for name in _WRITTEN if name in outcome.outputs}
        return replace(outcome, detail=bounded(self._mask(outcome.detail)), outputs={**outcome.outputs, **written})

    def _refused(self, stage: StageName, error: Refused, runlog: RunLog) -> Fact:
        detail = self._mask(error.evidence)
        runlog.line(f"{error.reason}: {detail}")
        return Reported(stage=stage, outcome=Fail(reason=error.reason, detail=detail))

    def _unavailable(self, stage: StageName, error: Unavailable, runlog: RunLog) -> Fact:
        detail = self._mask(error.evidence)
        runlog.line(f"{error.reason}: {detail}; will be tried again")
        return Troubled(stage=stage, reason=error.reason, detail=detail, retry_after=error.retry_after)

    def _broken(self, stage: StageName, error: Exception, runlog: RunLog) -> Fact:
        log.exception("stage broke")
        detail = self._mask(f"{type(error).__name__}: {error}")[:300]
        runlog.line(f"internal error: {detail}")
        return Troubled(stage=stage, reason=Reason.INTERNAL, detail=detail)


def append_to(database: Database, assignment: Assignment) -> Callable[[list[str]], None]:
    """Return a function that appends lines to the log of a run, as long as this worker still holds the run."""

    def append(lines: list[str]) -> None:
        with database.write() as connection:
            if not claims.is_newest(connection, assignment.run.id, assignment.fence):
                return  # another worker has the run by now, and writes its log
            logs.append(connection, assignment.run.id, assignment.stage.value, lines, clock())

    return append


def _told(fact: Fact) -> tuple[str, str | None]:
    """Name the result of a look and its reason, for the log."""
    if isinstance(fact, Reported):
        return type(fact.outcome).__name__.lower(), fact.outcome.reason.value
    return type(fact).__name__.lower(), fact.reason.value if isinstance(fact, Troubled) else None
