"""What a batch of changes becomes on a head of the GitOps branch: commits to write, and a result for each change."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from orchestrator.domain.changes import Change, Landed, Rejected, Result, Withdrawn
from orchestrator.domain.ownership import RUN_TRAILER
from orchestrator.domain.reasons import Reason
from workers.clients.git import CommitMessage, Draft, Mirror, TreeEntry
from workers.clients.git_commit import trailers_of
from workers.clients.git_read import MAX_FILE
from workers.clients.git_tree import folders_above, path_fault
from workers.gitops.values import EditRefused, edit

HISTORY = 2000
"""Commits of the branch that are searched for changes that an earlier attempt pushed."""
_OURS = "Pilotage-"


@dataclass(frozen=True, slots=True)
class Held:
    """A change whose value is in a commit: the one with the index ``draft``, or the head itself (-1)."""

    run: int
    draft: int
    created: bool
    previous: tuple[str, ...]


@dataclass(slots=True)
class Plan:
    """What is to be written on top of a head, and what each change comes to, in their order.

    ``commits``: the head, followed by what was written on it.
    """

    commits: list[str]
    drafts: list[Draft] = field(default_factory=list)
    outcomes: list[Result | Held] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The commit below the first draft."""
        return self.commits[0]

    @property
    def is_sure(self) -> bool:
        """Whether a push that lands proves all of it: what is refused, or there already, a newer head may not be."""
        return all(isinstance(outcome, Held) and outcome.created for outcome in self.outcomes)

    @property
    def results(self) -> list[Result]:
        """What came of each change, once the commits are on the remote."""
        return [_result(outcome, self.commits) for outcome in self.outcomes]


@dataclass(frozen=True, slots=True)
class Planner:
    """Reads the branch's copy and applies changes to what it finds.

    ``unwanted``: runs whose change is looked for and not made.
    """

    mirror: Mirror
    branch: str
    unwanted: frozenset[int] = frozenset()

    def plan(self, head: str, changes: Sequence[Change]) -> Plan:
        """Apply the changes to the files of `head`; later ones see what earlier ones did."""
        plan = Plan([head])
        with ThreadPoolExecutor(1) as beside:
            looked = beside.submit(self._landed_before, head, changes)
            files = self._files(head, changes)
            landed = looked.result()
        for change in changes:
            plan.outcomes.append(self._outcome(change, landed.get(identity(change)), files, plan.drafts))
        return plan

    def _outcome(
        self, change: Change, before: CommitMessage | None, files: "Files", drafts: list[Draft]
    ) -> Result | Held:
        if before is not None:
            return self._earlier(change, before)
        if change.run in self.unwanted:
            return Withdrawn(run=change.run)
        return files.apply(change, drafts)

    def _landed_before(self, head: str, changes: Sequence[Change]) -> dict["Identity", CommitMessage]:
        """Find the changes that an earlier attempt pushed, by their trailers."""
        wanted = {identity(change) for change in changes}
        found: dict[Identity, CommitMessage] = {}
        for message in self.mirror.history(head, HISTORY, f"{RUN_TRAILER}: "):
            told = frozenset(pair for pair in trailers_of(message.text) if pair[0].startswith(_OURS))
            if told in wanted:
                found.setdefault(told, message)
        return found

    def _earlier(self, change: Change, commit: CommitMessage) -> Landed:
        """Describe a change that is in the branch; what it replaced is read from below its commit."""
        files = self._files(commit.parent, [change]) if commit.parent else Files({}, {}, self.branch)
        held = files.apply(change, [])
        previous = held.previous if isinstance(held, Held) else ()
        return Landed(run=change.run, commit=commit.commit, created=False, previous=previous)

    def _files(self, commit: str, changes: Sequence[Change]) -> "Files":
        """Read the files of all changes with two processes of Git, however many there are."""
        names = sorted({change.file for change in changes if not path_fault(change.file)})
        entries = self.mirror.entries(commit, names) if names else {}
        contents = self.mirror.blobs(entry for entry in entries.values() if not _entry_fault(entry))
        loaded = {name: contents[entry.object] for name, entry in entries.items() if entry.object in contents}
        return Files(entries, loaded, self.branch)

    def again(self, plan: Plan, head: str, changes: Sequence[Change]) -> Plan:
        """Make the plan for a newer head. Where nothing that it looked at has changed, it stays: reading and editing
        a large batch anew takes longer than a busy branch stands still. A change of ours that landed meanwhile has
        changed its own file.
        """
        touched = self.mirror.changed_paths(plan.head, head)
        if touched is None or _concerns(touched, changes):
            return self.plan(head, changes)
        return Plan([head], plan.drafts, plan.outcomes)


def _concerns(touched: Iterable[str], changes: Sequence[Change]) -> bool:
    """Tell whether one of these paths is the file of a change, or a file where a folder above it should be."""
    looked_at = {path for change in changes for path in (change.file, *folders_above(change.file))}
    return any(path in looked_at for path in touched)


@dataclass(slots=True)
class Files:
    """The files of one commit while changes are applied to them one after the other.

    ``writers`` says which draft wrote a file last.
    """

    entries: dict[str, TreeEntry]
    contents: dict[str, bytes]
    branch: str
    writers: dict[str, int] = field(default_factory=dict)

    def apply(self, change: Change, drafts: list[Draft]) -> "Held | Rejected":
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
            return Held(change.run, self.writers.get(change.file, -1), False, ())
        self.contents[change.file] = edited.raw
        self.writers[change.file] = len(drafts)
        drafts.append(_draft(change, self.entries[change.file].mode, edited.raw))
        return Held(change.run, len(drafts) - 1, True, tuple(edited.previous))

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


def _entry_fault(entry: TreeEntry) -> str:
    if not entry.is_file:
        return f"is {entry.kind}, not a file"
    return f"has {entry.size} bytes; at most {MAX_FILE} are edited" if entry.size > MAX_FILE else ""


Identity = frozenset[tuple[str, str]]


def _trailers(change: Change) -> list[tuple[str, str]]:
    """Return the trailers as they are written: one line each, the run's own always among them."""
    trailers = [(key, " ".join(value.split())) for key, value in change.trailers]
    if not any(key == RUN_TRAILER for key, _ in trailers):
        trailers.insert(0, (RUN_TRAILER, str(change.run)))
    return trailers


def identity(change: Change) -> Identity:
    """Return what tells this change from all others, the same run's rollback included."""
    return frozenset(pair for pair in _trailers(change) if pair[0].startswith(_OURS))


def _draft(change: Change, mode: str, content: bytes) -> Draft:
    trailers = "\n".join(f"{key}: {value}" for key, value in _trailers(change))
    message = f"{change.message.strip()}\n\n{trailers}\n"
    return Draft(path=change.file, mode=mode, content=content, message=message, date=change.date)


def _result(outcome: Result | Held, commits: Sequence[str]) -> Result:
    """Name the commit of an outcome; `commits` is the head followed by what was written on it."""
    if not isinstance(outcome, Held):
        return outcome
    commit = commits[outcome.draft + 1]
    return Landed(run=outcome.run, commit=commit, created=outcome.created, previous=outcome.previous)
