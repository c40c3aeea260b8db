"""How a worker claims a run's current stage, reports its outcome, and goes on to the next: one transaction each."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.domain.apps import App, Environment, Settings
from orchestrator.domain.errors import LeaseLost
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Rival, Run, Stage, StageName
from orchestrator.engine.decision import Decision
from orchestrator.engine.facts import Blocked, Claimed, Fact, Reported
from orchestrator.engine.gate import Stay, commit_cuts_off, gate, held
from orchestrator.engine.policy import TIMEOUTS
from orchestrator.engine.transitions import advance
from orchestrator.services import approvals, ledger, names
from orchestrator.services.bell import Bell
from orchestrator.store import changes, claims, environments, images, landings, logs, runs, wakes
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock
from orchestrator.store.rows import utc

Serves = Callable[[str], bool]
"""Tells whether this process does the work of a pool."""

_ORDERED = frozenset({StageName.CHECK, StageName.COMMIT})
"""The stages that compare this run's commit with those of other runs."""
_GATED = frozenset({StageName.BUILD, StageName.COMMIT})
"""The stages before which a run may have to wait for its turn; between them it keeps its place."""

ROLLOUT = 300.0
"""Seconds for which workers without the app of a run leave it to others."""
_MISSED, _MISSED_AGAIN = "missed_since", 10.0
"""The output that says since when workers lack the app; seconds until the next one looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A stage that this worker, and nobody else, is to look at now. ``fence`` proves the claim when it reports.

    ``rivals``: other runs of the environment, for the stages that mind the order of commits; ``insists``: a person
    wanted this commit, so that it may be an older one.
    """

    run: Run
    stage: StageName
    app: App
    environment: Environment
    fence: int
    rivals: tuple[Rival, ...] = ()
    insists: bool = False


def no_build() -> bool:
    """Leave image work to the ``build`` pool."""
    return False


