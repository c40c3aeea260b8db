"""What is expected of an application, one look at it, and the verdict of a look."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import is_sha
from workers.gitops import application as shape
from workers.gitops.application import Application, Hydration, Operation
from workers.gitops.tracking import automated, in_steps, left_out, prunes
from workers.gitops.words import ended, one_line
from workers.shapes import moment

SOON, STEADY, LATER = 3.0, 10.0, 30.0
"""Seconds until the next look: a change is due; work is under way; only a person or another commit changes it."""


class VerdictKind(StrEnum):
    """What to do after a look. ``needs_human`` waits, too, until the deadline; the reason says for whom."""

    WAIT = "wait"
    SUCCESS = "success"
    FAILED = "failed"
    NEEDS_HUMAN = "needs_human"


def _never(*revision: str) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the application must show for the run to be live.

    :param commit: the GitOps commit. :param pushed_at: when it reached the remote (aware).
    :param image: ``host/path:tag``. :param digest: ``sha256:...``, or "" when unknown.
    :param contains: tells whether a revision contains our commit with our value still in force; None: not known yet.
    :param obscured: says why it is not known, where `contains` just said None; "" where it had no trouble.
    :param reverted: says, where `contains` says no, what the revision has instead of our value; "" when it does not
        contain our commit.
    :param dry_of: names the commit of which another one, of a branch, was made by the source hydrator; "" = unknown.
    :param values: the file that we edited.
    :param degraded_grace: seconds that "Degraded" must last to count.
    :param sync: Pilotage asks for syncs itself, so that missing automation is no problem.
    :param noop: our value was in Git already, so that no operation of ours need be seen; our image all the same.
    """

    commit: str
    image: str
    pushed_at: datetime
    contains: Callable[[str], bool | None]
    reverted: Callable[[str], str] = _never
    obscured: Callable[[], str] = lambda: ""
    dry_of: shape.DryOf = _never
    digest: str = ""
    addresses: tuple[str, ...] = ()
    branch: str = ""
    values: str = ""
    degraded_grace: float = 60.0
    sync: bool = False
    noop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one look found.

    :param synced: our commit is applied: the stage ``sync`` has reached its aim.
    :param detail: one sentence with the evidence.
    :param revision: what Argo CD compared with; "" when it names no commit.
    :param recheck_after: seconds until the next look, where what ends the wait shows in no list (see `fingerprint`),
        so that only a look of its own finds it; else None.
    :param unready: resources are what is waited for, so that the resource tree and events may name the cause.
    :param unbegun: Argo CD is to sync our commit by itself and has not begun; a sync window would be why.
    :param obstacle: what is in the way of our commit and what to do about it; "" when nothing is.
    :param unsynced: Argo CD compares with a commit that has our value, differs, and that no operation has applied.
    :param retry: the sync ended by what may pass, and we have to ask for the next one.
    :param strong: our image was seen live in a comparison newer than the operation: no second look is needed.
    :param memory: JSON values for the next call of `judge`.
    """

    kind: VerdictKind
    reason: Reason
    detail: str
    synced: bool = False
    revision: str = ""
    live_images: tuple[str, ...] = ()
    recheck_after: float | None = None
    unready: bool = False
    unbegun: bool = False
    obstacle: str = ""
    unsynced: bool = False
    retry: bool = False
    strong: bool = False
    memory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look: the object, what is expected of it, and what follows from both."""

    app: Application
    expected: Expected
    now: datetime
    memory: Mapping[str, Any]
    automated: bool
    in_steps: bool  # its syncs wait for other applications
    prunes: bool  # the syncs that Argo CD begins by itself delete what Git no longer has
    left_out: str  # the paths that Argo CD looks at, where our file is in none of them
    revision: str
    contained: bool | None
    hydrated: bool  # the source hydrator has made a commit of what has our commit
    hydrating: bool  # the source hydrator is at our commit, and not past it
    ours: Operation | None  # the last operation when it applied our commit, all of it, or healed what had it
    applied: bool  # it succeeded and the comparison is newer
    ended: datetime | None  # when the last operation ended, whosesoever; Argo CD compares anew after it
    newer: bool  # the comparison is newer than that
    foreign: bool  # the last operation is known not to apply our commit, or not all of it

    @property
    def here(self) -> str:
        """The compared revision as people read it."""
        return self.revision[:12]

    @property
    def rollout(self) -> str:
        """What a rollout that is seen under way belongs to."""
        return f"{self.revision} {self.ended}"

    @property
    def unsynced(self) -> bool:
        """Whether the compared revision, which has our value, needs a sync and none is under way."""
        operation, compared = self.app.operation, self.app.reconciled_at
        if self.contained is not True or self.app.sync != "OutOfSync" or self.app.requested:
            return False
        if operation is None:
            return True
        if not (operation.finished_at and compared and compared > operation.finished_at):
            return False
        return self.ours is None or self.revision not in self.ours.revisions

    def verdict(
        self, kind: VerdictKind, reason: Reason, detail: str, after: float | None = None, **more: Any
    ) -> Verdict:
        """End the look with a verdict; the memory stays as it is unless `more` has another."""
        return Verdict(
            kind=kind,
            reason=reason,
            detail=one_line(detail),
            recheck_after=after,
            revision=self.revision,
            live_images=self.app.images,
            unsynced=self.unsynced,
            **({"memory": dict(self.memory)} | more),
        )

    def wait(self, reason: Reason, detail: str, after: float | None = None, **more: Any) -> Verdict:
        """Look again when a list shows a change, and in `after` seconds where none would."""
        if self.app.skipped:
            hint = f"Argo CD leaves this application alone: it has the annotation {shape.SKIP_ANNOTATION}"
            detail = ended(detail, hint)
        return self.verdict(VerdictKind.WAIT, reason, detail, after, **more)

    def human(self, reason: Reason, detail: str, **more: Any) -> Verdict:
        """Wait for a person."""
        return self.verdict(VerdictKind.NEEDS_HUMAN, reason, detail, **more)

    def lasting(
        self,
        what: str,
        grace: float,
        waiting: Reason,
        final: Reason,
        detail: str,
        *,
        synced: bool,
        unready: bool = False,
    ) -> Verdict:
        """Fail once `what` was seen at every look for `grace` seconds; wait until then."""
        since = moment(self.memory.get("since")) if self.memory.get("what") == what else None
        since = min(since or self.now, self.now)
        left = grace - (self.now - since).total_seconds()
        if left <= 0:
            return self.verdict(VerdictKind.FAILED, final, detail, synced=synced)
        memory = {"what": what, "since": since.isoformat()}
        after = max(1.0, min(left, STEADY))
        return self.wait(waiting, detail, after, synced=synced, unready=unready, memory=memory)


