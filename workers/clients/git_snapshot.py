"""A folder of a commit, for a build: its files one by one, or all of them as a tar stream.

Exactly the bytes that are committed, the same every time. ``git archive`` is not used: it obeys ``export-ignore`` and
``export-subst`` of the repository's own ``.gitattributes``, which changes an image silently, and it has no way to
date a folder of a commit before Git 2.41. Line-ending and encoding attributes, which are about a checkout, have no
effect either. Two processes of Git do all of it: one lists, one hands over contents.
"""

import io
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import IO, BinaryIO, cast

from orchestrator.domain.errors import Refused, Unavailable
from workers.clients.git_access import local_env
from workers.clients.git_process import start, watchdog
from workers.clients.git_read import MAX_FILE, Repository, TreeEntry, folders_above, parse_tree, path_fault
from workers.clients.lfs_pointer import MAX_POINTER, LfsPointer, is_pointer, parse_pointer
from workers.clients.lfs_store import read_kept

SNAPSHOT_TIMEOUT = 1800.0
"""Seconds in which everything has to be read."""
_COMMITTER = re.compile(rb"^committer .*> (-?[0-9]{1,20}) ", re.MULTILINE)
_LAST_DATE = 253_402_300_799
"""The last second of the year 9999."""
_MAX_LINK = 4096
"""Bytes of a link's target (PATH_MAX)."""
_CHUNK = 256 * 1024
_AHEAD = 500
"""Names that are requested before their contents are read: together they fit into the smallest pipe (64 KiB)."""

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
) -> Iterator["Snapshot"]:
    """Open the folder `context` of a commit that is here; the process behind it is gone when the block ends.

    :param timeout: seconds for everything that is read. :param fetch_lfs: see `FetchLfs`; paths are the commit's.
    :raises Refused: the commit is not here, or `context` is no folder of it.
    :raises Unavailable: while reading, the deadline passed or the copy proved damaged.
    """
    folder = _plain(repository, context)
    entries = _listing(repository, commit, folder)
    with (
        start(repository.folder, ["cat-file", "--batch"], env=local_env()) as process,
        watchdog(process, timeout) as too_slow,
    ):
        yield Snapshot(repository, commit, folder, entries, _Objects(repository, process, too_slow.is_set), fetch_lfs)


class Snapshot:
    """A folder of a commit; paths are relative to it. ``date`` is the commit's, in seconds since the epoch."""

    def __init__(
        self,
        repository: Repository,
        commit: str,
        folder: str,
        entries: Sequence[TreeEntry],
        objects: "_Objects",
        fetch_lfs: FetchLfs,
    ) -> None:
        self._repository = repository
        self._commit = commit
        self._folder = folder
        self._entries = {entry.path: entry for entry in entries}
        self._objects = objects
        self._fetch_lfs = fetch_lfs
        self.date = _date_of(objects.read(commit))

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
        entries = [entry for entry in self._entries.values() if not leave_out(entry.path)]
        self._refuse_submodules(entries)
        self._refuse_long_links(entries)
        kept = self._lfs_contents(entries) if self._uses_lfs() else {}
        return io.BufferedReader(_Stream(_tar(self._objects, entries, self.date, kept)), _CHUNK)

    def _refuse_submodules(self, entries: Sequence[TreeEntry]) -> None:
        for entry in entries:
            if entry.mode == "160000":
                raise self._unusable(
                    f"{entry.path} is a submodule, which is not fetched: vendor its files or name it in .dockerignore"
                )

    def _refuse_long_links(self, entries: Sequence[TreeEntry]) -> None:
        """Keep out of memory what only calls itself a link: all else goes through it piece by piece."""
        for entry in entries:
            if entry.mode == "120000" and entry.size > _MAX_LINK:
                raise self._unusable(f"{entry.path} is a symbolic link of {entry.size} bytes; no path is as long")

    def _uses_lfs(self) -> bool:
        """Tell whether the repository uses Git LFS; only then files are checked for its pointers."""
        rules = [entry for entry in self._entries.values() if posixpath.basename(entry.path) == ".gitattributes"]
        if self._folder:
            above = [posixpath.join(folder, ".gitattributes") for folder in ("", *folders_above(self._folder))]
            found = self._repository.entries(self._commit, above)
            rules += [found[path] for path in above if path in found]
        small = [entry for entry in rules if entry.is_file and entry.size < _CHUNK]
        return any(b"filter=lfs" in content for _, content in self._objects.read_all(small))

    def _lfs_contents(self, entries: Sequence[TreeEntry]) -> "_Kept":
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
        return posixpath.join(self._folder, path)


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


