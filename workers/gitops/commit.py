"""Land changes on the GitOps branch: one commit per run, one push per batch, proven by reading the remote back.

Every call starts from what the remote says, so it can be repeated after any crash: a change whose trailers are
already in the branch is not made again, and a push whose answer was lost counts by what the branch then holds.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Change, Landed, Rejected
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.ownership import RUN_TRAILER
from orchestrator.domain.reasons import Reason
from workers.clients.git import ASK_TIMEOUT, Draft, Entry, Message, Mirror, PushVerdict, Signing
from workers.clients.git_read import MAX_FILE, folders_above, path_fault, trailers_of
from workers.gitops.values import EditRefused, edit

HISTORY = 2000
"""Commits of the branch that are searched for changes that an earlier attempt pushed."""
_FIRST_WAIT = 0.05
"""Seconds (at the most) before the second attempt; doubled each time."""
_LONGEST_WAIT = 2.0
"""Seconds that no wait between two attempts exceeds."""
_FRESH = 60.0
"""Seconds for which a branch is taken to be where it was seen; the push has it as its condition."""
_OURS = "Pilotage-"
_WHOLE_BRANCH = "protected branch"
"""What GitHub and GitLab say when the account may not push to the branch at all, whatever the commits are."""

Result = Landed | Rejected


def land(
    mirror: Mirror,
    branch: str,
    changes: Sequence[Change],
    *,
    author: Author,
    signing: Signing | None = None,
    attempts: int = 10,
    deadline_s: float,
    checkpoint: Callable[[], None],
    wait: Callable[[float], None] = time.sleep,
) -> list[Result]:
    """Bring every change onto the remote branch, in the given order, and return one result per change in that order.

    A change that cannot be made (missing file, link, refused key, or refused by the server's hook while others pass)
    is ``Rejected`` and does not stop the others. ``Landed.created`` is False for a value that was there already and
    for a change that an earlier attempt had pushed, even if somebody has changed the value again since. When this
    raises, the call may be repeated; nothing lands twice.

    :param attempts: pushes until a lost race is an error. :param deadline_s: seconds for everything.
    :param checkpoint: raises when the work is to stop; never called between a push and the look at its result.
    :param wait: sleeps between attempts; seconds.
    :raises Refused: GITOPS_REFUSED, the server lets us not push, or the branch is not there.
    :raises Unavailable: GITOPS_UNAVAILABLE, no answer; GITOPS_CONTENDED, every race was lost.
    """
    if not changes:
        return []
    work = _Landing(mirror, branch, author, signing, attempts, time.monotonic() + deadline_s, checkpoint, wait)
    with mirror.landing(branch, deadline_s, checkpoint):
        try:
            return work.together(changes)
        except Refused as refusal:
            if len(changes) == 1 or not isinstance(refusal, _Declined):
                raise
            return work.one_by_one(changes, refusal)


class _Declined(Refused):
    """The server took our login and declined these very commits."""


@dataclass(slots=True)
class _Plan:
    """What is to be written on top of a head, and what each change comes to.

    ``outcomes`` has an entry per change: the final result, or the index of the commit that holds its value (-1: the
    head itself) with the values that were replaced. ``commits``: the head, followed by what was written on it.
    """

    drafts: list[Draft] = field(default_factory=list)
    outcomes: list["Result | _Held"] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)

    @property
    def is_sure(self) -> bool:
        """Whether a push that lands proves all of it: what is refused, or there already, a newer head may not be."""
        return all(isinstance(outcome, _Held) and outcome.created for outcome in self.outcomes)

    @property
    def results(self) -> list[Result]:
        """What came of each change, once the commits are on the remote."""
        return [_result(outcome, self.commits) for outcome in self.outcomes]


@dataclass(frozen=True, slots=True)
class _Held:
    run: int
    draft: int
    created: bool
    previous: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Landing:
    """One call of `land`."""

    mirror: Mirror
    branch: str
    author: Author
    signing: Signing | None
    attempts: int
    deadline: float
    checkpoint: Callable[[], None]
    wait: Callable[[float], None]

    def together(self, changes: Sequence[Change]) -> list[Result]:
        """Land the batch by one push, again and again until no other writer comes between."""
        results = self._where_noted(changes)
        if results:
            return results
        lost, attempt = "", 0
        while attempt < self.attempts:
            if lost:
                self.wait(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)))  # noqa: S311
                if time.monotonic() >= self.deadline:
                    break
            attempt += 1
            self.checkpoint()
            head = self.mirror.fetch_branch(self.branch, timeout=self._left(), checkpoint=self.checkpoint)
            plan = self._plan(head, changes)
            lost = self._lost(head, plan)
            if not lost:
                return plan.results
        raise Unavailable(Reason.GITOPS_CONTENDED, f"{self.branch}: {attempt} pushes lost the race ({lost})")

    def _where_noted(self, changes: Sequence[Change]) -> list[Result]:
        """Land on the head that was seen last, without asking for it; [] where that does not settle everything."""
        head = self.mirror.noted_head(self.branch, _FRESH)
        if head is None:
            return []
        self.checkpoint()
        plan = self._plan(head, changes)
        return plan.results if plan.is_sure and not self._lost(head, plan) else []

    def _lost(self, head: str, plan: _Plan) -> str:
        """Write a plan on top of `head` and push it; return how the race was lost, "" if it was not."""
        plan.commits = [head]
        if not plan.drafts:
            return ""
        plan.commits += self.mirror.write(
            head, plan.drafts, branch=self.branch, author=self.author, signing=self.signing
        )
        self.checkpoint()
        return self._push(plan.commits[-1], onto=head)

    def one_by_one(self, changes: Sequence[Change], refusal: Refused) -> list[Result]:
        """Find out which changes the server declines, so that one bad change does not block the others.

        :raises Refused: it declines all of them.
        """
        results: list[Result] = []
        for change in changes:
            try:
                results += self.together([change])
            except _Declined as single:
                detail = f"the server declined the push: {single.evidence}"
                results.append(Rejected(run=change.run, detail=detail, reason=single.reason))
        if not any(isinstance(result, Landed) for result in results):
            raise refusal
        return results

    def _push(self, tip: str, onto: str) -> str:
        """Push and read back; return "" when the branch holds `tip`, or how the race was lost.

        :raises Unavailable: neither the answer nor the branch shows that it landed.
        """
        failure: Unavailable | None = None
        verdict, words = PushVerdict.UNKNOWN, ""
        try:
            answer = self.mirror.push(tip, self.branch, onto=onto, timeout=self._left())
            verdict, words = answer.verdict, answer.words
            if not answer.sent:
                return words
        except Unavailable as error:
            failure = error
        if self._holds(tip):
            return ""
        if verdict is PushVerdict.REFUSED:
            whole = _WHOLE_BRANCH in words.lower()
            raise (Refused if whole else _Declined)(self.mirror.reasons.refused, f"{self.branch}: {words}")
        if verdict is PushVerdict.UNKNOWN:
            raise failure or Unavailable(self.mirror.reasons.unavailable, f"{self.branch}: {words}")
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
        except Unavailable as error:
            evidence = f"pushed {tip[:12]}, but the branch could not be read back: {error.evidence}"
            raise Unavailable(error.reason, evidence) from error

    def _left(self) -> float:
        """Return the seconds that are left.

        :raises Unavailable: none are.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Unavailable(self.mirror.reasons.unavailable, f"{self.branch}: the deadline has passed")
        return left

    def _plan(self, head: str, changes: Sequence[Change]) -> _Plan:
        """Apply the changes to the files of `head`; later ones see what earlier ones did."""
        plan = _Plan()
        with ThreadPoolExecutor(1) as beside:
            looked = beside.submit(self._landed_before, head, changes)
            files = self._files(head, changes)
            landed = looked.result()
        for change in changes:
            before = landed.get(_identity(change))
            outcome = self._earlier(change, before) if before else files.apply(change, plan.drafts)
            plan.outcomes.append(outcome)
        return plan

    def _landed_before(self, head: str, changes: Sequence[Change]) -> dict["_Identity", Message]:
        """Find the changes that an earlier attempt pushed, by their trailers."""
        wanted = {_identity(change) for change in changes}
        found: dict[_Identity, Message] = {}
        for message in self.mirror.history(head, HISTORY, f"{RUN_TRAILER}: "):
            identity = frozenset(pair for pair in trailers_of(message.text) if pair[0].startswith(_OURS))
            if identity in wanted:
                found.setdefault(identity, message)
        return found

    def _earlier(self, change: Change, commit: Message) -> Landed:
        """Describe a change that is in the branch; what it replaced is read from below its commit."""
        files = self._files(commit.parent, [change]) if commit.parent else _Files({}, {}, self.branch)
        held = files.apply(change, [])
        previous = held.previous if isinstance(held, _Held) else ()
        return Landed(run=change.run, commit=commit.commit, created=False, previous=previous)

    def _files(self, commit: str, changes: Sequence[Change]) -> "_Files":
        """Read the files of all changes in two processes, however many there are."""
        names = sorted({change.file for change in changes if not path_fault(change.file)})
        entries = self.mirror.entries(commit, names) if names else {}
        contents = self.mirror.blobs(
            entry for name, entry in entries.items() if name in names and not _entry_fault(entry)
        )
        loaded = {name: contents[entry.object] for name, entry in entries.items() if entry.object in contents}
        return _Files(entries, loaded, self.branch)


@dataclass(slots=True)
class _Files:
    """The files of one commit while changes are applied to them one after the other.

    ``writers`` says which draft wrote a file last.
    """

    entries: dict[str, Entry]
    contents: dict[str, bytes]
    branch: str
    writers: dict[str, int] = field(default_factory=dict)

    def apply(self, change: Change, drafts: list[Draft]) -> "_Held | Rejected":
        """Make one change; append a draft if that alters the file."""
        fault = self._fault(change.file)
        if fault:
            detail = f"{change.file[:200]} {fault}"
            return Rejected(run=change.run, detail=detail, reason=Reason.VALUES_FILE_MISSING)
        try:
            edited = edit(self.contents[change.file], change.edits)
        except EditRefused as refusal:
            line = f", line {refusal.line}" if refusal.line else ""
            return Rejected(run=change.run, detail=f"{change.file}{line}: {refusal.detail}")
        if not edited.changed:
            # nothing is written: the value is in the newest commit that wrote the file, or in the head
            return _Held(change.run, self.writers.get(change.file, -1), False, ())
        self.contents[change.file] = edited.raw
        self.writers[change.file] = len(drafts)
        drafts.append(_draft(change, self.entries[change.file].mode, edited.raw))
        return _Held(change.run, len(drafts) - 1, True, tuple(edited.previous))

    def _fault(self, file: str) -> str:
        """Say why a file cannot be edited; "" if it can."""
        fault = path_fault(file)
        if fault:
            return fault
        for folder in folders_above(file):
            if folder in self.entries and self.entries[folder].mode != "040000":
                return f"lies below {folder}, which is {self.entries[folder].kind}"
        if file not in self.entries:
            return f"is not in the branch {self.branch}"
        return _entry_fault(self.entries[file])


def _entry_fault(entry: Entry) -> str:
    if not entry.is_file:
        return f"is {entry.kind}, not a file"
    return f"has {entry.size} bytes; at most {MAX_FILE} are edited" if entry.size > MAX_FILE else ""


_Identity = frozenset[tuple[str, str]]


def _trailers(change: Change) -> list[tuple[str, str]]:
    """Return the trailers as they are written: one line each, the run's own always among them."""
    trailers = [(key, " ".join(value.split())) for key, value in change.trailers]
    if not any(key == RUN_TRAILER for key, _ in trailers):
        trailers.insert(0, (RUN_TRAILER, str(change.run)))
    return trailers


def _identity(change: Change) -> _Identity:
    """Return what tells this change from all others, the same run's rollback included."""
    return frozenset(pair for pair in _trailers(change) if pair[0].startswith(_OURS))


def _draft(change: Change, mode: str, content: bytes) -> Draft:
    trailers = "\n".join(f"{key}: {value}" for key, value in _trailers(change))
    message = f"{change.message.strip()}\n\n{trailers}\n"
    return Draft(path=change.file, mode=mode, content=content, message=message, date=change.date)


def _result(outcome: Result | _Held, commits: Sequence[str]) -> Result:
    """Name the commit of an outcome; `commits` is the head followed by what was written on it."""
    if not isinstance(outcome, _Held):
        return outcome
    commit = commits[outcome.draft + 1]
    return Landed(run=outcome.run, commit=commit, created=outcome.created, previous=outcome.previous)
