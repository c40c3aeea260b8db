"""The transition function: ``advance(run, fact, now)`` says what a run becomes and when it is looked at next.

It is total: every fact has an answer in every state, and a finished run never moves again.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from orchestrator.domain.reasons import BY_OTHERS, Reason
from orchestrator.domain.runs import (
    Done,
    Fail,
    Outcome,
    Run,
    RunState,
    Stage,
    StageState,
    Wait,
    closed,
)
from orchestrator.engine.decision import Decision, in_doubt, leaves_open, put_off
from orchestrator.engine.facts import (
    Approved,
    Blocked,
    CancelRequested,
    Claimed,
    Fact,
    LeaseExpired,
    Reported,
    Stopped,
    Superseded,
    Troubled,
)
from orchestrator.engine.policy import POLICIES, RetryPolicy

_LIFTED = ("commit", "image", "digest", "title", "author", "ref")
"""Outputs of stages that are facts about the run itself."""
_OVERTIME = "overtime"
"""Output of a stage that may look once more after its deadline, to confirm what it found: when that look is due, in
seconds since the epoch. A look before then, caused by an event, decides nothing."""
_LAST_TRIES = RetryPolicy().attempts
"""Tries in a row after the time of a stage that waits for others: who does not answer just then is to hide neither a
success nor why there is none."""
_UNSEEN = 60.0
"""Seconds by which a look may be late. If it is later, nobody could look, as while all processes were stopped."""
_ASKED = "approval_asked"
"""Output of a stage that waits, or has waited, for approval: people were told of that once."""


def advance(run: Run, fact: Fact, now: datetime, *, committing: bool = False) -> Decision:
    """Return what `run` becomes when `fact` happens at `now`.

    Facts that come too late (for a finished run, or for a stage that is no longer the current one) change nothing.

    :param committing: its change is being pushed, or was and the run has not seen it yet: a run that is to stop ends
        when it has seen it, or when its time is over; one that ends before says so.
    """
    current = run.current
    if run.state.final or current is None or _is_late(fact, current):
        return Decision(run=run)
    if not committing:
        return _decided(run, current, fact, now)
    if not (run.is_unwanted and leaves_open(fact)):
        return in_doubt(_decided(run, current, fact, now))
    goes_on = _decided(replace(run, cancel_requested=False, superseded_by=None), current, fact, now)
    return put_off(run, goes_on) if not goes_on.run.state.final else in_doubt(_end(run, current, now))


def _decided(run: Run, current: Stage, fact: Fact, now: datetime) -> Decision:
    policy = POLICIES[current.name]
    match fact:
        case Claimed():
            return _claimed(run, current, fact, now)
        case Reported():
            return _reported(run, current, fact.outcome, now)
        case Troubled():
            return _troubled(run, current, fact, policy, now)
        case Stopped():
            return _end(run, current, now)
        case LeaseExpired():
            return _lease_expired(run, current, fact, policy, now)
        case Blocked():
            return _blocked(run, current, fact, now)
        case CancelRequested():
            detail = f"cancelled by {fact.by}" if fact.by else "cancelled"
            asked = replace(_noted(run, current, cancelled_by=fact.by), cancel_requested=True, detail=detail)
            return _stop(asked, asked.stage(current.name), fact.at_work, now)
        case Superseded():
            return _stop(replace(run, superseded_by=fact.by), current, fact.at_work, now)
        case Approved():
            return _approved(run, current, fact, now)
        case _:  # pragma: no cover
            assert_never(fact)


def _is_late(fact: Fact, current: Stage) -> bool:
    """Tell whether a worker reports on a stage that is over, or that it has not claimed."""
    match fact:
        case Claimed(stage=name):
            return name is not current.name
        case Reported(stage=name) | Troubled(stage=name) | Stopped(stage=name):
            return name is not current.name or current.state is not StageState.RUNNING
        case _:
            return False


def _claimed(run: Run, current: Stage, fact: Claimed, now: datetime) -> Decision:
    first = current.started_at is None
    stage = replace(
        current,
        state=StageState.RUNNING,
        reason=Reason.RUNNING,
        detail="" if first else current.detail,  # what it waited for before it began is over
        attempt=max(1, current.attempt),
        started_at=current.started_at or now,
        deadline_at=now + timedelta(seconds=fact.timeout) if first or _ran_out(current, now) else current.deadline_at,
        wake_at=None,
    )
    started = run.started_at is None
    moved = _with(run, stage, RunState.RUNNING, Reason.RUNNING, f"{stage.name}")
    moved = replace(moved, blocked_by=None, started_at=run.started_at or now)
    return Decision(run=moved, tell=("run.started",) if started else ("run.progressed",) if first else ())


def _ran_out(stage: Stage, now: datetime) -> bool:
    """Tell whether the time of a stage ran out while nobody could look.

    It begins anew then: after an outage of everything, the services are back later than we are, or just come up.
    """
    if stage.wake_at is None or stage.deadline_at is None or now < stage.deadline_at:
        return False
    return (now - stage.wake_at).total_seconds() > _UNSEEN


def _reported(run: Run, current: Stage, outcome: Outcome, now: datetime) -> Decision:
    match outcome:
        case Done():
            return _done(run, current, outcome, now)
        case Wait():
            return _wait(run, current, outcome, now)
        case Fail():
            return _fail(run, current, outcome.reason, outcome.detail, now, outcome.outputs)
        case _:  # pragma: no cover
            assert_never(outcome)


def _done(run: Run, current: Stage, done: Done, now: datetime) -> Decision:
    stage = replace(
        current,
        state=StageState.SKIPPED if done.reason is Reason.NOT_CONFIGURED else StageState.SUCCEEDED,
        reason=Reason.REUSED if done.reused and done.reason is Reason.DONE else done.reason,
        detail=done.detail,
        reused=done.reused,
        finished_at=now,
        wake_at=None,
        outputs={**current.outputs, **done.outputs},
    )
    moved = _with(_lift(run, done.outputs), stage, RunState.RUNNING, Reason.RUNNING, "")
    following = moved.current
    if following is None:
        ended = replace(moved, state=RunState.SUCCEEDED, reason=Reason.HEALTHY, detail=done.detail, finished_at=now)
        return Decision(run=ended, tell=("run.succeeded",), freed=True)
    if run.is_unwanted:
        return _end(moved, following, now)
    return Decision(run=moved, wake_at=now)


def _wait(run: Run, current: Stage, wait: Wait, now: datetime) -> Decision:
    if run.is_unwanted:
        return _end(run, current, now)
    outputs = {**current.outputs, **wait.outputs}
    if current.deadline_at is not None and now >= current.deadline_at:
        confirmed_at = float(current.outputs.get(_OVERTIME, now.timestamp() + (wait.after or 0.0)))
        if not wait.confirm or (_OVERTIME in current.outputs and now.timestamp() >= confirmed_at):
            return _fail(run, current, Reason.TIMED_OUT, _late_text(current, wait.detail, now), now, outputs)
        outputs[_OVERTIME] = confirmed_at
    wake_at = _bounded(now, wait.after, None if wait.confirm else current.deadline_at)
    stage = replace(
        current,
        state=StageState.WAITING,
        reason=wait.reason,
        detail=wait.detail,
        attempt=1,
        wake_at=wake_at,
        outputs=outputs,
    )
    return Decision(run=_with(run, stage, RunState.WAITING, wait.reason, wait.detail), wake_at=wake_at)


def _fail(
    run: Run, current: Stage, reason: Reason, detail: str, now: datetime, outputs: Mapping[str, Any]
) -> Decision:
    stage = replace(
        current,
        state=StageState.FAILED,
        reason=reason,
        detail=detail,
        finished_at=now,
        wake_at=None,
        outputs={**current.outputs, **outputs},
    )
    if reason in BY_OTHERS:
        stage = replace(stage, state=StageState.CANCELLED)
        ended = replace(_with(run, stage, RunState.CANCELLED, reason, detail), finished_at=now)
        return Decision(run=ended, tell=("run.cancelled",), freed=True)
    ended = _with(run, stage, RunState.FAILED, reason, detail)
    return Decision(run=replace(ended, finished_at=now), tell=("run.failed",), freed=True)


def _troubled(run: Run, current: Stage, fact: Troubled, policy: RetryPolicy, now: datetime) -> Decision:
    if run.is_unwanted:
        return _end(run, current, now)
    late = current.deadline_at is not None and now >= current.deadline_at
    spent = policy.attempts > 0 and current.attempt >= policy.attempts
    if spent or (late and (policy.attempts > 0 or current.attempt >= _LAST_TRIES)):
        tries = f" ({current.attempt} attempts)" if spent else ""
        return _fail(run, current, fact.reason, fact.detail + tries, now, {})
    pause = policy.pause(current.attempt)
    wake_at = (
        _bounded(now, pause, None)
        if late
        else _bounded(now, max(pause, fact.retry_after or 0.0), current.deadline_at)
    )
    stage = replace(
        current,
        state=StageState.WAITING,
        reason=Reason.RETRYING,
        detail=fact.detail,
        attempt=current.attempt + 1,
        wake_at=wake_at,
    )
    return Decision(run=_with(run, stage, RunState.WAITING, Reason.RETRYING, fact.detail), wake_at=wake_at)


def _lease_expired(run: Run, current: Stage, fact: LeaseExpired, policy: RetryPolicy, now: datetime) -> Decision:
    if current.state is not StageState.RUNNING:
        return Decision(run=run, wake_at=now)
    if run.is_unwanted:
        return _end(run, current, now)
    crashes = int(current.outputs.get("crashes", 0)) + 1
    if crashes >= policy.crashes:
        detail = f"the worker vanished {crashes} times during {current.name}"
        return _fail(run, current, Reason.ATTEMPTS_EXHAUSTED, detail, now, {"crashes": crashes})
    stage = replace(
        current,
        state=StageState.WAITING,
        reason=Reason.RETRYING,
        detail="the worker vanished; another takes over",
        wake_at=now - timedelta(seconds=fact.ago),
        outputs={**current.outputs, "crashes": crashes},
    )
    return Decision(run=_with(run, stage, RunState.WAITING, Reason.RETRYING, stage.detail), wake_at=now)


def _blocked(run: Run, current: Stage, fact: Blocked, now: datetime) -> Decision:
    wake_at = _bounded(now, fact.after, None)
    asks = fact.reason is Reason.AWAITING_APPROVAL
    outputs = {**current.outputs, **fact.outputs, **({_ASKED: True} if asks else {})}
    begun = replace(current, attempt=0, started_at=None, deadline_at=None) if fact.anew else current
    stage = replace(
        begun,
        state=StageState.WAITING,
        reason=fact.reason,
        detail=fact.detail,
        wake_at=wake_at,
        outputs=outputs,
    )
    moved = _with(run, stage, RunState.WAITING, fact.reason, fact.detail)
    begins = asks and run.reason is not Reason.AWAITING_APPROVAL and _ASKED not in current.outputs
    tell = ("run.waiting",) if begins else ()
    return Decision(run=replace(moved, blocked_by=fact.by), wake_at=wake_at, tell=tell)


def _approved(run: Run, current: Stage, fact: Approved, now: datetime) -> Decision:
    """Let the run go on. Who approved it is kept with the stage: the next step overwrites the run's own detail."""
    noted = _noted(run, current, approved_by=fact.by, approved_at=now.isoformat())
    detail = f"approved by {fact.by}" if fact.by else "approved"
    return Decision(run=replace(noted, approved=True, detail=detail), wake_at=now)


