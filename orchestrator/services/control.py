"""What people ask for: start, re-run, cancel, approve, hold, release."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from orchestrator.domain.apps import App, Environment, Settings
from orchestrator.domain.refs import is_safe_ref_name, is_sha
from orchestrator.domain.runs import Run, StageName, Trigger
from orchestrator.domain.wording import Worded, worded
from orchestrator.engine.facts import Approved, CancelRequested
from orchestrator.engine.matching import watched_branches
from orchestrator.engine.transitions import advance
from orchestrator.services import approvals, ledger, story, targets
from orchestrator.services.bell import Bell
from orchestrator.services.once import Once
from orchestrator.store import environments, names, polls, runs, wakes
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock
from orchestrator.store.rows import utc


class NotPossible(Exception):
    """The request cannot be carried out: one sentence.

    :param kind: ``missing`` (no such thing), ``invalid`` (the request is wrong) or ``conflict`` (not in this state).
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualRun:
    """A manual run: exactly one of `ref` (branch or tag), `commit` (full id) or `image` (tag or digest)."""

    app: str
    environment: str
    ref: str = ""
    commit: str = ""
    image: str = ""
    actor: str = ""


class Control:
    """Carries out what people ask for.

    Each call takes `once`, with which a repeated request does nothing and gets the answer of the first
    (:raises Repeated, KeyReused: see `orchestrator.services.once`).
    """

    def __init__(self, database: Database, settings: Settings, bell: Bell) -> None:
        self._database = database
        self._settings = settings
        self._bell = bell

    def start(self, manual: ManualRun, *, once: Once | None = None) -> int:
        """Start a manual run; return its id.

        :raises NotPossible: unknown app, not exactly one source, or an image that the environment has no place for.
        """
        self._check(manual)
        new = runs.NewRun(
            app=manual.app,
            environment=manual.environment,
            trigger=Trigger.MANUAL,
            ref=manual.ref,
            commit=manual.commit,
            image=manual.image,
            actor=manual.actor,
            approved=not self._needs_approval(manual.app, manual.environment),
        )
        with self._asked(once) as connection:
            return self._add(connection, new, once)

    def rerun(self, run_id: int, actor: str, from_stage: str = "", *, once: Once | None = None) -> int:
        """Start a new run for the same commit or image; return its id.

        Every stage looks first at what is already proven (image in the registry, value in Git) and reuses that;
        the stage that failed, and those after it, really run. What a person insisted on holds for the new run, too.

        :param from_stage: a stage name, ``failed``, ``start`` or "" (the same as ``failed``). From ``build`` the
            image is made anew and gets a tag of its own, because a pushed image is never replaced; a tag that a
            person named is looked up again.
        :raises NotPossible: no such run, its environment is not configured (any more), it or a later attempt is still
            active, or an unknown stage.
        """
        if from_stage not in ("", "failed", "start", *StageName):
            raise NotPossible("invalid", worded("there is no stage `{stage}`", stage=from_stage))
        with self._asked(once) as connection:
            old = ledger.lock(connection, run_id)
            if old is None:
                raise NotPossible("missing", worded("there is no run {run}", run=run_id))
            self._require(old.app, old.environment)  # else nobody here knows whether it needs approval
            if old.rerun_of is not None:
                ledger.lock(connection, old.rerun_of)
            attempts = runs.attempts_of(connection, old)
            last = runs.load(connection, attempts[-1]) or old
            if not last.state.final:
                raise NotPossible("conflict", _not_over(last))
            new = _again(old, runs.repeated(connection, old), actor, from_stage)
            approved = not self._needs_approval(old.app, old.environment) or (
                old.approved and not approvals.was_let_through(connection, old)
            )
            return self._add(connection, replace(new, attempt=len(attempts) + 1, approved=approved), once)

    def cancel(self, run_id: int, actor: str, *, once: Once | None = None) -> Run:
        """Ask a run to stop; return it. :raises NotPossible: no such run, or it is over."""
        now = clock()
        with self._asked(once) as connection:
            run = ledger.lock(connection, run_id)
            if run is None:
                raise NotPossible("missing", worded("there is no run {run}", run=run_id))
            if run.state.final:
                raise NotPossible(
                    "conflict", worded("run {run} is over: {state}", run=run_id, state=worded(run.state))
                )
            fact = CancelRequested(by=actor, at_work=ledger.is_at_work(connection, run, now))
            run = ledger.record(connection, self._settings, run, advance(run, fact, utc(now)), now)
            _settle(once, connection, run)
        return run

    def approve(self, run_id: int, actor: str, *, once: Once | None = None) -> Run:
        """Approve a run that waits for it. :raises NotPossible: no such run, over, cancelled, or approved already."""
        now = clock()
        with self._asked(once) as connection:
            run = ledger.lock(connection, run_id)
            if run is None:
                raise NotPossible("missing", worded("there is no run {run}", run=run_id))
            if run.state.final or run.approved or run.cancel_requested:
                raise NotPossible("conflict", worded("run {run} does not wait for approval", run=run_id))
            run = ledger.record(connection, self._settings, run, advance(run, Approved(by=actor), utc(now)), now)
            ledger.give_way(connection, self._settings, run.id, now)
            _settle(once, connection, run)
        return run

    def hold(self, app: str, environment: str, why: str, actor: str, *, once: Once | None = None) -> None:
        """Stop deploys to an environment until it is released. :raises NotPossible: unknown environment."""
        self._require(app, environment)
        with self._asked(once) as connection:
            app, environment = names.lock_home(connection, (app, environment))
            environments.set_hold(connection, app, environment, why or "no reason given", actor, clock())
            _settle(once, connection, None)

    def release(self, app: str, environment: str, *, once: Once | None = None) -> None:
        """Let deploys go on. :raises NotPossible: the environment is neither configured nor on hold."""
        with self._asked(once) as connection:
            given, (app, environment) = (app, environment), names.lock_home(connection, (app, environment))
            if not environments.is_held(connection, app, environment):
                self._require(*given)
            environments.set_hold(connection, app, environment, "", "", None)
            ledger.wake_waiting(connection, app, environment, clock())
            _settle(once, connection, None)

    def promote(
        self, app: str, environment: str, actor: str, of: int | None = None, *, once: Once | None = None
    ) -> int:
        """Bring what is proven in the environment before (``promote_from``) to this one; return the run's id.

        That environment is locked, as by a run that succeeds there and is promoted by itself: else what was proven
        before could go over it.

        :param of: the run there whose image is wanted; None: the newest.
        :raises NotPossible: unknown environment, nothing to promote from, or nothing proven there yet.
        """
        self._require(app, environment)
        configured, place = self._settings.app(app), f"{app}/{environment}"
        target = configured.environment(environment) if configured else None
        if configured is None or target is None or not target.promote_from:
            text = worded("the environment {place} has no `promote_from` in the configuration", place=place)
            raise NotPossible("invalid", text)
        with self._asked(once) as connection:
            source = names.lock_home(connection, (app, target.promote_from))
            proven = targets.of_promotion(connection, *source, of)
            if proven is None:
                raise NotPossible("conflict", _nothing_proven(f"{app}/{target.promote_from}", of))
            home = names.home(connection, (app, environment))
            new = ledger.promotion_of(proven, home[1], approved=True, actor=actor)
            run_id = self._add(connection, new, once)
            ledger.give_way(connection, self._settings, run_id, clock())
            return run_id

    def rollback(
        self,
        app: str,
        environment: str,
        actor: str,
        to: int | None,
        *,
        of: int | None = None,
        once: Once | None = None,
    ) -> int:
        """Bring back the image of an earlier run by a new commit (no history is rewritten); return the new run's id.

        :param to: the run whose image is wanted; None: the last one proven with another image than the present.
        :param of: the run that is to be undone; None: whichever is there.
        :raises NotPossible: unknown environment, nothing proven to go back to, or `of` is not there any more.
        """
        self._require(app, environment)
        with self._asked(once) as connection:
            home = names.lock_home(connection, (app, environment))  # no run lands, or goes back, before ours is there
            there = runs.landed(connection, *home) if of is not None else None
            if of is not None and (there is None or there.id != of):
                raise NotPossible("conflict", _moved_on(f"{app}/{environment}", there))
            target = targets.of_rollback(connection, *home, to)
            if target is None:
                raise NotPossible("conflict", _nothing_before(f"{app}/{environment}", to))
            return self._add(connection, ledger.rollback_to(target, actor), once)

    def poll(self, app: str, actor: str, *, once: Once | None = None) -> None:
        """Have the branches of an app compared now, as for hooks that were lost.

        :raises NotPossible: no such app, or none of its branches can be polled.
        """
        configured = self._app(app)
        if not watched_branches(configured):
            text = worded("`{app}` names no branch exactly, and of others only hooks tell", app=app)
            raise NotPossible("conflict", text)
        with self._asked(once) as connection:
            polls.ask(connection, app, actor, clock())
            _settle(once, connection, None)

    @contextmanager
    def _asked(self, once: Once | None) -> Iterator[Connection]:
        """Open the transaction of a request, and ring when it is durable."""
        with self._database.write() as connection:
            if once is not None:
                once.claim(connection, clock())
            yield connection
        self._bell.ring()

    def _add(self, connection: Connection, new: runs.NewRun, once: Once | None) -> int:
        now = clock()
        run_id = runs.add(connection, [(new, None)], now)[0]
        wakes.add(connection, [run_id], now, "deploy")
        story.queued(connection, run_id, new, now)
        _settle(once, connection, runs.load(connection, run_id))
        return run_id

    def _check(self, manual: ManualRun) -> None:
        self._require(manual.app, manual.environment)
        if sum(map(bool, (manual.ref, manual.commit, manual.image))) != 1:
            raise NotPossible("invalid", worded("name exactly one of ref, commit or image"))
        if manual.commit and not is_sha(manual.commit):
            raise NotPossible("invalid", worded("commit must be a full object id of 40 or 64 hex digits"))
        if manual.ref and not is_safe_ref_name(manual.ref):
            raise NotPossible("invalid", worded("ref is not a name that Git would create"))
        environment = self._configured(manual.app, manual.environment)
        fault = environment.fault_of(manual.image) if environment else ""
        if fault:
            raise NotPossible("invalid", fault)

    def _needs_approval(self, app: str, environment: str) -> bool:
        configured = self._configured(app, environment)
        return configured is not None and configured.approval

    def _configured(self, app: str, environment: str) -> Environment | None:
        found = self._settings.app(app)
        return found.environment(environment) if found else None

    def _app(self, app: str) -> App:
        found = self._settings.app(app)
        if found is None:
            known = _names(self._settings.apps)
            raise NotPossible("missing", worded("there is no app `{app}`; known are {known}", app=app, known=known))
        return found

    def _require(self, app: str, environment: str) -> None:
        found = self._app(app)
        if found.environment(environment) is None:
            raise NotPossible("missing", _no_environment(app, environment, _names(found.environments)))


