"""What people ask for: start, re-run, cancel, approve, hold, release."""

from dataclasses import dataclass

from orchestrator.domain.apps import Settings
from orchestrator.domain.refs import is_safe_ref_name, is_sha
from orchestrator.domain.runs import Run, StageName, Trigger
from orchestrator.engine.facts import Approved, CancelRequested
from orchestrator.engine.transitions import advance
from orchestrator.services import ledger
from orchestrator.services.bell import Bell
from orchestrator.store import claims, environments, runs, wakes
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock
from orchestrator.store.rows import moment


class NotPossible(Exception):
    """The request cannot be carried out: one sentence.

    :param kind: ``missing`` (no such thing), ``invalid`` (the request is wrong) or ``conflict`` (not in this state).
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A manual run: exactly one of `ref` (branch or tag), `commit` (full id) or `image` (tag or digest)."""

    app: str
    environment: str
    ref: str = ""
    commit: str = ""
    image: str = ""
    actor: str = ""


class Control:
    """Carries out what people ask for."""

    def __init__(self, database: Database, settings: Settings, bell: Bell) -> None:
        self._database = database
        self._settings = settings
        self._bell = bell

    def start(self, wish: Wish) -> int:
        """Start a manual run; return its id. :raises NotPossible: unknown app, or not exactly one source."""
        self._check(wish)
        new = runs.NewRun(
            app=wish.app,
            environment=wish.environment,
            trigger=Trigger.MANUAL,
            ref=wish.ref,
            commit=wish.commit,
            image=wish.image,
            actor=wish.actor,
        )
        return self._add(new)

    def rerun(self, run_id: int, actor: str, from_stage: str = "") -> int:
        """Start a new run for the same commit; return its id.

        Every stage looks first at what is already proven (image in the registry, value in Git) and reuses that;
        the stage that failed, and what follows it, really runs.

        :param from_stage: a stage name, ``failed``, ``start`` or "" (the same as ``failed``).
        :raises NotPossible: no such run, still active, or an unknown stage.
        """
        if from_stage not in ("", "failed", "start", *StageName):
            raise NotPossible("invalid", f"there is no stage {from_stage!r}")
        with self._database.read() as connection:
            old = runs.load(connection, run_id)
            attempts = runs.attempts_of(connection, old) if old else []
        if old is None:
            raise NotPossible("missing", f"there is no run {run_id}")
        if not old.state.final:
            raise NotPossible("conflict", f"run {run_id} is still {old.state}; cancel it first or wait for its end")
        return self._add(self._again(old, actor, len(attempts) + 1))

    def cancel(self, run_id: int, actor: str) -> Run:
        """Ask a run to stop; return it. :raises NotPossible: no such run, or it is over."""
        now = clock()
        at = moment(now)
        with self._database.write() as connection:
            run = ledger.lock(connection, run_id)
            if run is None or at is None:
                raise NotPossible("missing", f"there is no run {run_id}")
            if run.state.final:
                raise NotPossible("conflict", f"run {run_id} is over: {run.state}")
            fact = CancelRequested(by=actor, at_work=claims.held(connection, run_id, now))
            run = ledger.record(connection, self._settings, run, advance(run, fact, at), now)
        self._bell.ring()
        return run

    def approve(self, run_id: int, actor: str) -> Run:
        """Approve a run that waits for it. :raises NotPossible: no such run, over, or approved already."""
        now = clock()
        at = moment(now)
        with self._database.write() as connection:
            run = ledger.lock(connection, run_id)
            if run is None or at is None:
                raise NotPossible("missing", f"there is no run {run_id}")
            if run.state.final or run.approved:
                raise NotPossible("conflict", f"run {run_id} does not wait for approval")
            run = ledger.record(connection, self._settings, run, advance(run, Approved(by=actor), at), now)
        self._bell.ring()
        return run

    def hold(self, app: str, environment: str, why: str, actor: str) -> None:
        """Stop deploys to an environment until it is released. :raises NotPossible: unknown environment."""
        self._require(app, environment)
        with self._database.write() as connection:
            environments.set_hold(connection, app, environment, why or "no reason given", actor, clock())

    def release(self, app: str, environment: str) -> None:
        """Let deploys go on. :raises NotPossible: unknown environment."""
        self._require(app, environment)
        with self._database.write() as connection:
            environments.set_hold(connection, app, environment, "", "", None)
            ledger.wake_waiting(connection, app, environment, clock())
        self._bell.ring()

    def promote(self, app: str, environment: str, actor: str) -> int:
        """Bring what is proven in the environment before (``promote_from``) to this one; return the run's id."""
        configured = self._settings.app(app)
        target = configured.environment(environment) if configured else None
        if configured is None or target is None or not target.promote_from:
            raise NotPossible("invalid", f"{app}/{environment} has no promote_from in the configuration")
        with self._database.read() as connection:
            proven = runs.page(connection, app=app, environment=target.promote_from, state="succeeded", limit=1)
        if not proven:
            raise NotPossible("conflict", f"nothing has succeeded in {app}/{target.promote_from} yet")
        return self._add(promotion_of(proven[0], environment, approved=True, actor=actor))

    def _again(self, old: Run, actor: str, attempt: int) -> runs.NewRun:
        return runs.NewRun(
            app=old.app,
            environment=old.environment,
            trigger=Trigger.RERUN,
            ref=old.ref,
            commit=old.commit,
            image=old.image if not old.commit else "",
            title=old.title,
            author=old.author,
            actor=actor,
            attempt=attempt,
            rerun_of=old.rerun_of or old.id,
        )

    def _add(self, new: runs.NewRun) -> int:
        now = clock()
        with self._database.write() as connection:
            run_id = runs.add(connection, [(new, None)], now)[0]
            wakes.set_due_many(connection, [run_id], now, "deploy")
        self._bell.ring()
        return run_id

    def _check(self, wish: Wish) -> None:
        self._require(wish.app, wish.environment)
        if sum(map(bool, (wish.ref, wish.commit, wish.image))) != 1:
            raise NotPossible("invalid", "name exactly one of ref, commit or image")
        if wish.commit and not is_sha(wish.commit):
            raise NotPossible("invalid", "commit must be a full object id of 40 or 64 hex digits")
        if wish.ref and not is_safe_ref_name(wish.ref):
            raise NotPossible("invalid", "ref is not a name that Git would create")

    def _require(self, app: str, environment: str) -> None:
        found = self._settings.app(app)
        if found is None:
            raise NotPossible("missing", f"there is no app {app!r} in the configuration")
        if found.environment(environment) is None:
            raise NotPossible("missing", f"app {app!r} has no environment {environment!r}")


def promotion_of(proven: Run, environment: str, *, approved: bool, actor: str = "") -> runs.NewRun:
    """Make the run that brings a proven image to the next environment: the same digest, nothing built."""
    return runs.NewRun(
        app=proven.app,
        environment=environment,
        trigger=Trigger.PROMOTION,
        ref=proven.ref,
        commit=proven.commit,
        image=proven.image,
        title=proven.title,
        author=proven.author,
        actor=actor or f"run {proven.id}",
        approved=approved,
    )
