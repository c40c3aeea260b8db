"""Land changes on the GitOps branch: one commit per run, one push per batch, proven by reading the remote back.

Every call starts from what the remote says, so it can be repeated after any crash: a change whose trailers are
already in the branch is not made again, and a push whose answer was lost counts by what the branch then holds.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Change, Landed, Rejected, Result
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.git import ASK_TIMEOUT, Mirror, PushVerdict, Signing
from workers.clients.git_errors import Unreached
from workers.gitops.plan import Plan, Planner

ATTEMPTS = 10
"""Pushes until a lost race is an error."""
_FIRST_WAIT = 0.05
"""Seconds (at the most) before the second attempt; doubled each time."""
_LONGEST_WAIT = 0.5
"""Seconds that no wait between two attempts exceeds."""
_FRESH = 60.0
"""Seconds for which a branch is not read again; the push fails if it has moved since."""
_WHOLE_BRANCH = "protected branch"
"""What GitHub and GitLab say when the account may not push to the branch at all, whatever the commits are."""


def land(
    mirror: Mirror,
    branch: str,
    changes: Sequence[Change],
    *,
    author: Author,
    signing: Signing | None = None,
    deadline_s: float,
    checkpoint: Callable[[], None],
    unwanted: frozenset[int] = frozenset(),
    on_retry: Callable[[], None] = lambda: None,
    wait: Callable[[float], None] = time.sleep,
) -> list[Result]:
    """Bring every change onto the remote branch, in the given order, and return one result per change in that order.

    A change that cannot be made (missing file, link, refused key, or refused by the server's hook while others pass)
    is ``Rejected`` and does not stop the others. ``Landed.created`` is False for a value that was there already and
    for a change that an earlier attempt had pushed, even if somebody has changed the value again since. When this
    raises, the call may be repeated; nothing lands twice.

    :param deadline_s: seconds for everything.
    :param checkpoint: raises when the work is to stop; never called between a push and the look at its result.
    :param unwanted: runs whose change is looked for on the branch and, where it is not, not made: ``Withdrawn``.
    :param on_retry: called before every attempt that follows a lost race. :param wait: sleeps before it; seconds.
    :raises Refused: GITOPS_REFUSED, the server lets us not push; GITOPS_BRANCH_MISSING, the branch is not there.
    :raises InDoubt: a push was sent, and nobody can tell yet whether the branch took it.
    :raises Unavailable: GITOPS_UNAVAILABLE, no answer; GITOPS_CONTENDED, every race was lost. Nothing has landed.
    """
    if not changes:
        return []
    deadline, planner = time.monotonic() + deadline_s, Planner(mirror, branch, unwanted)
    work = _Landing(mirror, branch, planner, author, signing, deadline, checkpoint, on_retry, wait)
    with mirror.landing(branch, deadline_s, checkpoint):
        try:
            return work.together(changes)
        except Refused as refusal:
            if len(changes) == 1 or not isinstance(refusal, _Declined):
                raise
            return work.one_by_one(changes, refusal)


class InDoubt(Unavailable):
    """A push was sent, and neither its answer nor the branch shows what became of it."""


class _Declined(Refused):
    """The server accepted our login and declined these commits."""


@dataclass(frozen=True, slots=True)
class _Landing:
    """One call of `land`."""

    mirror: Mirror
    branch: str
    planner: Planner
    author: Author
    signing: Signing | None
    deadline: float
    checkpoint: Callable[[], None]
    on_retry: Callable[[], None]
    wait: Callable[[float], None]

    def together(self, changes: Sequence[Change]) -> list[Result]:
        """Land the batch by one push, again until no other writer comes first."""
        plan = self._where_noted(changes)
        if plan is not None and plan.is_sure and not self._lost(plan):
            return plan.results
        lost, attempt = "", 0
        while attempt < ATTEMPTS:
            if lost:
                self.on_retry()
                self.wait(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)))  # noqa: S311
                if time.monotonic() >= self.deadline:
                    break
            attempt += 1
            self.checkpoint()
            head = self.mirror.fetch_branch(self.branch, timeout=self._left(), checkpoint=self.checkpoint)
            plan = self.planner.plan(head, changes) if plan is None else self.planner.again(plan, head, changes)
            lost = self._lost(plan)
            if not lost:
                return plan.results
        raise Unavailable(Reason.GITOPS_CONTENDED, f"{self.branch}: {attempt} pushes lost the race ({lost})")

    def _where_noted(self, changes: Sequence[Change]) -> Plan | None:
        """Plan for the head that was seen last, without reading it again; None if none was seen."""
        head = self.mirror.noted_head(self.branch, _FRESH)
        if head is None:
            return None
        self.checkpoint()
        return self.planner.plan(head, changes)

    def _lost(self, plan: Plan) -> str:
        """Write the commits of a plan and push them; return how the race was lost, "" if it was not."""
        if not plan.drafts:
            return ""
        head = plan.head
        written = self.mirror.write(head, plan.drafts, branch=self.branch, author=self.author, signing=self.signing)
        plan.commits = [head, *written]
        self.checkpoint()
        return self._push(written[-1], onto=head)

    def one_by_one(self, changes: Sequence[Change], refusal: Refused) -> list[Result]:
        """Find out which changes the server declines, so that one bad change does not block the others.

        :raises Refused: it declines all of them. :raises InDoubt: some have landed, and the rest could not be tried.
        """
        results: list[Result] = []
        declined = 0
        for change in changes:
            try:
                results += self.together([change])
            except _Declined as single:
                declined += 1
                detail = f"the server declined the push: {single.evidence}"
                results.append(Rejected(run=change.run, detail=detail, reason=single.reason))
            except PilotageError as error:
                if any(isinstance(result, Landed) for result in results):
                    raise InDoubt(error.reason, error.evidence) from error
                raise
        if declined == len(changes):
            raise refusal
        return results

    def _push(self, tip: str, onto: str) -> str:
        """Push and read back; return "" when the branch holds `tip`, or how the race was lost.

        :raises InDoubt: neither the answer nor the branch shows whether it landed.
        :raises Unavailable: the server was not reached.
        """
        timeout = self._left()
        verdict, words = PushVerdict.UNKNOWN, ""
        try:
            answer = self.mirror.push(tip, self.branch, onto=onto, timeout=timeout)
            verdict, words = answer.verdict, answer.words
            if not answer.sent:
                return words
        except Unreached:
            raise
        except Unavailable as error:
            words = error.evidence
        if self._holds(tip):
            return ""
        if verdict is PushVerdict.REFUSED:
            whole = _WHOLE_BRANCH in words.lower()
            raise (Refused if whole else _Declined)(self.mirror.reasons.refused, f"{self.branch}: {words}")
        if verdict is PushVerdict.UNKNOWN:
            raise InDoubt(self.mirror.reasons.unavailable, f"{self.branch}: {words}")
        # "landed" but not there: somebody has rewritten the branch since, which is a lost race as well
        return words or "the branch was rewritten"

    def _holds(self, tip: str) -> bool:
        """Tell whether the remote branch contains `tip`, by asking the remote."""
        ref = f"refs/heads/{self.branch}"
        try:
            if self.mirror.ls_remote([ref]).get(ref) == tip:
                self.mirror.note_head(self.branch, tip)
                return True
            head = self.mirror.fetch_branch(self.branch, timeout=ASK_TIMEOUT)
            return self.mirror.is_ancestor(tip, head) is True
        except PilotageError as error:
            evidence = f"pushed {tip[:12]}, but the branch could not be read back: {error.evidence}"
            raise InDoubt(error.reason, evidence) from error

    def _left(self) -> float:
        """Return the seconds that are left.

        :raises Unavailable: none are.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Unavailable(self.mirror.reasons.unavailable, f"{self.branch}: the deadline has passed")
        return left
