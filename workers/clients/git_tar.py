"""A tar stream of files in a bare repository, in GNU's format; one process of Git stands behind it.

Contents come from ``git cat-file --batch`` piece by piece, and those of Git LFS from the disk.
"""

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from subprocess import Popen
from typing import IO, BinaryIO, cast

from orchestrator.domain.errors import Unavailable
from workers.clients.git_access import local_env
from workers.clients.git_process import start, watchdog
from workers.clients.git_read import Repository
from workers.clients.git_tree import TreeEntry
from workers.clients.lfs_store import read_kept

GITLINK = "160000"
"""The mode of a submodule."""
_FOLDERS = ("040000", GITLINK)
_CHUNK = 256 * 1024
_AHEAD = 500
"""Names that are requested before their contents are read: together they fit into the smallest pipe (64 KiB)."""

Kept = Mapping[str, tuple[Path, int]]
"""Contents that are not in the commit: by path where each is on disk, and its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a snapshot goes into a stream."""

    entries: Sequence[TreeEntry]
    kept: Kept


@contextmanager
def reading(repository: Repository, timeout: float) -> Iterator["Objects"]:
    """Start the process that hands over contents; it is gone when the block ends, or after `timeout` seconds."""
    with (
        start(repository.folder, ["cat-file", "--batch"], env=local_env()) as process,
        watchdog(process, timeout) as too_slow,
    ):
        yield Objects(repository, process, too_slow.is_set)


class Objects:
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


def members(objects: Objects, chosen: Selection, date: int, at: str = "") -> Iterator[bytes]:
    """Yield the members of a tar stream piece by piece; a submodule is a folder.

    :param date: of all of them, seconds since the epoch. :param at: what stands in front of each path.
    """
    kept = chosen.kept
    for first in range(0, len(chosen.entries), _AHEAD):
        some = chosen.entries[first : first + _AHEAD]
        objects.ask([entry.object for entry in some if entry.mode not in _FOLDERS and entry.path not in kept])
        for entry in some:
            member = tarfile.TarInfo(at + entry.path)
            member.mtime = date
            if entry.path in kept:
                path, size = kept[entry.path]
                yield from _file(entry, member, size, read_kept(path, size))
            else:
                yield from _member(objects, entry, member)


def _member(objects: Objects, entry: TreeEntry, member: tarfile.TarInfo) -> Iterator[bytes]:
    if entry.mode in _FOLDERS:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        yield _header(member)
    elif entry.mode == "120000":
        target = b"".join(objects.parts())
        member.type, member.mode = tarfile.SYMTYPE, 0o777
        member.linkname = target.decode("utf-8", "surrogateescape")
        yield _header(member)
    else:
        yield from _file(entry, member, entry.size, objects.parts())


def _file(entry: TreeEntry, member: tarfile.TarInfo, size: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    member.mode = 0o755 if entry.mode == "100755" else 0o644
    member.size = size
    yield _header(member)
    yield from parts
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


def _header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def as_stream(parts: Iterator[bytes]) -> BinaryIO:
    """Make a tar stream of its members."""
    end = b"\0" * (2 * tarfile.BLOCKSIZE)
    return io.BufferedReader(_Stream(chain(parts, (end,))), _CHUNK)


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
