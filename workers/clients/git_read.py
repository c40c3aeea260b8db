"""Read a bare repository on this machine: commits, trees and files, never through a checkout."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.refs import is_sha
from workers.clients.git_access import local_env
from workers.clients.git_commit import CommitInfo, CommitMessage
from workers.clients.git_errors import CorruptMirror, Reasons, is_corrupt, last_words, unwritable
from workers.clients.git_process import GitTimeout, Output, TooMuch, run
from workers.clients.git_tree import TreeEntry, folders_above, os_text, parse_tree, path_fault

MAX_FILE = 16 * 1024 * 1024
"""Bytes of one file that is read into memory."""
MAX_MESSAGE = 1024 * 1024
"""Bytes of a commit's message, with its people: 60 MB of one can take a gigabyte until they are shown, and pack to
nothing."""
LOCAL_TIMEOUT = 120.0
"""Seconds for a command that only reads the disk."""
COMPARE_TIMEOUT = 5.0
"""Seconds to list what differs; large changes take one. A commit may name the same folders in folders over and over:
a few kilobytes that stand for a hundred million files, and Git keeps all in memory before it names the first."""
_NAMES = ("-z", "--name-only", "--no-renames")
_PATHS_PER_COMMAND = 500
"""Paths that go into one argument list; far below the kernel's bound at 4,096 bytes a path."""
_BLOBS_PER_COMMAND = 32 * 1024 * 1024
"""Bytes of files that one process hands over; below `git_process.MAX_OUTPUT`."""


