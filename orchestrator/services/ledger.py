"""Writing a decision down: run, stages, wake-ups, places and notifications change together or not at all."""

from collections.abc import Container, Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from orchestrator.domain.apps import Channel, Environment, Settings
from orchestrator.domain.clicks import possible
from orchestrator.domain.messages import KINDS, Message
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import repo_key
from orchestrator.domain.runs import Run, RunState, StageName, Trigger
from orchestrator.domain.wording import next_step, sentence, who_acts
from orchestrator.engine.decision import Decision
from orchestrator.engine.facts import Fact, Superseded
from orchestrator.engine.taking_back import is_to_blame, taken_back
from orchestrator.engine.transitions import advance
from orchestrator.services import accounting, going_back, story, targets
from orchestrator.store import changes, claims, environments, heads, images, notifications, runs, wakes
from orchestrator.store.database import Connection
from orchestrator.store.rows import utc

_HEAVY = frozenset({StageName.BUILD, StageName.PUSH})
_BEGINNINGS = {
    Trigger.MANUAL: "started",
    Trigger.RERUN: "repeated",
    Trigger.PROMOTION: "promoted",
    Trigger.ROLLBACK: "rolled back",
}
"""What a person did who caused a run, by its trigger."""


def queue_of(run: Run) -> str:
    """Name the worker pool for the run's current stage: ``build`` for image work, else ``deploy``."""
    return queue_at(run.current.name if run.current else None)


def queue_at(stage: StageName | None) -> str:
    """Name the worker pool for a stage; None: the run is over."""
    return "build" if stage in _HEAVY else "deploy"


def lock(connection: Connection, run_id: int, fence: int | None = None) -> Run | None:
    """Read a run and keep others out of it and of its environment until the transaction ends.

    None: there is no such run, or, with `fence`, the claim with that number is not the valid one any more.
    The environment is locked before the run, always, so that two transactions cannot wait for each other.
    """
    if connection.dialect.name != "sqlite":  # there, a write transaction keeps everybody out anyway
        _lock_environment(connection, run_id)
    if fence is None:
        return runs.load(connection, run_id, lock=True)
    return runs.load_claimed(connection, run_id, fence)


def _lock_environment(connection: Connection, run_id: int) -> None:
    """Lock the environment of a run, and that to which the run has been moved while we waited for the lock."""
    locked, where = None, runs.where_is(connection, run_id)
    while where is not None and where != locked:
        moved = environments.lock(connection, *where)["moved_app"]
        locked, where = where, runs.where_is(connection, run_id) if moved else where


def record(connection: Connection, settings: Settings, before: Run, decision: Decision, now: float) -> Run:
    """Write down what follows from a fact; return the run as it is now."""
    run = decision.run
    proven = run.state is RunState.SUCCEEDED and not before.state.final
    followers = _followers(settings, run) if proven else ()
    if followers and targets.goes_back(connection, run):
        run, followers = _kept_here(run, followers), ()
    if run.state is RunState.FAILED and not before.state.final:
        run = _take_back(connection, settings, run, now)
    if run != before:
        runs.save(connection, before, run)
        accounting.count(connection, before, run)
    if run.state.final:
        if not before.state.final:
            changes.withdraw(connection, run.id)  # before the wake-up, as the writer of the branch does it
            _doubt_head(connection, settings, run)
            going_back.told(connection, run)
        wakes.drop(connection, run.id)
    elif decision.wake_at is not None:
        wakes.set_due(connection, run.id, decision.wake_at.timestamp(), queue_of(run))
    if before.is_making and not run.is_making:
        wakes.nudge(connection, images.waiting_for(connection, run), now)
    if decision.freed:
        environments.leave(connection, run)
        wake_waiting(connection, run.app, run.environment, now)
    story.told(connection, before, run)
    _notify(connection, settings, run, decision.tell, now)
    _promote(connection, settings, run, followers, now)
    return run


def _doubt_head(connection: Connection, settings: Settings, run: Run) -> None:
    """Have the poll look for a branch anew that its hook has placed where the branch is not: the hook came late.

    Else a push back to there, by a hook that is lost, would be taken for known.
    """
    app = settings.app(run.app)
    if app is not None and run.stage(StageName.CHECK).outputs.get("left"):
        heads.doubt(connection, repo_key(app.source.url), run.ref, run.commit)


def is_at_work(connection: Connection, run: Run, now: float) -> bool:
    """Tell whether work for the run is under way that cannot be stopped from here.

    That is a worker that holds the run, or the writer of its GitOps branch that has taken its change.
    """
    return claims.held(connection, run.id, now) or _is_committing(connection, run)


