"""The Git wrapper: one bare copy of each repository on this machine, and everything that is said to its server."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from orchestrator.domain.apps import Author, GitAccess
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.refs import is_safe_ref_name, is_sha, split_ref
from workers.clients import git_access, git_lfs, git_snapshot, git_write
from workers.clients.git_commit import CommitInfo, CommitMessage
from workers.clients.git_errors import (
    GITOPS,
    SOURCE,
    CorruptMirror,
    Missing,
    PushAnswer,
    PushVerdict,
    Reasons,
    is_corrupt,
    last_words,
    read_push,
    remote_words,
    server_format,
    to_error,
    unwritable,
)
from workers.clients.git_keep import KeptCopy, digest
from workers.clients.git_lfs import GitLfs
from workers.clients.git_process import Checkpoint, GitTimeout, Output, TooMuch, run, unchecked
from workers.clients.git_snapshot import SNAPSHOT_TIMEOUT, Snapshot
from workers.clients.git_tree import TreeEntry
from workers.clients.git_write import Draft, Signing

__all__ = [
    "ASK_TIMEOUT",
    "GITOPS",
    "SOURCE",
    "CommitInfo",
    "CommitMessage",
    "Draft",
    "Mirror",
    "PushAnswer",
    "PushVerdict",
    "Reasons",
    "Signing",
    "TreeEntry",
    "mirror_folder",
    "mirrors_in",
]

FETCH_TIMEOUT = 900.0
"""Seconds for a fetch; the first one of a large repository takes minutes."""
ASK_TIMEOUT = 60.0
"""Seconds for a question that moves no objects."""
PUSH_TIMEOUT = 120.0
"""Seconds for a push; the server's hooks run in it."""


def mirror_folder(root: Path, url: str) -> Path:
    """Return where the copy of the repository at `url` is kept below `root` (the state folder)."""
    return root / "mirrors" / f"{digest(url)}.git"


def mirrors_in(root: Path) -> list[Path]:
    """Return the copies of all repositories that are kept below `root`, also those that are half removed."""
    place = root / "mirrors"
    halves = (path.with_name(f"{path.name.partition('.')[0]}.git") for path in place.glob("*.git.*.damaged"))
    return list({*place.glob("*.git"), *halves})