class Execution:
    """The worker's side of the tables.

    :param owner: names this process in leases and logs.
    """

    def __init__(self, database: Database, settings: Settings, bell: Bell, owner: str) -> None:
        self._database = database
        self._settings = settings
        self._bell = bell
        self._owner = owner

    def begin(self, run_id: int, queue: str, build_here: Callable[[], bool] = no_build) -> Assignment | None:
        """Claim a run and start (or go on with) its current stage; None when there is nothing to do here now.

        :param queue: the pool that this worker serves; image work is left to the ``build`` pool.
        :param build_here: asked before: whether this process has room for it; then it is done here.
        """
        now, serves = clock(), _serves(queue, build_here)
        with self._database.write() as connection:
            names.settle(connection, self._settings, run_id)
            run = ledger.lock(connection, run_id)
            if run is None or run.state.final:
                wakes.drop(connection, run_id)
                return None
            if names.is_astray(connection, run):
                wakes.set_due(connection, run_id, now, ledger.queue_of(run))
                return None
            fence = claims.claim(connection, run_id, self._owner, now)
            if fence is None:
                return None
            wakes.clear(connection, run_id, up_to=now)
            assignment = self._start(connection, run, Decision(run=run), fence, serves, now)
            due = wakes.are_due(connection)
        if due:
            self._bell.ring()
        return assignment

    def report(
        self,
        assignment: Assignment,
        fact: Fact,
        queue: str,
        build_here: Callable[[], bool] = no_build,
        *,
        go_on: bool = True,
    ) -> Assignment | None:
        """Record the outcome of a stage, and start the next one if that is possible at once.

        :param queue, build_here: as those of `begin`.
        :param go_on: False: leave the next stage to others, as this worker is stopping.
        :raises LeaseLost: somebody else took the run over; nothing was written.
        """
        now, serves = clock(), _serves(queue, build_here)
        at = utc(now)
        with self._database.write() as connection:
            before = ledger.lock(connection, assignment.run.id, assignment.fence)
            if before is None:
                raise LeaseLost(f"run {assignment.run.id}, fence {assignment.fence}")
            if (before.app, before.environment) != (assignment.run.app, assignment.run.environment):
                # Renamed meanwhile: what follows from the end of the stage, only the new configuration says.
                claims.release(connection, before.id)
                wakes.set_due(connection, before.id, now, ledger.queue_of(before))
                return None
            decision = ledger.advanced(connection, _overtaken(connection, before, fact), fact, at)
            if not before.cancel_requested:  # else nothing would be deployed: neither this run nor those it found
                ledger.overtake(connection, self._settings, before, _found(fact, "obsolete"), now)
            if decision.run.committed and not before.committed:
                moved = self._move_to_proving(connection, decision.run, now)
                decision = replace(decision, run=moved)
            following = None
            if go_on and not decision.run.state.final and decision.wake_at == at:
                following = self._start(connection, before, decision, assignment.fence, serves, now)
            else:
                ledger.record(connection, self._settings, before, decision, now)
                claims.release(connection, before.id)
            due = wakes.are_due(connection)
        if due:
            self._bell.ring()
        return following

    def heartbeat(self, assignment: Assignment) -> bool:
        """Renew the lease; False when it is lost."""
        with self._database.write() as connection:
            return claims.renew(connection, assignment.run.id, assignment.fence, clock())

    def is_unwanted(self, assignment: Assignment) -> bool:
        """Tell whether a person or a newer run wants this run to stop."""
        with self._database.read() as connection:
            run = runs.load(connection, assignment.run.id)
        return run is None or run.is_unwanted

    def _start(
        self,
        connection: Connection,
        before: Run,
        so_far: Decision,
        fence: int,
        serves: Serves,
        now: float,
    ) -> Assignment | None:
        """Begin the current stage if the gate lets it; otherwise say why not and give the run back.

        `before` is the run as it is stored, `so_far` what this transaction has decided already: both are written
        once, at the end.
        """
        run = so_far.run
        stage = run.current
        app = self._settings.app(run.app)
        environment = app.environment(run.environment) if app else None
        if stage is None:  # pragma: no cover
            return None
        if not serves(ledger.queue_of(run)):
            self._give_back(connection, before, replace(so_far, wake_at=utc(now)), now)
            return None
        if app is None or environment is None:
            self._give_back(connection, before, _then(so_far, _unconfigured(connection, run, stage, now)), now)
            return None
        run, stay = self._admit(connection, _configured(connection, run, stage, environment), stage, now)
        if stay is not None:
            fact = Blocked(reason=stay.reason, detail=stay.detail, by=stay.by, after=stay.after, anew=True)
            self._give_back(connection, before, _then(so_far, advance(run, fact, utc(now))), now)
            return None
        claimed = Claimed(stage=stage.name, timeout=timeout_of(stage.name, app, environment))
        decision = _then(so_far, advance(run, claimed, utc(now)))
        started = ledger.record(connection, self._settings, before, decision, now)
        if stage.started_at is None and stage.name is StageName.BUILD:
            _log_approval(connection, started, now)
        assignment = Assignment(run=started, stage=stage.name, app=app, environment=environment, fence=fence)
        if stage.name not in _ORDERED:
            return assignment
        insists = runs.repeated(connection, started).trigger.insists
        return replace(assignment, rivals=runs.rivals(connection, started), insists=insists)

    def _give_back(self, connection: Connection, before: Run, decision: Decision, now: float) -> None:
        ledger.record(connection, self._settings, before, decision, now)
        claims.release(connection, before.id)

    def _admit(self, connection: Connection, run: Run, stage: Stage, now: float) -> tuple[Run, Stay | None]:
        """Ask the gate, once per stage; take the place that the stage needs, cutting off who may be cut off."""
        if stage.name not in _GATED:
            return run, None
        if stage.started_at is not None:
            return run, self._held(connection, run, now) if stage.name is StageName.COMMIT else None
        occupancy = environments.occupancy(connection, run, now)
        if stage.name is StageName.BUILD:
            occupancy = replace(occupancy, maker=images.maker(connection, run))
        answer = gate(run, stage.name, occupancy)
        if isinstance(answer, Stay):
            return run, answer
        environments.take_making(connection, run)
        return self._cut_off(connection, run, answer.cut_off, now), None

    def _held(self, connection: Connection, run: Run, now: float) -> Stay | None:
        """Keep back a change that cannot be in Git yet, if its environment was put on hold since it was queued.

        A rollback goes through the hold, but not before a change that may be on its way; this one is so no more.
        """
        hold = "" if run.is_unwanted else environments.hold_of(connection, run)
        if not hold or not changes.take_back(connection, run.id):
            return None
        ledger.wake_waiting(connection, run.app, run.environment, now)
        return held(hold)

    def _cut_off(self, connection: Connection, run: Run, other: int | None, now: float) -> Run:
        if other is None or not ledger.supersede(connection, self._settings, other, run.id, now):
            return run
        return replace(run, cut_off=other)

    def _move_to_proving(self, connection: Connection, run: Run, now: float) -> Run:
        """Let the run prove, as its change has landed: a run that still proves an earlier one ends."""
        other = commit_cuts_off(run, environments.occupancy(connection, run, now))
        landings.number(connection, run)
        environments.move_to_proving(connection, run)
        ledger.wake_waiting(connection, run.app, run.environment, now)
        return self._cut_off(connection, run, other, now)