def _not_over(run: Run) -> Worded:
    state = worded(run.state)
    return worded("run {run} is still {state}; cancel it first or wait for its end", run=run.id, state=state)


def _no_environment(app: str, name: str, known: str) -> Worded:
    return worded("the app `{app}` has no environment `{name}`; known are {known}", app=app, name=name, known=known)


def _nothing_proven(place: str, run: int | None) -> Worded:
    if run:
        return worded("run {run} has not succeeded in {place} yet", run=run, place=place)
    return worded("nothing has succeeded in {place} yet", place=place)


def _moved_on(place: str, newest: Run | None) -> Worded:
    if newest:
        return worded(
            "the environment {place} has moved on: run {run} is the newest there", place=place, run=newest.id
        )
    return worded("the environment {place} has moved on: nothing is there", place=place)


def _nothing_before(place: str, run: int | None) -> Worded:
    if run:
        return worded(
            "there is nothing to go back to: run {run} has not been proven in {place}", run=run, place=place
        )
    return worded("there is nothing to go back to: nothing else was proven yet")


def _names(known: Sequence[App] | Sequence[Environment]) -> str:
    return ", ".join(one.name for one in known) or "none"


def _settle(once: Once | None, connection: Connection, run: Run | None) -> None:
    if once is not None:
        once.settle(connection, run)


def _again(old: Run, first: Run, actor: str, from_stage: str) -> runs.NewRun:
    """Make the run that repeats `old`. `first` is what they all repeat: it tells what kind of run they are."""
    anew = from_stage == StageName.BUILD
    given = first.trigger in (Trigger.PROMOTION, Trigger.ROLLBACK) or not (first.commit or first.ref)
    if not given and old.from_stage == StageName.BUILD and not old.image:
        from_stage = StageName.BUILD  # the new image that was wanted has not even got a name yet
    return runs.NewRun(
        app=old.app,
        environment=old.environment,
        trigger=Trigger.RERUN,
        ref=old.ref,
        commit=old.commit,
        image=old.image if given or not anew else "",
        # an image of a commit has its digest read again under its name, and is built again where it is gone
        digest=old.digest if given and not (anew and first.trigger is Trigger.MANUAL) else "",
        title=old.title,
        author=old.author,
        actor=actor,
        rerun_of=first.id,
        from_stage=from_stage,
    )