def look_at(application: Mapping[str, Any], expected: Expected, now: datetime, memory: Mapping[str, Any]) -> Look:
    """Read an application and find out which parts of it are about our commit; parameters as for `judge`."""
    app = shape.read(application, expected.addresses, expected.branch, expected.dry_of)
    holds = _Holds(expected, app.guessed)
    last = app.operation
    holding = holds.all_of(last.revisions) if last and not last.partial else False
    ours = last if last and (holding is True or _heals(last, app, holds)) else None
    ended = last.finished_at if last and not last.dry_run else None
    newer = ended is None or bool(app.reconciled_at and app.reconciled_at > ended)
    named, contained = [one for one in app.revisions if is_sha(one)], holds.all_of(app.revisions)
    return Look(
        app=app,
        expected=expected,
        now=now,
        memory=_without_pauses(memory, app.health, expected.degraded_grace, now),
        automated=automated(application),
        in_steps=in_steps(application),
        prunes=prunes(application),
        left_out=left_out(application, expected.values) if expected.values else "",
        revision=next((one for one in named if holds.one(one) is contained), named[0] if named else ""),
        contained=contained,
        hydrated=bool(app.hydration and holds.one(app.hydration.dry)),
        hydrating=bool(app.hydration and _is_of_us(app.hydration, expected, holds)),
        ours=ours,
        applied=bool(ours and ours.phase == "Succeeded" and ended and newer),
        ended=ended,
        newer=newer,
        foreign=bool(last and holding is False),
    )


def _is_of_us(at: Hydration, expected: Expected, holds: "_Holds") -> bool:
    """Tell whether the hydrator works on our commit; it names none where it cannot make the manifests."""
    if at.current:
        return holds.one(at.current) is True
    pushed = expected.pushed_at - timedelta(seconds=1)  # Argo CD's times have no fractions
    return at.begun_at is not None and at.begun_at >= pushed and holds.one(at.dry) is not True


def _heals(last: Operation, app: Application, holds: "_Holds") -> bool:
    """Tell whether it synced single resources again of our commit, which a sync before it had applied as a whole."""
    some = last.partial and not last.dry_run and last.phase == "Succeeded"
    return some and holds.all_of(last.revisions) is True and holds.all_of(app.deployed) is True


def _without_pauses(memory: Mapping[str, Any], health: str, grace: float, now: datetime) -> Mapping[str, Any]:
    """Count only the time that is Degraded: a pause moves its begin, one as long as the grace begins it anew.

    An autoscaler is Degraded for seconds whenever pods are too new to be measured, so at both ends of a rollout.
    """
    since, well = moment(memory.get("since")), moment(memory.get("well"))
    if since is None or not str(memory.get("what")).startswith("Degraded"):
        return memory
    if health != "Degraded":
        return {**memory, "well": (well or now).isoformat()}
    pause = now - well if well else timedelta()
    since = now if pause.total_seconds() >= grace else since + max(pause, timedelta())
    return {name: value for name, value in memory.items() if name != "well"} | {"since": since.isoformat()}


class _Holds:
    """Which revisions contain our commit with our value in force; each is looked up once."""

    def __init__(self, expected: Expected, guessed: bool) -> None:
        self._expected = expected
        self._guessed = guessed
        self._known: dict[str, bool | None] = {expected.commit: True}

    def one(self, revision: str) -> bool | None:
        """Answer for one revision; None when it names no commit or Git cannot tell."""
        if revision not in self._known:
            self._known[revision] = self._expected.contains(revision) if is_sha(revision) else None
        return self._known[revision]

    def all_of(self, revisions: tuple[str, ...]) -> bool | None:
        """Answer for several: all must contain it, or any, where it is a guess which are of our repository."""
        answers = [self.one(revision) for revision in revisions]
        if not answers or (self._guessed and True in answers):
            return True if answers else None
        return False if False in answers else None if None in answers else True
