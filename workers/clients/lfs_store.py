"""Contents of Git LFS that were fetched, kept by their ids beside the copy of their repository.

A content is proven once, before it gets its name: size and SHA-256 are the pointer's, and it is on the disk. On use
only its size is looked at: nobody but us writes here, and to read gigabytes once more for each build would cost more
than all else that is done before it. The folder lies beside the copy, not in it, so that a damaged copy, which is
made again in seconds, takes nothing along. Each repository has a folder of its own: with one for all, whoever knows
the id of a content could build it in from a repository that they may not read. What no build has used for two weeks
goes, and sooner what is too much for all repositories together.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.git_errors import writing
from workers.clients.lfs_pointer import LfsPointer

KEPT_SECONDS = 14 * 86400.0
"""Seconds after which a content goes that no build has used."""
KEPT_BYTES = 5 * 1000**3
"""Bytes of all contents from which on those go that were not used for the longest time: with the copies of the
repositories they fit into the 10 GiB that a pod has (`state.size` of the chart), which no system call tells."""
IN_USE_SECONDS = 2 * 3600.0
"""Seconds for which a content stays all the same: a build may be on its way to it."""
_TIDY_AFTER = 3600.0
"""Seconds between two tidyings."""
_SURELY_OVER = 3600.0
"""Seconds without a byte after which nobody writes to an unfinished file."""
_UNFINISHED = ".part"
_CHUNK = 256 * 1024
SPARE = 256 * 1024 * 1024
"""Bytes of the disk that are left to others."""


class LfsStore:
    """The kept contents of one repository, for all processes of this machine at once.

    Two that fetch the same content both write a file of their own, and the last one to rename it wins: with the same
    bytes.

    :param folder: beside those of other repositories, whose names end alike.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, pointer: LfsPointer) -> Path:
        """Return where a content is, or would be."""
        return self.folder / pointer.oid[:2] / pointer.oid

    def has(self, pointer: LfsPointer) -> bool:
        """Tell whether a content is here, and note that it is used."""
        path = self.path(pointer)
        with writing(self.folder):
            try:
                if os.stat(path).st_size != pointer.size:
                    return False
                os.utime(path)
            except FileNotFoundError:
                return False
        return True

    def check_room(self, size: int) -> None:
        """See whether so many bytes can be kept: a pointer may name any number, and a full disk stops every run.

        :raises Unavailable: STATE_UNWRITABLE, they cannot.
        """
        with writing(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        if size + SPARE > free:
            raise Unavailable(
                Reason.STATE_UNWRITABLE,
                f"{self.folder}: Git LFS objects of {in_words(size)} do not fit, {in_words(free)} are free",
            )

    def keep(self, pointer: LfsPointer, parts: Generator[bytes, None, None], told: str) -> None:
        """Write a content as it comes, prove it, and only then give it its name.

        :param told: what is read, and from where, for people.
        :raises Refused: SOURCE_UNSUPPORTED, it is not the pointer's. :raises Unavailable: the disk is full.
        """
        path, fresh = self.path(pointer), self.folder / f"{uuid4().hex}{_UNFINISHED}"
        with writing(self.folder), closing(parts):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with fresh.open("xb") as file:
                    for part in _proven(parts, pointer, told):
                        file.write(part)
                    file.flush()
                    os.fsync(file.fileno())  # else a power cut could leave the name, the size and no bytes
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)

    @property
    def is_due(self) -> bool:
        """Whether `tidy` would do anything; cheap."""
        return self.folder.is_dir() and _age(self._stamp) > _TIDY_AFTER

    def tidy(self) -> None:
        """Remove what was not used for long, what is too much, and what killed processes left; once an hour.

        Here and in the folders of all other repositories, also of those that no app has any more.
        """
        if not self.is_due:
            return
        self._stamp.touch()
        kept = 0
        for _, size, path in sorted(self._files(), reverse=True):
            age = _age(path)
            if path.suffix == _UNFINISHED:
                gone = age > _SURELY_OVER
            else:
                gone = age > KEPT_SECONDS or (kept + size > KEPT_BYTES and age > IN_USE_SECONDS)
            if gone:
                path.unlink(missing_ok=True)
            else:
                kept += size

    @property
    def _stamp(self) -> Path:
        return self.folder.with_name("lfs.tidied")

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each file was used last, its size and its path."""
        for folder in self.folder.parent.glob(f"*{self.folder.suffix}"):
            for place, _, names in os.walk(folder):
                for path in (Path(place, name) for name in names):
                    status = _status(path)
                    if status:
                        yield status.st_mtime, status.st_size, path


def read_kept(path: Path, size: int) -> Iterator[bytes]:
    """Yield a kept content piece by piece.

    :raises Unavailable: SOURCE_UNAVAILABLE, it was taken away since it was looked for; it is fetched anew then.
    """
    left = size
    try:
        with path.open("rb") as file:
            while left and (part := file.read(min(left, _CHUNK))):
                left -= len(part)
                yield part
    except FileNotFoundError:
        pass
    if left:
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, f"the kept Git LFS object {path.name[:12]} was taken away")


def in_words(size: int) -> str:
    """Say a number of bytes as people do: ``120 MB``."""
    if size < 1000:
        return f"{size} byte{'' if size == 1 else 's'}"
    number, units = size / 1000, ["kB", "MB", "GB", "TB"]
    while number >= 999.5 and len(units) > 1:
        number, units = number / 1000, units[1:]
    return f"{number:.1f} {units[0]}" if number < 9.95 else f"{number:.0f} {units[0]}"


def _proven(parts: Iterator[bytes], pointer: LfsPointer, told: str) -> Iterator[bytes]:
    """Pass a content on; more than the pointer's size is not even written."""
    size, digest = 0, hashlib.sha256()
    for part in parts:
        size += len(part)
        if size > pointer.size:
            raise _other(f"{told} has more than the {pointer.size} bytes of the pointer")
        digest.update(part)
        yield part
    if size < pointer.size:
        # without a length in its head, a cut answer looks like a whole one
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, f"{told} ended after {size} of {pointer.size} bytes")
    if digest.hexdigest() != pointer.oid:
        raise _other(f"{told} has the SHA-256 {digest.hexdigest()[:12]}")


def _other(evidence: str) -> Refused:
    return Refused(
        Reason.SOURCE_UNSUPPORTED, f"{evidence}: it is not the file of the commit, and nothing is built with it"
    )


def _age(path: Path) -> float:
    status = _status(path)
    return time.time() - status.st_mtime if status else float("inf")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