def advanced(connection: Connection, run: Run, fact: Fact, at: datetime) -> Decision:
    """Decide what follows from a fact, and mind that the change of a run that would end here may be in Git."""
    decision = advance(run, fact, at)
    ends = decision.run.state.final and not decision.run.committed
    return advance(run, fact, at, committing=True) if ends and _is_committing(connection, run) else decision


def _is_committing(connection: Connection, run: Run) -> bool:
    """Tell whether the run's change is being pushed, or has landed and the run does not know it yet."""
    if run.current is None or run.current.name is not StageName.COMMIT:
        return False
    change = changes.load(connection, run.id, lock=True)
    return change is not None and change["state"] in ("taken", "landed")


def promotion_of(proven: Run, environment: str, *, approved: bool, actor: str = "") -> runs.NewRun:
    """Make the run that brings a proven image to the next environment: the same digest, nothing built."""
    return runs.NewRun(
        app=proven.app,
        environment=environment,
        trigger=Trigger.PROMOTION,
        ref=proven.ref,
        commit=proven.commit,
        image=proven.image,
        digest=proven.digest,
        title=proven.title,
        author=proven.author,
        actor=actor or f"run {proven.id}",
        approved=approved,
    )


def rollback_to(target: Run, actor: str) -> runs.NewRun:
    """Make the run that brings a proven image back to its environment, for a person or for the run that failed."""
    return replace(promotion_of(target, target.environment, approved=True, actor=actor), trigger=Trigger.ROLLBACK)


def _take_back(connection: Connection, settings: Settings, run: Run, now: float) -> Run:
    """Bring back what was proven before a run that has failed, where its environment wants that; return the run.

    The environment is held, so that neither the same image nor one that is queued already comes over it: a person
    decides when to go on. Where somebody goes back already, or a newer change is being committed, that is enough.
    """
    if not _is_taken_back(connection, settings, run):
        return run
    place, proven = environments.occupancy(connection, run, now), targets.before(connection, run)
    if proven is None or (place.making and place.making.committing):
        return run
    by = runs.going_back(connection, run.app, run.environment) or _go_back(connection, run, proven, now)
    if not place.hold:
        going_back.hold(connection, run, by, now)
    return taken_back(run, by)


def _is_taken_back(connection: Connection, settings: Settings, run: Run) -> bool:
    """Tell whether to take a failed run back: what it brought is to blame, and is what Git has."""
    app = settings.app(run.app)
    environment = app.environment(run.environment) if app else None
    if environment is None or not environment.rollback or not is_to_blame(run) or run.is_unwanted:
        return False
    newest = runs.landed(connection, run.app, run.environment)
    return newest is not None and newest.id == run.id and not runs.is_rollback(connection, run)


def _go_back(connection: Connection, run: Run, proven: Run, now: float) -> int:
    new = rollback_to(proven, f"run {run.id}")
    run_id = runs.add(connection, [(new, None)], now)[0]
    wakes.add(connection, [run_id], now, "deploy")
    story.queued(connection, run_id, new, now)
    return run_id


def _followers(settings: Settings, run: Run) -> tuple[Environment, ...]:
    """List the environments that are promoted from that of `run`."""
    app = settings.app(run.app)
    return tuple(one for one in app.environments if one.promote_from == run.environment) if app else ()


def _kept_here(run: Run, followers: Iterable[Environment]) -> Run:
    """Note in the run that a rollback is not promoted: a person decides whether to go back elsewhere, too."""
    names = " and ".join(one.name for one in followers)
    why = f"this went back to something older, so it is not promoted to {names} by itself"
    return replace(run, detail="; ".join(filter(None, (run.detail, why))))


def _promote(
    connection: Connection, settings: Settings, proven: Run, followers: Iterable[Environment], now: float
) -> None:
    """Queue the proven image for the environments that are promoted from this one.

    Environments are locked in the order of promotion: this one is already, and nobody goes the other way.
    """
    for environment in followers:
        environments.lock(connection, proven.app, environment.name)
        new = promotion_of(proven, environment.name, approved=not environment.approval)
        run_id = runs.add(connection, [(new, None)], now)[0]
        wakes.add(connection, [run_id], now, "deploy")
        story.queued(connection, run_id, new, now)
        give_way(connection, settings, run_id, now)


def give_way(connection: Connection, settings: Settings, run_id: int, now: float) -> None:
    """End older promotions, or runs of older commits, in favour of a run that is new or newly approved."""
    run = lock(connection, run_id)
    if run is not None:
        promoted = run.trigger is Trigger.PROMOTION
        for older in runs.older_promotions(connection, run) if promoted else runs.overtaken(connection, run):
            supersede(connection, settings, older, run.id, now)


