"""A folder of a commit, for a build: its files one by one, or all of them as a tar stream.

Exactly the bytes that are committed, the same every time. ``git archive`` is not used: it obeys ``export-ignore`` and
``export-subst`` of the repository's own ``.gitattributes``, which changes an image silently, and it has no way to
date a folder of a commit before Git 2.41. Line-ending and encoding attributes, which are about a checkout, have no
effect either. Two processes of Git do all of it: one lists, one hands over contents.
"""

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from orchestrator.domain.errors import Refused
from workers.clients.git_read import MAX_FILE, Repository
from workers.clients.git_tar import GITLINK, Kept, Objects, Selection, as_stream, members, reading
from workers.clients.git_tree import TreeEntry, folders_above, parse_tree, path_fault
from workers.clients.lfs_pointer import MAX_POINTER, LfsPointer, is_pointer, parse_pointer

SNAPSHOT_TIMEOUT = 1800.0
"""Seconds in which everything has to be read."""
_COMMITTER = re.compile(rb"^committer .*> (-?[0-9]{1,20}) ", re.MULTILINE)
_LAST_DATE = 253_402_300_799
"""The last second of the year 9999."""
_MAX_LINK = 4096
"""Bytes of a link's target (PATH_MAX)."""
_MAX_RULES = 256 * 1024
"""Bytes of a ``.gitattributes`` that is read."""

LeaveOut = Callable[[str], bool]
FetchLfs = Callable[[Mapping[str, LfsPointer]], Mapping[str, Path]]
"""Has contents of Git LFS here, by the paths that need them, and returns where each is."""


def _nothing(_: str) -> bool:
    return False


@contextmanager
def snapshot(
    repository: Repository,
    commit: str,
    context: str = ".",
    *,
    timeout: float = SNAPSHOT_TIMEOUT,
    fetch_lfs: FetchLfs,
    at: str = "",
) -> Iterator["Snapshot"]:
    """Open the folder `context` of a commit that is here; the process behind it is gone when the block ends.

    :param timeout: seconds for everything that is read. :param fetch_lfs: see `FetchLfs`; paths are the commit's.
    :param at: where the folder stands inside another one, with a slash at its end; in front of every path that leaves
        here, in the stream and in sentences.
    :raises Refused: the commit is not here, or `context` is no folder of it.
    :raises Unavailable: while reading, the deadline passed or the copy proved damaged, or is gone.
    """
    folder = _plain(repository, context)
    entries = _listing(repository, commit, folder)
    with reading(repository, timeout) as objects:
        yield Snapshot(repository, commit, folder, entries, objects, fetch_lfs, at)