def _configured(connection: Connection, run: Run, stage: Stage, environment: Environment) -> Run:
    """Forget that other workers did not know the app, and ask for the approval that its environment needs by now."""
    not_begun = run.stage(StageName.BUILD).started_at is None
    if environment.approval and not_begun and approvals.was_let_through(connection, run):
        run = replace(run, approved=False)
    if _MISSED not in stage.outputs:
        return run
    outputs = {name: value for name, value in stage.outputs.items() if name != _MISSED}
    stages = tuple(replace(one, outputs=outputs) if one.name is stage.name else one for one in run.stages)
    return replace(run, stages=stages)


def _unconfigured(connection: Connection, run: Run, stage: Stage, now: float) -> Decision:
    """Wait for a worker that has the app, as not all have it while a new configuration is rolled out; then fail."""
    detail, at = f"{run.app}/{run.environment}", utc(now)
    landed = _taken_back(connection, run, stage)
    since = float(stage.outputs.get(_MISSED, now))
    if now - since < ROLLOUT:
        hope = f"{detail}; waiting up to {ROLLOUT / 60:.0f} minutes for a worker that has it"
        fact = Blocked(reason=Reason.APP_REMOVED, detail=hope, after=_MISSED_AGAIN, outputs={_MISSED: since})
        return advance(run, fact, at)
    claimed = advance(run, Claimed(stage=stage.name, timeout=0), at).run
    fail = Fail(reason=Reason.APP_REMOVED, detail=detail + landed)
    fact_of_end = Reported(stage=stage.name, outcome=fail)
    return advance(claimed, fact_of_end, at) if landed else ledger.advanced(connection, claimed, fact_of_end, at)


def _taken_back(connection: Connection, run: Run, stage: Stage) -> str:
    """Take the change of a run that nobody here may deploy out of the queue of its branch; say if it is in Git."""
    if stage.name is not StageName.COMMIT or changes.take_back(connection, run.id):
        return ""
    change = changes.load(connection, run.id)
    if change is None or change["state"] != "landed":
        return ""
    return f"; its change was committed as {change['result']['commit'][:12]}"


def _log_approval(connection: Connection, run: Run, now: float) -> None:
    """Log who approved the run; `build` is the first stage that needs the approval.

    It is written here and not at the approval, because only the worker that holds the run may write to its log.
    """
    at = run.approved_at
    if at is not None:
        line = f"{' by '.join(filter(None, ('approved', run.approved_by)))} at {at:%Y-%m-%dT%H:%M:%SZ}"
        logs.append(connection, run.id, StageName.BUILD.value, [line], now)


def _found(fact: Fact, output: str) -> list[int]:
    """Read which runs ``check`` found: ``obsolete`` ones and ``unapproved`` ones."""
    if isinstance(fact, Reported) and fact.stage is StageName.CHECK and isinstance(fact.outcome, Done):
        return [int(run_id) for run_id in fact.outcome.outputs.get(output, ())]
    return []


def _overtaken(connection: Connection, run: Run, fact: Fact) -> Run:
    """End a run in favour of a newer one that was approved while ``check`` was at work."""
    for newer in _found(fact, "unapproved"):
        other = runs.load(connection, newer)
        if other is not None and other.approved and not (other.state.final or other.cancel_requested):
            return replace(run, superseded_by=newer)
    return run


def _serves(queue: str, build_here: Callable[[], bool]) -> Serves:
    """Return for which pools this worker works: one of ``build`` also does whatever follows."""
    return lambda wanted: queue == "build" or wanted != "build" or build_here()


def _then(first: Decision, second: Decision) -> Decision:
    """Join two decisions of one transaction."""
    return replace(second, tell=first.tell + second.tell, freed=first.freed or second.freed)


def timeout_of(stage: StageName, app: App, environment: Environment) -> float:
    """Return the seconds that a stage may take: those of its app or environment, or the fixed ones."""
    timeouts = {
        **TIMEOUTS,
        StageName.BUILD: app.build.timeout,
        StageName.PUSH: TIMEOUTS[StageName.PUSH] + app.build.timeout,  # who did not build the image builds it again
        StageName.SCAN: app.scan.timeout,
        StageName.SYNC: environment.sync_timeout,
        StageName.HEALTH: environment.health_timeout,
    }
    return timeouts[stage]