def overtake(connection: Connection, settings: Settings, run: Run, older: Iterable[int], now: float) -> None:
    """End runs of older commits in favour of `run`; those that were approved go on until it is, too."""
    for one in older:
        other = runs.load(connection, one)
        if other is not None and (run.approved or not other.approved):
            supersede(connection, settings, one, run.id, now)


def wake_waiting(connection: Connection, app: str, environment: str, now: float) -> None:
    """Have every run that waits for its turn in an environment look again."""
    for run_id in sorted(runs.waiting_in(connection, app, environment)):  # so no two who wake the same ones lock up
        other = runs.load(connection, run_id)
        if other is not None:
            wakes.set_due(connection, other.id, now, queue_of(other))


def supersede(connection: Connection, settings: Settings, run_id: int, by: int, now: float) -> bool:
    """End a run in favour of another; if a worker has it, it stops at its next checkpoint. False: it was over.

    The caller has locked its environment.
    """
    run = runs.load(connection, run_id, lock=True)
    if run is None or run.state.final:
        return False
    fact = Superseded(by=by, at_work=is_at_work(connection, run, now))
    record(connection, settings, run, advance(run, fact, utc(now)), now)
    return True


def _notify(connection: Connection, settings: Settings, run: Run, types: tuple[str, ...], now: float) -> None:
    known = _repo_told(connection, settings, run) if types else {}
    for type_ in types:
        for channel in settings.channels:
            if _is_told(channel, run, type_, known):
                if KINDS[channel.kind].merge:
                    notifications.merge_older(connection, run.id, channel.name)
                message = message_of(settings, run, type_, channel.name, now)
                message = replace(message, repo=message.repo or known.get(channel.name, ""))
                notifications.add(connection, [row_of(message, channel.name, now)])


def _repo_told(connection: Connection, settings: Settings, run: Run) -> dict[str, str]:
    """Return which channels were told of a run whose app has left the configuration, and of which repository.

    They are told of its end, too: else it would look for ever as if it went on.
    """
    if settings.app(run.app) is not None:
        return {}
    return {row["channel"]: str(row["message"].get("repo", "")) for row in notifications.of_run(connection, run.id)}


def _is_told(channel: Channel, run: Run, type_: str, known: Container[str]) -> bool:
    if channel.apps and run.app not in channel.apps and channel.name not in known:
        return False
    wanted = {f"run.{state}" for state in channel.on} or KINDS[channel.kind].types
    return type_ in wanted


def row_of(message: Message, channel: str, now: float) -> dict[str, Any]:
    """Return a message as it waits to be sent to a channel."""
    return {
        "run_id": message.run,
        "channel": channel,
        "type": message.type,
        "message": asdict(message),
        "state": "pending",
        "due_at": now,
        "created_at": now,
    }


def message_of(settings: Settings, run: Run, type_: str, channel: str, now: float) -> Message:
    """Make the message about the state that a run has entered at `now`, for any channel."""
    actor, action = acted(run)
    app = settings.app(run.app)
    return Message(
        id=f"run-{run.id}-{_state_id(run, type_)}-{channel}".replace(".", "-"),
        type=type_,
        run=run.id,
        app=run.app,
        environment=run.environment,
        state=run.state.value,
        reason=run.reason.value,
        sentence=sentence(run.reason, run.detail),
        next_step=next_step(run),
        who_acts=who_acts(run),
        commit=run.commit,
        title=run.title,
        author=run.author,
        image=run.image,
        digest=run.digest,
        gitops_commit=str(run.outputs.get("gitops_commit", "")),
        attempt=run.attempt,
        trigger=run.trigger.value,
        at=utc(now).isoformat().replace("+00:00", "Z"),
        seconds=run.seconds,
        url=f"{settings.external_url}/runs/{run.id}" if settings.external_url else "",
        stages=tuple((stage.name.value, stage.state.value, stage.seconds) for stage in run.stages),
        actor=actor,
        action=action,
        repo=app.source.url if app else "",
        ref=run.ref,
        buttons=possible(run),
        waited_seconds=run.waited_seconds,
    )


def acted(run: Run) -> tuple[str, str]:
    """Return the person who was the last to act on a run, and what that person did; ("", "") when none did.

    The one who pushed is the author of a commit and has not acted here.
    """
    if run.reason is Reason.CANCELLED and run.cancelled_by:
        return run.cancelled_by, "cancelled"
    if run.approved_by:
        return run.approved_by, "approved"
    begun = _BEGINNINGS.get(run.trigger, "")
    return (run.actor, begun) if begun and run.actor and not run.follows_a_run else ("", "")


def _state_id(run: Run, type_: str) -> str:
    stage = run.current.name.value if run.current else ""
    return f"{type_}-{stage}" if type_ == "run.progressed" else type_
