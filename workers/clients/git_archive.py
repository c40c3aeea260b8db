"""Stream a folder of a commit as tar: exactly the bytes that are committed, the same bytes every time.

``git archive`` is not used: it obeys ``export-ignore`` and ``export-subst`` of the repository's own
``.gitattributes``, which changes an image silently, and it has no way to date a folder of a commit before Git 2.41.
Blobs are read as they are, so line-ending and encoding attributes, which are about a checkout, have no effect either.
"""

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen
from typing import IO, BinaryIO, cast

from orchestrator.domain.errors import Refused, Unavailable
from workers.clients.git_access import local_env
from workers.clients.git_process import start, watchdog
from workers.clients.git_read import Entry, Repository, parse_tree, path_fault

ARCHIVE_TIMEOUT = 1800.0
"""Seconds in which a whole stream has to be read."""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_LFS_SIZE = 1024
"""Bytes below which a file can be a Git LFS pointer (git-lfs docs/spec.md)."""
_CHUNK = 256 * 1024
_AHEAD = 500
"""Names that are asked for before their contents are read: fewer bytes than the smallest pipe holds (64 KiB)."""

LeaveOut = Callable[[str], bool]


def _nothing(_: str) -> bool:
    return False


@contextmanager
def archive(
    repository: Repository,
    commit: str,
    context: str = ".",
    *,
    leave_out: LeaveOut = _nothing,
    timeout: float = ARCHIVE_TIMEOUT,
) -> Iterator[BinaryIO]:
    """Give a tar stream (GNU format) of the folder `context` of a commit that is here; names are relative to it.

    Executable bits and links are kept, the owner is 0:0, the time is the commit's. Nothing is written to disk, and
    the process behind it is gone when the context ends.

    :param leave_out: paths (relative to `context`) for which it says True are neither read nor judged.
    :param timeout: seconds for the whole stream.
    :raises Refused: the commit is not here; `context` is no folder of it; a submodule or a Git LFS pointer is inside.
    :raises Unavailable: while reading, the stream was cut by the deadline or by a damaged copy.
    """
    folder = _folder(repository, commit, context)
    entries = [entry for entry in _listing(repository, commit, folder) if not leave_out(entry.path)]
    _refuse_submodules(repository, entries)
    _refuse_lfs(repository, commit, folder, entries)
    date = repository.commit_time(commit)
    with (
        start(repository.folder, ["cat-file", "--batch"], env=local_env()) as process,
        watchdog(process, timeout) as too_slow,
    ):
        parts = _Tar(repository, process, entries, date, too_slow.is_set).parts()
        yield io.BufferedReader(_Stream(parts), _CHUNK)


def _folder(repository: Repository, commit: str, context: str) -> str:
    """Return the plain path of the folder; "" for the whole commit."""
    if not repository.has(commit):
        raise Refused(repository.reasons.missing, f"commit {commit[:12]} is not in the local copy")
    plain = posixpath.normpath(context or ".")
    if plain == ".":
        return ""
    fault = path_fault(plain)
    if fault:
        raise Refused(repository.reasons.unusable, f"the build context {context[:200]!r} {fault}")
    entry = repository.entry(commit, plain)
    if entry is None or entry.mode != "040000":
        what = "is not there" if entry is None else f"is {entry.kind}"
        raise Refused(repository.reasons.unusable, f"the build context {plain} {what} in commit {commit[:12]}")
    return plain


def _listing(repository: Repository, commit: str, folder: str) -> list[Entry]:
    return parse_tree(repository.list_tree(f"{commit}:{folder}"))


def _refuse_submodules(repository: Repository, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if entry.mode == "160000":
            raise Refused(
                repository.reasons.unusable,
                f"{entry.path} is a submodule, which is not fetched; vendor its files, or name it in .dockerignore",
            )


def _refuse_lfs(repository: Repository, commit: str, folder: str, entries: Sequence[Entry]) -> None:
    """Refuse Git LFS pointers; files are only looked into where the repository uses LFS at all."""
    if not _uses_lfs(repository, commit, folder, entries):
        return
    small = [entry for entry in entries if entry.is_file and entry.size < _LFS_SIZE]
    contents = repository.blobs(small)
    for entry in small:
        if contents[entry.object].startswith(_LFS_POINTER):
            raise Refused(
                repository.reasons.unusable,
                f"{entry.path} is a Git LFS pointer, and its content is not fetched; commit the file itself, or"
                " name it in .dockerignore when the image does not need it",
            )


def _uses_lfs(repository: Repository, commit: str, folder: str, entries: Sequence[Entry]) -> bool:
    parts = folder.split("/") if folder else []
    above = ["/".join([*parts[:count], ".gitattributes"]) for count in range(len(parts) + 1)]
    rules = [entry for entry in entries if posixpath.basename(entry.path) == ".gitattributes"]
    rules += [entry for entry in repository.entries(commit, above).values() if entry.path in above]
    return any(b"filter=lfs" in content for content in repository.blobs(filter(_readable, rules)).values())


def _readable(entry: Entry) -> bool:
    return entry.is_file and entry.size < _CHUNK


class _Tar:
    """Writes entries as tar, with contents from one ``cat-file --batch``."""

    def __init__(
        self,
        repository: Repository,
        process: "Popen[bytes]",
        entries: Sequence[Entry],
        date: int,
        too_slow: Callable[[], bool],
    ) -> None:
        self._repository = repository
        self._ask = cast("IO[bytes]", process.stdin)
        self._answer = cast("IO[bytes]", process.stdout)
        self._entries = entries
        self._date = date
        self._too_slow = too_slow

    def parts(self) -> Iterator[bytes]:
        """Yield the stream piece by piece."""
        for at in range(0, len(self._entries), _AHEAD):
            some = self._entries[at : at + _AHEAD]
            self._request(some)
            for entry in some:
                yield from self._member(entry)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)

    def _request(self, entries: Sequence[Entry]) -> None:
        names = "".join(f"{entry.object}\n" for entry in entries if entry.mode != "040000")
        try:
            self._ask.write(names.encode())
            self._ask.flush()
        except BrokenPipeError as error:
            raise self._cut() from error

    def _member(self, entry: Entry) -> Iterator[bytes]:
        member = tarfile.TarInfo(entry.path)
        member.mtime = self._date
        if entry.mode == "040000":
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            yield _header(member)
        elif entry.mode == "120000":
            target = b"".join(self._content(entry))
            member.type, member.mode = tarfile.SYMTYPE, 0o777
            member.linkname = target.decode("utf-8", "surrogateescape")
            yield _header(member)
        else:
            member.mode = 0o755 if entry.mode == "100755" else 0o644
            member.size = entry.size
            yield _header(member)
            yield from self._content(entry)
            yield b"\0" * (-entry.size % tarfile.BLOCKSIZE)

    def _content(self, entry: Entry) -> Iterator[bytes]:
        """Yield the content of the object that is next in the answer."""
        words = self._answer.readline().split()
        if len(words) != 3 or words[1] != b"blob" or int(words[2]) != entry.size:
            raise self._cut()
        left = entry.size
        while left:
            part = self._answer.read(min(left, _CHUNK))
            if not part:
                raise self._cut()
            left -= len(part)
            yield part
        self._answer.read(1)

    def _cut(self) -> Exception:
        if self._too_slow():
            return Unavailable(self._repository.reasons.unavailable, "the source was not read in time")
        return self._repository.damaged("a file could not be read")


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