def _stop(run: Run, current: Stage, at_work: bool, now: datetime) -> Decision:
    """End the run at once, or leave that to the worker that has it: its report is then the run's last step."""
    if at_work:
        return Decision(run=run)
    return _end(run, current, now)


def _end(run: Run, current: Stage, now: datetime) -> Decision:
    """Cancel the run: by a newer run if there is one, else by a person."""
    if run.superseded_by is not None and not run.cancel_requested:
        reason, detail = Reason.SUPERSEDED, f"superseded by run {run.superseded_by}"
    else:
        reason, detail = Reason.CANCELLED, run.detail if run.detail.startswith("cancelled") else "cancelled"
    if run.committed:
        detail += " after its change was committed"
    stage = replace(current, state=StageState.CANCELLED, reason=reason, detail=detail, finished_at=now, wake_at=None)
    ended = replace(_with(run, stage, RunState.CANCELLED, reason, detail), finished_at=now, blocked_by=None)
    return Decision(run=ended, tell=("run.cancelled",), freed=True)


def _with(run: Run, stage: Stage, state: RunState, reason: Reason, detail: str) -> Run:
    """The one place where a run's state and its reason change, together with the stage that caused it.

    A run that ends here ends with this stage: those behind it are skipped.
    """
    stages = tuple(stage if stage.name is old.name else old for old in run.stages)
    stages = closed(stages) if state.final else stages
    if run.cancel_requested and state is RunState.RUNNING:
        detail = run.detail
    return replace(run, stages=stages, state=state, reason=reason, detail=detail)


def _noted(run: Run, current: Stage, **facts: str) -> Run:
    """Write what a person did to the outputs of the current stage, where it lasts as long as the run does."""
    stage = replace(current, outputs={**current.outputs, **facts})
    return replace(run, stages=tuple(stage if stage.name is old.name else old for old in run.stages))


def _lift(run: Run, outputs: Mapping[str, Any]) -> Run:
    lifted: dict[str, Any] = {key: str(outputs[key]) for key in _LIFTED if key in outputs}
    return replace(run, **lifted)


def _bounded(now: datetime, after: float | None, deadline: datetime | None) -> datetime | None:
    if after is None:
        return deadline
    wake_at = now + timedelta(seconds=after)
    return wake_at if deadline is None else min(wake_at, deadline)


def _late_text(stage: Stage, last: str, now: datetime) -> str:
    seconds = (now - stage.started_at).total_seconds() if stage.started_at else 0.0
    return f"{stage.name} not done after {seconds:.0f} s" + (f"; last seen: {last}" if last else "")