class Snapshot:
    """A folder of a commit; paths are relative to it.

    :ivar folder: its own path in the repository, "" for the whole. :ivar date: the commit's, seconds since the epoch.
    """

    def __init__(
        self,
        repository: Repository,
        commit: str,
        folder: str,
        entries: Sequence[TreeEntry],
        objects: Objects,
        fetch_lfs: FetchLfs,
        at: str = "",
    ) -> None:
        self._repository = repository
        self._commit = commit
        self.folder = folder
        self._at = at
        self._entries = {entry.path: entry for entry in entries}
        self._objects = objects
        self._fetch_lfs = fetch_lfs
        self.date = _date_of(objects.read(commit))

    @property
    def entries(self) -> Collection[TreeEntry]:
        """All that is in the folder and below it, folders included."""
        return self._entries.values()

    def read(self, path: str, limit: int = MAX_FILE) -> bytes | None:
        """Return the bytes of one file; None if there is no such file.

        :raises Refused: it, or a folder on the way, is a link or a submodule; or it has more than `limit` bytes; or
            it is a pointer of Git LFS: what is read here are rules for the build, which belong into the commit.
        """
        for above in folders_above(path):
            entry = self._entries.get(above)
            if entry is not None and entry.mode != "040000":
                raise self._unusable(f"{self._shown(above)}, on the way to {self._shown(path)}, is {entry.kind}")
        entry = self._entries.get(path)
        if entry is None:
            return None
        if not entry.is_file:
            raise self._unusable(f"{self._shown(path)} is {entry.kind}, not a file")
        if entry.size > limit:
            raise self._unusable(f"{self._shown(path)} has {entry.size} bytes; at most {limit} are read")
        content = self._objects.read(entry.object)
        if is_pointer(content):
            raise self._unusable(f"{self._shown(path)} is a Git LFS pointer: commit the file itself")
        return content

    def tar(self, leave_out: LeaveOut = _nothing) -> BinaryIO:
        """Give all files as a tar stream (GNU format); nothing but contents of Git LFS is written to disk.

        Executable bits and links are kept, the owner is 0:0, the time is the commit's.

        :param leave_out: paths for which it says True are neither read nor judged.
        :raises Refused: a submodule or a link that leads nowhere is among the files; or see `GitLfs.fetch`.
        """
        return as_stream(self.members(self.select(leave_out)))

    def members(self, chosen: Selection) -> Iterator[bytes]:
        """Yield the members of the stream for what `select` returned."""
        return members(self._objects, chosen, self.date, self._at)

    def select(self, leave_out: LeaveOut = _nothing, *, submodules: bool = False) -> Selection:
        """Return what the tar stream is made of; contents of Git LFS are here then.

        :param submodules: pass them, somebody else adds their files. :raises Refused: as `tar`.
        """
        entries = [entry for entry in self._entries.values() if not leave_out(self._at + entry.path)]
        if not submodules:
            self._refuse_submodules(entries)
        self._refuse_long_links(entries)
        return Selection(entries=entries, kept=self._lfs_contents(entries) if self._uses_lfs() else {})

    def _refuse_submodules(self, entries: Sequence[TreeEntry]) -> None:
        for entry in entries:
            if entry.mode == GITLINK:
                raise self._unusable(
                    f"{entry.path} is a submodule, which is not fetched: set `build.submodules: true`, vendor its"
                    " files, or name it in .dockerignore"
                )

    def _refuse_long_links(self, entries: Sequence[TreeEntry]) -> None:
        """Keep out of memory what only calls itself a link: all else goes through it piece by piece."""
        for entry in entries:
            if entry.mode == "120000" and entry.size > _MAX_LINK:
                raise self._unusable(
                    f"{self._at}{entry.path} is a symbolic link of {entry.size} bytes; no path is as long"
                )

    def _uses_lfs(self) -> bool:
        """Tell whether the repository uses Git LFS; only then files are checked for its pointers."""
        rules = [entry for entry in self._entries.values() if posixpath.basename(entry.path) == ".gitattributes"]
        if self.folder:
            above = [posixpath.join(folder, ".gitattributes") for folder in ("", *folders_above(self.folder))]
            found = self._repository.entries(self._commit, above)
            rules += [found[path] for path in above if path in found]
        small = [entry for entry in rules if entry.is_file and entry.size < _MAX_RULES]
        return any(b"filter=lfs" in content for _, content in self._objects.read_all(small))

    def _lfs_contents(self, entries: Sequence[TreeEntry]) -> Kept:
        """Have the contents here whose pointers are among the files, before anything is sent."""
        small = [entry for entry in entries if entry.is_file and entry.size < MAX_POINTER]
        pointers: dict[str, LfsPointer] = {}
        for entry, content in self._objects.read_all(small):
            if is_pointer(content):
                pointers[entry.path] = self._pointer(entry.path, content)
        found = self._fetch_lfs({self._shown(path): pointer for path, pointer in pointers.items()})
        return {path: (found[self._shown(path)], pointer.size) for path, pointer in pointers.items()}

    def _pointer(self, path: str, content: bytes) -> LfsPointer:
        try:
            return parse_pointer(content)
        except ValueError as error:
            raise self._unusable(
                f"{self._shown(path)} begins as a Git LFS pointer, but {error}: write it anew with `git lfs migrate"
                " import --no-rewrite`, or name it in .dockerignore when the image does not need it"
            ) from error

    def _unusable(self, evidence: str) -> Refused:
        return Refused(self._repository.reasons.unusable, evidence)

    def _shown(self, path: str) -> str:
        return self._at + posixpath.join(self.folder, path)


def _plain(repository: Repository, context: str) -> str:
    """Return the plain path of the folder; "" for the whole commit."""
    plain = posixpath.normpath(context or ".")
    if plain == ".":
        return ""
    fault = path_fault(plain)
    if fault:
        raise Refused(repository.reasons.unusable, f"the build context {context[:200]!r} {fault}")
    return plain


def _listing(repository: Repository, commit: str, folder: str) -> list[TreeEntry]:
    listing = repository.list_tree(commit, folder)
    if listing is not None:
        return parse_tree(listing)
    if not repository.exists():
        raise repository.damaged("somebody has taken it away")
    if not repository.has(commit):
        raise Refused(repository.reasons.missing, f"commit {commit[:12]} is not in the local copy")
    entry = repository.entry(commit, folder) if folder else None
    if folder and (entry is None or entry.mode != "040000"):
        what = "is not there" if entry is None else f"is {entry.kind}"
        raise Refused(repository.reasons.unusable, f"the build context {folder} {what} in commit {commit[:12]}")
    raise repository.damaged("a folder could not be listed")


def _date_of(commit: bytes) -> int:
    """Read the committer's time out of a commit object; the nearest that a calendar has, as anybody may write any."""
    found = _COMMITTER.search(commit.partition(b"\n\n")[0])
    return min(max(0, int(found[1])), _LAST_DATE) if found else 0