class Repository:
    """The reading side of a bare repository.

    Every method raises ``Unavailable`` (with ``reasons.unavailable``) when the local copy is damaged or a command
    does not end in time; a damaged copy is put aside first (see `_put_aside`), so that a retry starts afresh. Where
    its disk is full or only to be read, the reason is STATE_UNWRITABLE, whatever command it was.
    """

    def __init__(self, folder: Path, reasons: Reasons) -> None:
        self.folder = folder
        self.reasons = reasons

    def has(self, commit: str) -> bool:
        """Tell whether this commit is here with everything that belongs to it (its files and its history).

        An interrupted fetch can leave a commit without its files; such a commit does not count.
        """
        if not is_sha(commit) or not self.exists():
            return False
        check = ["rev-list", "--quiet", "--objects", f"{commit}^{{commit}}", "--not", "--all"]
        return self._try(check).code == 0

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of one file as they are committed; None if there is no such file.

        :raises Refused: the path leaves the repository, or a part of it is a link, a submodule or a folder, or the
            file is larger than `MAX_FILE`.
        """
        entry = self.entry(commit, path)
        if entry is None:
            return None
        if not entry.is_file:
            raise Refused(self.reasons.unusable, f"{path} is {entry.kind}, not a file")
        if entry.size > MAX_FILE:
            raise Refused(self.reasons.unusable, f"{path} has {entry.size} bytes; at most {MAX_FILE} are read")
        return self.blobs([entry])[entry.object]

    def entry(self, commit: str, path: str) -> TreeEntry | None:
        """Return what is at `path` (not followed, if it is a link); None if nothing is.

        :raises Refused: the path leaves the repository, or one of its folders is a link or a submodule.
        """
        fault = path_fault(path)
        if fault:
            raise Refused(self.reasons.unusable, f"the path {path[:200]!r} {fault}")
        found = self.entries(commit, [path])
        for folder in folders_above(path):
            if folder in found and found[folder].mode != "040000":
                raise Refused(self.reasons.unusable, f"{folder}, on the way to {path}, is {found[folder].kind}")
        return found.get(path)

    def entries(self, commit: str, paths: Sequence[str]) -> dict[str, TreeEntry]:
        """Return what is at each of `paths`; for one that is missing, also what is at the folders above it.

        Constant in processes and quick in trees of any size: only the folders named are opened.
        """
        wanted = set(paths)
        found = self._list(commit, wanted)
        missing = {folder for path in wanted - found.keys() for folder in folders_above(path)}
        return found | self._list(commit, missing - found.keys())

    def files(self, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Return path and content of those of `paths` that are plain files of at most `MAX_FILE` bytes."""
        there = self.entries(commit, [path for path in paths if not path_fault(path)])
        plain = {path: entry for path, entry in there.items() if entry.is_file and entry.size <= MAX_FILE}
        content = self.blobs(plain.values())
        return {path: content[entry.object] for path, entry in plain.items()}

    def _list(self, commit: str, wanted: set[str]) -> dict[str, TreeEntry]:
        names = sorted(wanted)
        found: dict[str, TreeEntry] = {}
        for start in range(0, len(names), _PATHS_PER_COMMAND):
            some = names[start : start + _PATHS_PER_COMMAND]
            # -t also tells a folder that is opened for another path; what else that brings is dropped
            listing = self._try(["ls-tree", "-t", "-z", "-l", "--full-tree", "--end-of-options", _sha(commit), *some])
            if listing.code:
                raise self._unlisted(commit, listing)
            found |= {entry.path: entry for entry in parse_tree(listing.stdout) if entry.path in wanted}
        return found

    def _unlisted(self, commit: str, answer: Output) -> Exception:
        """Return the error for a commit that cannot be listed; Git says the same where only its tree is missing."""
        here = self._try(["cat-file", "-e", "--end-of-options", f"{commit}^{{commit}}"]).code == 0
        if here and "not a tree object" in answer.stderr:
            return self.damaged(f"commit {commit[:12]} has no files")
        return self.failed(answer)

    def blobs(self, entries: Iterable[TreeEntry]) -> dict[str, bytes]:
        """Return object id and content of files, as few processes as the bound on their output allows."""
        found: dict[str, bytes] = {}
        waiting: list[TreeEntry] = []
        for entry in {entry.object: entry for entry in entries}.values():
            if waiting and sum(other.size for other in waiting) + entry.size > _BLOBS_PER_COMMAND:
                found |= self._blobs(waiting)
                waiting = []
            waiting.append(entry)
        return found | self._blobs(waiting)

    def _blobs(self, entries: Sequence[TreeEntry]) -> dict[str, bytes]:
        if not entries:
            return {}
        names = [entry.object for entry in entries]
        answer = self._git(["cat-file", "--batch"], stdin="".join(f"{name}\n" for name in names).encode())
        return self._split(answer.stdout, names)

    def _split(self, stream: bytes, wanted: Sequence[str]) -> dict[str, bytes]:
        """Cut the answer of ``cat-file --batch``: a line ``<id> <type> <size>``, the content, a newline."""
        found: dict[str, bytes] = {}
        at = 0
        for name in wanted:
            end = stream.find(b"\n", at)
            words = stream[at:end].split()
            if len(words) != 3:
                raise self.damaged(f"object {name[:12]} is missing")
            at = end + 1 + int(words[2])
            found[name] = stream[end + 1 : at]
            at += 1
        return found

    def is_ancestor(self, older: str, newer: str) -> bool | None:
        """Tell whether `newer` contains `older` (a commit contains itself); None when one is not known here."""
        if not (is_sha(older) and is_sha(newer) and self.exists()):
            return None
        answer = self._try(["merge-base", "--is-ancestor", "--end-of-options", older, newer])
        if answer.code and is_corrupt(answer.stderr):  # it may say no where it has only lost its way
            if self.has(older) and self.has(newer):
                raise self.damaged(last_words(answer.stderr))
            return None
        return {0: True, 1: False}.get(answer.code)

    def changed_paths(self, old: str, new: str) -> tuple[str, ...] | None:
        """List the files that differ between two commits, sorted; None when one is not known here, or they are
        too many.
        """
        return self._names(old, new, ["diff-tree", "-r", *_NAMES, "--end-of-options", old, new])

    def touched_paths(self, old: str, new: str) -> frozenset[str] | None:
        """Collect `changed_paths` and what a commit in between changed, also where a later one has taken it back."""
        differ = self.changed_paths(old, new)
        if differ is None:
            return None
        between = self._names(old, new, ["log", "--format=", *_NAMES, "--end-of-options", f"{old}..{new}", "--"])
        return None if between is None else frozenset(differ).union(between)

    def _names(self, old: str, new: str, arguments: Sequence[str]) -> tuple[str, ...] | None:
        """List the files that a command names which compares two commits; None as with `changed_paths`."""
        if not (is_sha(old) and is_sha(new) and self.exists()):
            return None
        try:
            answer = run(self.folder, arguments, env=local_env(), timeout=COMPARE_TIMEOUT)
        except (GitTimeout, TooMuch):
            return None
        if answer.code:
            return None
        return tuple(sorted(os_text(name) for name in answer.stdout.split(b"\0") if name))

    def commit_info(self, commit: str) -> CommitInfo:
        """Return people, date and message of a commit that is here. :raises Refused: they are too long."""
        form = "--format=%an%x00%ae%x00%ce%x00%cI%x00%B"
        log = ["log", "-1", "--no-mailmap", form, "--end-of-options", _sha(commit)]
        try:
            answer = self._git(log, most=MAX_MESSAGE)
        except Refused as error:
            said = f"the message of commit {commit[:12]} has more than {MAX_MESSAGE} bytes: write a shorter one"
            raise Refused(self.reasons.unusable, said) from error
        name, author, committer, date, message = answer.text.split("\0", 4)
        return CommitInfo(
            author_name=name, author_email=author, committer_email=committer, date=date, message=message
        )

    def list_tree(self, commit: str, folder: str) -> bytes | None:
        """Return what ``ls-tree -z -l`` says of a folder ("" = all) with everything below it, folders included.

        None: the commit is not here, or has no such folder, or the copy is damaged.
        """
        tree = f"{_sha(commit)}:{folder}"
        answer = self._try(["ls-tree", "-r", "-t", "-z", "-l", "--full-tree", "--end-of-options", tree])
        return None if answer.code else answer.stdout

    def history(
        self, head: str, limit: int, containing: str, *, after: str = "", path: str = ""
    ) -> list[CommitMessage]:
        """Return those of the last `limit` commits up to `head` whose message contains a text, newest first.

        :param after: a commit; it and what it contains do not count. :param path: only commits that change this file.
        """
        form = ["--format=%H%x00%P%x00%B%x00", "-n", str(limit), "--no-mailmap"]
        commits = f"{_sha(after)}..{_sha(head)}" if after else _sha(head)
        only = [path] if path else []
        answer = self._git(["log", *form, "--end-of-options", commits, "--", *only])
        fields = answer.text.split("\0")
        return [
            CommitMessage(commit=commit.strip(), parent=parents.partition(" ")[0], text=text)
            for commit, parents, text in zip(fields[0:-1:3], fields[1::3], fields[2::3], strict=True)
            if containing in text
        ]

    def _git(self, arguments: Sequence[str], stdin: bytes = b"", most: int = 0) -> Output:
        """Run a local command that has to succeed."""
        answer = self._try(arguments, stdin, most)
        if answer.code:
            raise self.failed(answer)
        return answer

    def _try(self, arguments: Sequence[str], stdin: bytes = b"", most: int = 0) -> Output:
        """Run a local command whose exit code means something."""
        try:
            answer = run(self.folder, arguments, env=local_env(), timeout=LOCAL_TIMEOUT, stdin=stdin, most=most)
        except GitTimeout as error:
            raise Unavailable(
                self.reasons.unavailable, f"git {arguments[0]}: no end in {LOCAL_TIMEOUT:.0f} s"
            ) from error
        except TooMuch as error:
            raise Refused(self.reasons.unusable, f"git {arguments[0]}: more output than is read") from error
        return answer

    def failed(self, answer: Output) -> Exception:
        """Return the error for a local command that failed; a damaged copy is put aside."""
        full = unwritable(answer.stderr, self.folder)
        if full is not None:
            return full
        if is_corrupt(answer.stderr) or not self.exists():
            return self.damaged(last_words(answer.stderr))
        return Unavailable(self.reasons.unavailable, f"the local copy: {last_words(answer.stderr)}")

    def damaged(self, words: str) -> Exception:
        """Put a damaged copy aside and say so."""
        self._put_aside()
        return Unavailable(self.reasons.unavailable, f"the local copy was damaged and is made again ({words})")

    def _put_aside(self) -> None:
        """Take a damaged copy away; a plain repository has nothing to make it again from."""
        raise CorruptMirror

    def exists(self) -> bool:
        """Tell whether there is a copy at all, whatever it holds."""
        return (self.folder / "HEAD").is_file()


def _sha(commit: str) -> str:
    """Let only a full object id through.

    :raises ValueError: it is none; a name from outside must have been resolved before.
    """
    if not is_sha(commit):
        raise ValueError(f"not a full commit id: {commit[:80]!r}")
    return commit