class Mirror(KeptCopy):
    """A persistent bare copy of one remote repository, made on first use and shared by all processes.

    It holds nothing that the remote does not have, so damage is healed by making it again. Branches are kept under
    names of our own, because a remote may have ``a`` today and ``a/b`` tomorrow, or names that no file system takes.

    Every method that speaks to the server raises ``Refused`` (access, address, missing ref) or ``Unavailable``
    (network, server, time) with one of `reasons`; `checkpoint` arguments are called about every second.

    :param access: how to reach the remote. :param folder: from `mirror_folder`.
    :param reasons: `SOURCE` or `GITOPS`. :param allow_local: also ``file://`` addresses (tests only).
    """

    def __init__(
        self, access: GitAccess, folder: Path, *, reasons: Reasons = SOURCE, allow_local: bool = False
    ) -> None:
        super().__init__(folder, reasons)
        git_access.check_address(access, reasons, allow_local=allow_local)
        self.access = access
        self.where = git_access.shown(access.url)
        self._allow_local = allow_local
        self._secrets = git_access.secrets_of(access)

    # what the remote has

    def ls_remote(self, refs: Sequence[str] | None = None) -> dict[str, str]:
        """Ask the remote where refs stand: full name to object id; of annotated tags also ``<name>^{}``.

        :param refs: full names ("refs/heads/main"); those that do not exist are absent in the answer. None: all.
        """
        for ref in refs or ():
            self._check_ref(ref.removesuffix("^{}"))
        asked = ["ls-remote", "--quiet", "--end-of-options", self.access.url, *(refs or ())]
        answer = self._remote(asked, ASK_TIMEOUT)
        if answer.code:
            raise self._remote_error(answer)
        found = {}
        for line in answer.text.split("\n"):  # not `splitlines`: Git takes names that hold other ends of lines
            identity, _, name = line.partition("\t")
            if is_sha(identity) and (refs is None or name in refs):
                found[name] = identity
        return found

    def resolve(self, ref: str, *, checkpoint: Checkpoint = unchecked) -> str:
        """Return the commit of a branch, tag, full ref or full commit id of the remote, and make it available.

        :param ref: of a branch and a tag with the same short name the branch is meant.
        :raises Missing: (a ``Refused`` with ``reasons.missing``) when the remote has none of that name.
        """
        if is_sha(ref):
            self.fetch_commit(ref, checkpoint=checkpoint)
            return ref
        names = [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        found = self.ls_remote([name for full in names for name in (full, f"{full}^{{}}")])
        for name in names:
            commit = found.get(f"{name}^{{}}") or found.get(name)
            if commit:
                self.fetch_commit(commit, name, checkpoint=checkpoint)
                return commit
        raise Missing(self.reasons.missing, f"{self.where}: there is no branch or tag {ref[:200]!r}")

    def fetch_branch(self, branch: str, *, timeout: float = FETCH_TIMEOUT, checkpoint: Checkpoint = unchecked) -> str:
        """Fetch just this branch and return its head commit.

        :raises Missing: (a ``Refused`` with ``reasons.missing``) when the remote does not have it.
        """
        ref = f"refs/heads/{branch}"
        self._check_ref(ref)
        own = _own_ref("branch", branch)
        try:
            head = self._alone(lambda: self._fetch([f"+{ref}:{own}"], timeout, checkpoint, own), timeout, checkpoint)
        except Missing as error:
            if self.ls_remote([ref]):  # the forge's servers lag behind each other, or it was rewritten just now
                said = f"{self.where} shows a branch {branch!r}, but does not have its commit"
                raise Unavailable(self.reasons.unavailable, said) from error
            raise Missing(self.reasons.missing, f"{self.where} has no branch {branch!r}") from error
        self.note_head(branch, head)
        return head

    def fetch_commit(
        self,
        commit: str,
        ref: str = "",
        *,
        new: bool = False,
        checkpoint: Checkpoint = unchecked,
    ) -> str:
        """Make exactly this commit available, with its files and history; return where the branch `ref` was seen.

        "": nobody looked, for the commit was here, or `ref` is no branch that is there.

        :param ref: full ref (or branch name) that had it, tried first; it may have moved or gone since.
        :param new: it was just pushed, so that it pays not to look here first.
        :raises Missing: (a ``Refused`` with ``reasons.missing``) when the remote does not have it (any more).
        """
        if not is_sha(commit):
            raise Missing(self.reasons.missing, f"{commit[:80]!r} is not a full commit id")
        if ref:
            self._check_ref(ref if ref.startswith("refs/") else f"refs/heads/{ref}")
        seen = ""
        self._note_use()  # first of all, so that nobody removes what is found
        if new or not self.has(commit):
            seen = self._alone(lambda: self._find(commit, ref, checkpoint), FETCH_TIMEOUT, checkpoint)
            self._note_use()
        return seen

    def push(self, commit: str, branch: str, *, onto: str, timeout: float = PUSH_TIMEOUT) -> PushAnswer:
        """Push exactly this commit to a branch, never with force, and return what the server said.

        ``PushVerdict.UNKNOWN`` means that only a look at the remote can tell. A refusal carries the server's words.

        :param onto: an ancestor of `commit`, at which the branch has to be: a branch that somebody has set back since
            would take the commit as well, and with it what was dropped on purpose.
        """
        ref = f"refs/heads/{branch}"
        self._check_ref(ref)
        only = f"--force-with-lease={ref}:{onto}"  # despite its name a condition: nothing here can be a forced update
        push = ["push", "--porcelain", "--no-verify", only, "--end-of-options", self.access.url, f"{commit}:{ref}"]
        answer = self._remote(push, timeout)
        told = read_push(answer.text, ref, answer.stderr)
        if told.verdict is PushVerdict.UNKNOWN and answer.code and not told.words:
            raise self._remote_error(answer)
        said = remote_words(answer.stderr, self._secrets)
        words = f"{told.words}: {said}" if said and told.verdict is not PushVerdict.LANDED else told.words
        return PushAnswer(verdict=told.verdict, words=words, sent=told.sent)

    def try_push(self, branch: str) -> str:
        """Prove that our account may push to the repository: all of a push of what is there, but for sending it.

        Return the head of the branch.

        The right is asked for when the push begins (``git-receive-pack``); what protects a single branch shows only
        when something is sent.

        :raises Refused: the server does not let us, or has no such branch. :raises Unavailable: it does not answer.
        """
        head = self.fetch_branch(branch, timeout=ASK_TIMEOUT)
        push = ["push", "--dry-run", "--porcelain", "--no-verify", "--end-of-options", self.access.url]
        answer = self._remote([*push, f"{head}:refs/heads/{branch}"], ASK_TIMEOUT)
        if answer.code:
            raise self._remote_error(answer)
        return head

    def submodule(self, url: str) -> "Mirror":
        """Return the mirror of a submodule, beside this one: with its credentials, and for nobody else.

        Whoever can push here can name any repository of the server. What other accounts have fetched, for another app
        or the GitOps repository, is not theirs to read.

        :raises Refused: the address names no repository on a server.
        """
        folder = self.folder.with_name(f"{digest(f'{self.access.url} {url}')}.git")
        return Mirror(replace(self.access, url=url), folder, reasons=self.reasons)

    # what is made of the copy

    def snapshot(
        self,
        commit: str,
        context: str = ".",
        *,
        timeout: float = SNAPSHOT_TIMEOUT,
        log: Callable[[str], None] = lambda _: None,
        checkpoint: Checkpoint = unchecked,
        at: str = "",
    ) -> AbstractContextManager[Snapshot]:
        """Open a folder of a commit; see `workers.clients.git_snapshot.snapshot`.

        :param log: gets a line where contents of Git LFS are fetched. :param checkpoint: called about every second
            meanwhile.
        """
        config = partial(self._file, commit, git_lfs.CONFIG)
        lfs = GitLfs(self.access, self.lfs, timeout=timeout, log=log, checkpoint=checkpoint, config=config)
        return git_snapshot.snapshot(self, commit, context, timeout=timeout, fetch_lfs=lfs.fetch, at=at)

    def _file(self, commit: str, path: str) -> bytes | None:
        return self.files(commit, [path]).get(path)

    def write(
        self, parent: str, drafts: Sequence[Draft], *, branch: str, author: Author, signing: Signing | None = None
    ) -> list[str]:
        """Write one commit per draft on top of `parent`, locally; see `workers.clients.git_write.write_chain`."""
        ref = _own_ref("landing", branch)
        return git_write.write_chain(self, parent, drafts, ref=ref, author=author, signing=signing)

    def try_sign(self, commit: str, author: Author, signing: Signing) -> None:
        """Prove that commits can be signed; see `workers.clients.git_write.try_sign`."""
        git_write.try_sign(self, commit, author, signing)

    # how the remote is asked

    def _find(self, commit: str, ref: str, checkpoint: Checkpoint) -> str:
        """Fetch the ref, then the commit itself, then everything, until it is here; return the head of the branch."""
        name = ref if ref.startswith("refs/") or not ref else f"refs/heads/{ref}"
        deadline = time.monotonic() + FETCH_TIMEOUT
        own = _own_ref("ref", name)
        tip = own if name.startswith("refs/heads/") else ""  # a tag may point to anything
        ways = [([f"+{name}:{own}"], tip)] if name else []
        ways.append(([f"+{commit}:{_own_ref('commit', commit)}"], ""))
        ways.append((["+refs/heads/*:refs/pilotage/all/heads/*", "+refs/tags/*:refs/pilotage/all/tags/*"], ""))
        head = ""
        for specs, read in ways:
            checkpoint()
            with suppress(Missing):
                head = self._fetch(specs, deadline - time.monotonic(), checkpoint, read) or head
                # what a fetch ends at is complete, it looks itself; what is below need not be
                if head == commit:
                    return head
            if self.has(commit):
                return head
        raise Missing(self.reasons.missing, f"{self.where}: commit {commit} is not on the remote")

    def _fetch(self, specs: Sequence[str], timeout: float, checkpoint: Checkpoint, read: str = "") -> str:
        """Run one fetch; return the commit that our ref `read` has then ("" if none is asked for).

        :raises CorruptMirror: the local copy is damaged, or cannot hold what the server has.
        """
        prune = ["--prune"] if any("*" in spec for spec in specs) else []
        fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", *prune]
        command = [*fetch, "--end-of-options", self.access.url, *specs]
        answer = self._remote(command, timeout, self._sparing(checkpoint))
        if answer.code and (full := unwritable(answer.stderr, self.folder)):
            raise full
        other = server_format(answer.stderr)
        if answer.code and (other or is_corrupt(answer.stderr)):
            raise CorruptMirror(other, f"{self.where}: {last_words(answer.stderr, self._secrets)}")
        if answer.code:
            raise self._remote_error(answer)
        return self._tip(read) if read else ""

    def _tip(self, ref: str) -> str:
        """Return what a ref of ours points to. Just fetched, it mostly has a file of its own, which needs no process.

        :raises CorruptMirror: it points to nothing that is here.
        """
        with suppress(OSError, ValueError):
            name = (self.folder / ref).read_text(encoding="ascii").strip()
            if is_sha(name):
                return name
        head = self._try(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"])
        if head.code:
            raise CorruptMirror
        return head.text.strip()

    def _remote(self, arguments: Sequence[str], timeout: float, checkpoint: Checkpoint = unchecked) -> Output:
        env = git_access.remote_env(self.access, allow_local=self._allow_local)
        folder = self.folder if arguments[0] != "ls-remote" else None
        try:
            return run(folder, arguments, env=env, timeout=max(0.0, timeout), checkpoint=checkpoint, guarded=True)
        except GitTimeout as error:
            raise Unavailable(self.reasons.unavailable, f"{self.where}: no answer in {timeout:.0f} s") from error
        except TooMuch as error:
            raise Refused(self.reasons.refused, f"{self.where}: the answer is larger than is read") from error

    def _remote_error(self, answer: Output) -> Exception:
        return to_error(answer.stderr, self.reasons, self.where, self._secrets)

    def _check_ref(self, ref: str) -> None:
        parts = split_ref(ref)
        if ref == "HEAD":
            return
        if parts is None or not is_safe_ref_name(parts[1]):
            raise Refused(self.reasons.refused, f"{ref[:200]!r} is not the name of a branch or tag")


def _own_ref(kind: str, name: str) -> str:
    return f"refs/pilotage/{kind}/{digest(name)}"