class _Objects:
    """Contents of objects, from one ``cat-file --batch``."""

    def __init__(self, repository: Repository, process: "Popen[bytes]", too_slow: Callable[[], bool]) -> None:
        self._repository = repository
        self._questions = cast("IO[bytes]", process.stdin)
        self._answers = cast("IO[bytes]", process.stdout)
        self._too_slow = too_slow

    def read(self, name: str) -> bytes:
        """Return the content of one object."""
        self.ask([name])
        return b"".join(self.parts())

    def read_all(self, entries: Sequence[TreeEntry]) -> Iterator[tuple[TreeEntry, bytes]]:
        """Yield each entry with its content; to be read to its end before anything else is asked."""
        for at in range(0, len(entries), _AHEAD):
            some = entries[at : at + _AHEAD]
            self.ask([entry.object for entry in some])
            contents = [b"".join(self.parts()) for _ in some]
            yield from zip(some, contents, strict=True)

    def ask(self, names: Sequence[str]) -> None:
        """Ask for objects, `_AHEAD` at the most; then take the `parts` of each in the same order."""
        try:
            self._questions.write("".join(f"{name}\n" for name in names).encode())
            self._questions.flush()
        except BrokenPipeError as error:
            raise self._cut() from error

    def parts(self) -> Iterator[bytes]:
        """Yield the content of the object that is next in the answer: ``<id> <type> <size>``, content, newline."""
        words = self._answers.readline().split()
        if len(words) != 3:
            raise self._cut()
        left = int(words[2])
        while left:
            part = self._answers.read(min(left, _CHUNK))
            if not part:
                raise self._cut()
            left -= len(part)
            yield part
        self._answers.read(1)

    def _cut(self) -> Exception:
        if self._too_slow():
            return Unavailable(self._repository.reasons.unavailable, "the source was not read in time")
        return self._repository.damaged("a file could not be read")


_Kept = Mapping[str, tuple[Path, int]]
"""Contents that are not in the commit: by path where each is on disk, and its size."""


def _tar(objects: _Objects, entries: Sequence[TreeEntry], date: int, kept: _Kept) -> Iterator[bytes]:
    """Yield the stream piece by piece."""
    for at in range(0, len(entries), _AHEAD):
        some = entries[at : at + _AHEAD]
        objects.ask([entry.object for entry in some if entry.mode != "040000" and entry.path not in kept])
        for entry in some:
            if entry.path in kept:
                path, size = kept[entry.path]
                yield from _file(entry, date, size, read_kept(path, size))
            else:
                yield from _member(objects, entry, date)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _member(objects: _Objects, entry: TreeEntry, date: int) -> Iterator[bytes]:
    member = tarfile.TarInfo(entry.path)
    member.mtime = date
    if entry.mode == "040000":
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        yield _header(member)
    elif entry.mode == "120000":
        target = b"".join(objects.parts())
        member.type, member.mode = tarfile.SYMTYPE, 0o777
        member.linkname = target.decode("utf-8", "surrogateescape")
        yield _header(member)
    else:
        yield from _file(entry, date, entry.size, objects.parts())


def _file(entry: TreeEntry, date: int, size: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    member = tarfile.TarInfo(entry.path)
    member.mtime = date
    member.mode = 0o755 if entry.mode == "100755" else 0o644
    member.size = size
    yield _header(member)
    yield from parts
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


def _header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


class _Stream(io.RawIOBase):
    """A readable file over an iterator of bytes; what the iterator raises comes out of ``read``."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        """Fill `buffer` as far as the next piece goes; 0 at the end."""
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
