"""Is our commit deployed and healthy? One Argo CD object in, one verdict out; no I/O, no clock.

The rule, evaluated on ONE object at a time (fields of different responses never mix):

1. The application is not being deleted, and no refresh that somebody asked for is outstanding.
2. What Argo CD compared with is our commit or contains it with our value in force.
3. No operation is requested or under way; the last one that applied our commit succeeded, hooks included. One that
   belongs to another commit says nothing about ours.
4. The comparison found Git and cluster in sync, and it was made after that operation ended.
5. The application is healthy and a pod runs our image.

What can pass by itself (Degraded, an error of one comparison) must last: the verdict carries a ``memory`` that the
caller hands back with the next look.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.reasons import Reason
from workers.gitops.application import Condition, Hydration, names
from workers.gitops.comparison import ERRORS, is_passing, is_remembered, reason_of
from workers.gitops.fingerprint import LIST_FIELDS, fingerprint
from workers.gitops.live import IMAGE_GRACE, judge_live
from workers.gitops.look import LATER, SOON, STEADY, Expected, Look, Verdict, VerdictKind, look_at
from workers.gitops.words import LIMIT, one_line

__all__ = [
    "IMAGE_GRACE",
    "LIST_FIELDS",
    "Expected",
    "Verdict",
    "VerdictKind",
    "compared_badly",
    "fingerprint",
    "judge",
    "remembered",
]

ERROR_GRACE = 20.0
"""Seconds that an error of a comparison must last: a refresh reports passing ones at once."""
SLOW_ERROR_GRACE = 180.0
"""The same for errors older than our push and for an unreachable repository; Argo CD holds those back as long."""
_REVISION = re.compile(r"\b[0-9a-f]{40,64}\b")
"""A commit in the words of a condition."""


def judge(
    application: Mapping[str, Any], expected: Expected, now: datetime, memory: Mapping[str, Any] | None = None
) -> Verdict:
    """Judge one look at an application.

    :param application: the object of ``GET /api/v1/applications/{name}``; a trimmed or odd one leads to waiting.
    :param now: the time of the look (aware). :param memory: that of the verdict before; None at the first look.
    """
    look = look_at(application, expected, now, memory or {})
    if compared_badly(look.memory) and _error(look) is None:  # it has passed; the next one is another one
        look = replace(look, memory={})
    for rule in _RULES:
        verdict = rule(look)
        if verdict is not None:
            return verdict
    return judge_live(look)


def compared_badly(memory: Mapping[str, Any]) -> bool:
    """Tell whether the looks before ended with an error of a comparison, which another comparison may not have."""
    return memory.get("what") in ERRORS


def remembered(memory: Mapping[str, Any]) -> bool:
    """Tell whether that error is one of before, which Argo CD repeats without a try until a hard refresh."""
    return memory.get("remembered") is True


def _deleting(look: Look) -> Verdict | None:
    if not look.app.deleting:
        return None
    return look.verdict(VerdictKind.FAILED, Reason.APPLICATION_DELETING, "The application is being deleted")


def _operation_failed(look: Look) -> Verdict | None:
    """The sync of our commit failed for good. A failed sync of another commit does not count."""
    ours = look.ours
    if ours is None or ours.phase not in ("Failed", "Error") or look.app.requested:
        return None
    moved_on = look.contained is True and look.revision not in ours.revisions
    if moved_on and look.app.sync != "Synced" and (look.automated or look.expected.sync):
        return None  # a later commit on top of ours, perhaps the cure, is next
    compared = "ComparisonError" in ours.message
    reason = reason_of("ComparisonError", ours.message) if compared else Reason.SYNC_FAILED
    detail = f"The sync of {_short(ours.revisions[0])} ended as {ours.phase}: {ours.message}"
    if compared and look.expected.sync and is_passing(ours.message):  # Argo CD tries only its own syncs again
        verdict = look.lasting("sync", SLOW_ERROR_GRACE, Reason.SYNC_PENDING, reason, detail, synced=False)
        return replace(verdict, retry=verdict.kind is VerdictKind.WAIT)
    return look.verdict(VerdictKind.FAILED, reason, detail)


def _broken(look: Look) -> Verdict | None:
    """The comparison itself failed; it must do so for a while, since a single failure may pass."""
    error = _error(look)
    if error is None:
        return None
    soon = _since_push(look, error) and not is_passing(error.message)
    grace, reason = ERROR_GRACE if soon else SLOW_ERROR_GRACE, reason_of(error.type, error.message)
    detail = f"{error.type}: {error.message}"
    verdict = look.lasting(error.type, grace, Reason.SYNC_PENDING, reason, detail, synced=False)
    if verdict.kind is VerdictKind.FAILED and look.app.refreshing:  # another comparison is on its way
        return look.wait(Reason.SYNC_PENDING, detail, after=SOON)
    return replace(verdict, memory={**verdict.memory, "remembered": is_remembered(error.message)})


def _error(look: Look) -> Condition | None:
    return next((one for one in look.app.conditions if one.type in ERRORS), None)


def _since_push(look: Look, error: Condition) -> bool:
    """Tell whether the error was seen after our push: it began then, or a comparison made since then has it still."""
    pushed = look.expected.pushed_at - timedelta(seconds=1)  # Argo CD's times have no fractions
    return any(at is not None and at >= pushed for at in (error.at, look.app.reconciled_at))


def _hydration_failed(look: Look) -> Verdict | None:
    state = look.app.hydration
    if state is None or state.phase != "Failed" or not look.hydrating:
        return None
    where = f" at {_short(state.current)}" if state.current else ""
    detail, reason = (
        f"The source hydrator failed{where}: {state.message}",
        reason_of("ComparisonError", state.message),
    )
    grace = SLOW_ERROR_GRACE if is_passing(state.message) else ERROR_GRACE
    return look.lasting("hydration", grace, Reason.SYNC_PENDING, reason, detail, synced=False)


def _refreshing(look: Look) -> Verdict | None:
    if not look.app.refreshing:
        return None
    return look.wait(Reason.SYNC_PENDING, "Argo CD has been asked to refresh and has not done so yet")


def _under_way(look: Look) -> Verdict | None:
    operation = look.app.operation
    if operation is None or (operation.phase in ("Succeeded", "Failed", "Error") and operation.finished_at):
        if not look.app.requested:
            return None
        return look.wait(Reason.SYNC_PENDING, "A sync has been requested and has not begun")
    revision = _short(operation.revisions[0]) if operation.revisions else "an unknown revision"
    detail = f"The sync of {revision} is {operation.phase.lower() or 'under way'}: {operation.message}"
    if "blocked by sync window" in operation.message.lower():
        return look.wait(Reason.SYNC_WINDOW, detail)
    if operation.retries:
        detail = f"{detail} (retry {operation.retries})"
    obstacle = _in_the_way(revision) if look.foreign else ""
    detail = one_line(detail, LIMIT - len(obstacle) - 2) + (f"; {obstacle}" if obstacle else "")
    waits = operation.finished_at is None  # else it says itself why it has failed and is to be tried again
    return look.wait(Reason.SYNC_PENDING, detail, unready=waits, obstacle=obstacle)


def _in_the_way(revision: str) -> str:
    """Say what to do about an operation that is not ours: it may wait for something that never becomes healthy."""
    return f"Argo CD begins no other sync before that of {revision} has ended: wait for it, or terminate it there"


def _behind(look: Look) -> Verdict | None:
    if look.contained is True:
        return None
    commit, here = _short(look.expected.commit), look.here
    if look.app.hydration and look.hydrated:
        return _unmerged(look, look.app.hydration)
    if not look.revision:
        return look.wait(Reason.SYNC_PENDING, f"Argo CD has not compared with {commit} yet")
    if look.contained is None:
        why = look.expected.obscured()
        detail = f"Git cannot tell yet whether {here} contains {commit}" + (f" ({why})" if why else "")
        return look.wait(Reason.SYNC_PENDING, detail, after=STEADY)
    if instead := look.expected.reverted(look.revision):
        return look.verdict(VerdictKind.FAILED, Reason.CHANGE_REVERTED, f"{here} contains {commit}, but {instead}")
    detail = f"Argo CD compares with {here}, where the change of {commit} is not in force"
    return look.wait(Reason.SYNC_PENDING, detail, after=LATER)


def _unmerged(look: Look, at: Hydration) -> Verdict:
    """Wait for the hydrated commit to be compared with; where it is for somebody to merge, for that person."""
    commits = f"{_short(look.expected.commit)} is hydrated as {_short(at.hydrated)}"
    detail = f"{commits}, but Argo CD compares with {_short(at.compared)} of {at.branch or 'its branch'}"
    if not at.staged:
        return look.wait(Reason.SYNC_PENDING, detail, after=LATER)
    merge = f"{detail}; somebody has to merge {at.staged} into it"
    return look.human(Reason.MERGE_REQUIRED, merge, after=LATER)


def _unapplied(look: Look) -> Verdict | None:
    """Our commit is known to Argo CD and not applied yet."""
    here = look.here
    if look.app.sync not in ("Synced", "OutOfSync"):
        return look.wait(Reason.SYNC_PENDING, f"Argo CD cannot tell whether {here} is in sync")
    if look.app.sync == "Synced" or look.applied:
        return None
    if look.ours and look.ours.phase == "Succeeded":
        return look.wait(Reason.SYNC_PENDING, f"{here} is applied; Argo CD has not compared again since")
    if _unpruned(look):
        return None
    if refused := _refused(look):
        return refused
    if not look.automated and not look.expected.sync:
        return look.human(Reason.NOT_AUTOMATED, f"{here} is out of sync, and nobody syncs this application")
    return look.wait(Reason.SYNC_PENDING, _unbegun(look), unbegun=_is_overdue(look))


def _unpruned(look: Look) -> Verdict | None:
    """Argo CD begins no sync by itself that would only prune, where it is not to (``autoSync``)."""
    differing = look.app.out_of_sync
    if not look.automated or look.prunes or not differing or not all(one.prune for one in differing):
        return None
    detail = f"{look.here} is applied; to be pruned: {names(differing)}"
    return look.human(Reason.PRUNE_REQUIRED, detail, synced=True)


def _unbegun(look: Look) -> str:
    steps = ", which its ApplicationSet does in steps" if look.in_steps else ""
    return f"{look.here} is out of sync; its sync has not begun{steps}"


def _is_overdue(look: Look) -> bool:
    """Tell whether Argo CD should begin a sync by now, unless a window is shut."""
    return look.automated and not look.in_steps


def _refused(look: Look) -> Verdict | None:
    """Argo CD says that it does not sync. If it names another commit only, a shut window may keep that condition."""
    error = next((one for one in look.app.conditions if one.type == "SyncError"), None)
    if error is None or not _since_push(look, error):
        return None
    said, to, end = f"SyncError: {error.message}", Reason.SYNC_PENDING, Reason.SYNC_FAILED
    if _is_about_us(look, error):
        return look.lasting("SyncError", ERROR_GRACE, to, end, said, synced=False)
    detail = f"{_unbegun(look)} ({said})"
    verdict = look.lasting("SyncError of another", SLOW_ERROR_GRACE, to, end, detail, synced=False)
    return replace(verdict, unbegun=_is_overdue(look))


def _is_about_us(look: Look, error: Condition) -> bool:
    """Tell whether a ``SyncError`` is about our commit, as its first words say: it outlasts a shut window."""
    named = set(_REVISION.findall(error.message.partition(":")[0])) if look.app.hydration is None else set()
    ours = {look.expected.commit, *look.app.revisions, *(look.ours.revisions if look.ours else ())}
    return not named or not named.isdisjoint(ours)


def _stale(look: Look) -> Verdict | None:
    """What was compared before the end of the operation, ours or another, is the state that the operation changed."""
    ended, compared = look.ended, look.app.reconciled_at
    if ended is None or (compared is not None and compared >= ended):
        return None
    if look.ours is None:
        return look.wait(Reason.SYNC_PENDING, "Argo CD has not compared again since another sync ended", after=SOON)
    detail = f"{look.here} is applied; its health has not been looked at since"
    return look.wait(Reason.PROGRESSING, detail, after=SOON, synced=True)


def _unhealthy(look: Look) -> Verdict | None:
    health, message = look.app.health, look.app.health_message
    if health == "Healthy":
        return None
    detail = f"{look.here} is {health or 'without a health state'}" + (f": {message}" if message else "")
    if health == "Suspended":
        held = look.app.suspended
        named = f"{look.here} is Suspended because of {names(held)}" if held else detail
        return look.human(Reason.SUSPENDED, named, synced=True, unready=not held)
    if health == "Degraded" and _began_before_us(look):
        before = f"{detail}, and has been so since before our commit: {look.app.health_since:%Y-%m-%d %H:%M} UTC"
        return look.wait(Reason.PROGRESSING, before, synced=True, unready=True)
    if health == "Degraded":
        what = f"Degraded {look.revision} {look.ours and look.ended}"  # another operation begins another rollout
        return look.lasting(
            what, look.expected.degraded_grace, Reason.PROGRESSING, Reason.DEGRADED, detail, synced=True, unready=True
        )
    rolling = {"rolling": look.rollout} if look.ours and look.ours.phase == "Succeeded" else {}
    return look.wait(Reason.PROGRESSING, detail, synced=True, unready=True, memory={**look.memory, **rolling})


def _began_before_us(look: Look) -> bool:
    """Tell whether it has been so all the time since before our sync, which is not to blame then (since 2.14)."""
    since, sync = look.app.health_since, look.ours.started_at if look.ours else None
    pushed = look.expected.pushed_at - timedelta(seconds=1)  # Argo CD's times have no fractions
    return since is not None and sync is not None and since < min(sync, pushed)


def _leftover(look: Look) -> Verdict | None:
    """Applied and healthy, and yet not in sync: nothing more will happen by itself."""
    if look.app.sync == "Synced":
        return None
    here, differing, ours = look.here, look.app.out_of_sync, look.ours
    shared = next((one for one in look.app.conditions if one.type == "SharedResourceWarning"), None)
    if shared:
        return look.human(Reason.SHARED_RESOURCE, shared.message, synced=True)
    if kept := _unpruned(look):
        return kept
    if ours and look.revision not in ours.revisions:
        detail = f"{_short(ours.revisions[0])} is applied, but Argo CD compares with {here}, whose sync has not begun"
        if look.automated or look.expected.sync:
            return look.wait(Reason.SYNC_PENDING, detail, synced=True)
        return look.human(Reason.NOT_AUTOMATED, f"{detail}: nobody syncs this application", synced=True)
    only_prune = all(one.prune for one in differing) if differing else bool(ours and ours.prune_skipped)
    if only_prune:
        return look.human(Reason.PRUNE_REQUIRED, f"{here} is applied; to be pruned: {names(differing)}", synced=True)
    return look.human(Reason.OUT_OF_SYNC, f"{here} is applied; still different: {names(differing)}", synced=True)


_RULES: tuple[Callable[[Look], Verdict | None], ...] = (
    _deleting,
    _operation_failed,
    _broken,
    _hydration_failed,
    _refreshing,
    _under_way,
    _behind,
    _unapplied,
    _stale,
    _unhealthy,
    _leftover,
)


def _short(revision: str) -> str:
    return revision[:12]
