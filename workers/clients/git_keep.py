"""Keep a bare copy usable by many processes at once: made whole or not at all, locked, healed, packed."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from orchestrator.domain.errors import PilotageError, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.git_access import local_env
from workers.clients.git_errors import CorruptMirror, last_words, unwritable, writing
from workers.clients.git_lock import LockBusy, exclusive
from workers.clients.git_process import Checkpoint, GitTimeout, run, unchecked
from workers.clients.git_read import LOCAL_TIMEOUT, Repository
from workers.clients.lfs_store import SPARE, LfsStore, in_words

TIDY_TIMEOUT = 900.0
"""Seconds for packing a copy anew."""
GATHER_TIMEOUT = 20.0
"""Seconds for the little packing between landings."""
_TIDY_AFTER = 86400.0
"""Seconds between two tidyings of a copy."""
_UNUSED = 30 * 86400.0
"""Seconds after which a copy that no configuration names goes, if no build has used it."""
_LOOSE_SAMPLE = 12
"""Loose objects in one of the 256 folders (so about 3,000 in all) from which packing pays."""
_MANY_PACKS = 40
_SPARE_PART = 20
"""Of a small disk this part is left to others, where that is less than `SPARE`."""
_UNFINISHED = ("tmp_", ".tmp-")
"""How Git begins the names of files in ``objects`` that it has not finished."""
_SURELY_OVER = 3600.0
"""Seconds without a byte after which nobody writes to such a file: no command may take as long."""
_T = TypeVar("_T")


class KeptCopy(Repository):
    """A bare copy of something that exists elsewhere: losing it costs time and nothing else."""

    def tidy(self) -> bool:
        """Pack a copy that has become slow to read; at most once a day, and only if it pays. Tell if it was done.

        Safe beside readers and writers: what nobody refers to is kept for two weeks. To be called now and then, apart
        from any run. Kept contents of Git LFS are tidied first, once an hour.
        """
        self.lfs.tidy()
        if not self.needs_tidying():
            return False
        with suppress(LockBusy, GitTimeout), exclusive(self._beside(".lock"), 0.0):
            self._beside(".tidied").touch()
            env = local_env((("gc.autoDetach", "false"),))
            return run(self.folder, ["gc", "--quiet"], env=env, timeout=TIDY_TIMEOUT, guarded=True).code == 0
        return False

    def needs_tidying(self) -> bool:
        """Tell whether `tidy` would do anything; cheap. :raises OSError: the copy was put aside just now."""
        return self.lfs.is_due or (
            self.exists() and _age(self._beside(".tidied")) > _TIDY_AFTER and self._is_untidy()
        )

    def forget(self) -> bool:
        """Remove a copy that no build has used for a month, with what is kept beside it. Tell if it was done.

        For one that no configuration names. Whoever needs it after all makes it anew.
        """
        if not self._beside(".used").exists():  # of an earlier version, or made just now
            self._note_use()
        if not self._is_unused():
            return False
        with suppress(LockBusy), exclusive(self._beside(".lock"), 0.0):
            if not self._is_unused():  # whoever had the lock has used it
                return False
            self._put_aside()
            self._sweep_beside()
            shutil.rmtree(self.lfs.folder, ignore_errors=True)
            for ending in (".tidied", ".used"):
                self._beside(ending).unlink(missing_ok=True)
            return True
        return False

    def _is_unused(self) -> bool:
        return _age(self._beside(".used")) > _UNUSED

    def _note_use(self) -> None:
        with suppress(OSError):  # a full disk keeps nobody from reading
            self._beside(".used").touch()

    @property
    def lfs(self) -> LfsStore:
        """The contents of Git LFS that are kept for it."""
        return LfsStore(self._beside(".lfs"))

    def note_head(self, branch: str, head: str) -> None:
        """Note where a branch of the remote was just seen, for all processes that share the copy.

        Without the note the remote is asked: what was fetched or pushed must not fail because the disk is full.
        """
        note = self._head_note(branch)
        fresh = note.with_name(f"{note.name}.{uuid4().hex}")
        try:
            note.parent.mkdir(exist_ok=True)
            fresh.write_text(head, encoding="ascii")
            fresh.replace(note)
        except OSError:  # or the copy was put aside meanwhile
            with suppress(OSError):
                fresh.unlink()

    def noted_head(self, branch: str, max_age: float) -> str | None:
        """Return where a branch was seen last, if the copy is there and that is at most `max_age` seconds ago."""
        note = self._head_note(branch)
        if not self.exists() or _age(note) > max_age:
            return None
        try:
            return note.read_text(encoding="ascii")
        except FileNotFoundError:  # put aside meanwhile
            return None

    def _head_note(self, branch: str) -> Path:
        """Inside the copy, so that it is gone with what it speaks of."""
        return self.folder / "pilotage-heads" / digest(branch)

    @contextmanager
    def landing(self, branch: str, timeout: float, checkpoint: Checkpoint = unchecked) -> Iterator[None]:
        """Keep other processes of this machine from landing on the same branch meanwhile: they would lose the race.

        :raises Unavailable: somebody else lands for longer than `timeout` seconds, or the disk is full.
        """
        try:
            with writing(self.folder):
                self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with exclusive(self._beside(f".{digest(branch)}.land"), timeout, checkpoint):
                    yield
                    self._gather()
        except LockBusy as error:
            raise Unavailable(self.reasons.unavailable, f"another process pushes to {branch} for too long") from error

    def _gather(self) -> None:
        """Make one pack of the many small ones that landings leave; the large ones stay as they are (0.1 s)."""
        if self._packs() > _MANY_PACKS:
            repack = ["repack", "-d", "--quiet", "--geometric=2"]
            with suppress(GitTimeout):
                run(self.folder, repack, env=local_env(), timeout=GATHER_TIMEOUT, guarded=True)

    def _alone(self, work: Callable[[], _T], timeout: float, checkpoint: Checkpoint) -> _T:
        """Do work that changes the copy, alone; make the copy first, and once again if it proves damaged."""
        try:
            with writing(self.folder):
                self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with exclusive(self._beside(".lock"), timeout, checkpoint):
                    return self._healed(work)
        except LockBusy as error:
            raise Unavailable(self.reasons.unavailable, "another fetch of the repository takes too long") from error
        except CorruptMirror as error:
            said = f" ({error.words})" if error.words else ""
            raise Unavailable(self.reasons.unavailable, f"no sound local copy can be made{said}") from error

    def _healed(self, work: Callable[[], _T]) -> _T:
        self._create()
        self._sweep()
        try:
            return work()
        except CorruptMirror as damage:
            self._put_aside()
            self._create(damage.object_format)
            return work()
        except PilotageError:
            self._sweep_objects()  # half of what a server sends may be gigabytes, and nobody may ask it again
            raise

    def _sparing(self, checkpoint: Checkpoint) -> Checkpoint:
        """Have a checkpoint also end what leaves too little of the disk to others: a server may send without end."""

        def passed() -> None:
            checkpoint()
            disk = shutil.disk_usage(self.folder.parent)
            if disk.free < min(SPARE, disk.total // _SPARE_PART):
                said = f"a fetch was ended that had left {in_words(disk.free)} of the disk to others"
                raise Unavailable(Reason.STATE_UNWRITABLE, f"{self.folder}: {said}")

        return passed

    def _create(self, object_format: str = "") -> None:
        """Make the bare repository, whole or not at all."""
        if self.exists():
            return
        fresh = self._beside(f".{uuid4().hex}.new")
        init = ["init", "--quiet", "--bare", "--template=", f"--object-format={object_format or 'sha1'}", str(fresh)]
        answer = run(None, init, env=local_env(), timeout=LOCAL_TIMEOUT)
        if answer.code:
            full = unwritable(answer.stderr, self.folder)
            raise full or Unavailable(
                self.reasons.unavailable, f"no local copy can be made: {last_words(answer.stderr)}"
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        fresh.rename(self.folder)

    def _put_aside(self) -> None:
        """Take a damaged copy away at once, whoever may still read it, and then remove it."""
        aside = self._beside(f".{uuid4().hex}.damaged")
        with writing(self.folder), suppress(FileNotFoundError):
            self.folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what killed processes left, here and beside the copy; called while our own lock is held."""
        self._sweep_beside()
        places = ((self.folder, os.listdir(self.folder)), *((Path(at), names) for at, _, names in self._refs()))
        for place, names in places:
            for name in names:
                if name.endswith(".lock") or name.startswith("fast_import_crash_"):
                    (place / name).unlink(missing_ok=True)
        self._sweep_objects()

    def _sweep_beside(self) -> None:
        for name in os.listdir(self.folder.parent):
            if name.startswith(f"{self.folder.name}.") and name.endswith((".new", ".damaged")):
                shutil.rmtree(self.folder.parent / name, ignore_errors=True)

    def _sweep_objects(self) -> None:
        """Remove the half of a pack or object that a killed command left; Git itself keeps it for two weeks.

        Our lock keeps all other writers out but landings, each of which has a lock of its own: where there may be
        one, only what is too old to be still at work goes.
        """
        landings = f"{self.folder.name}.*.land"
        least = _SURELY_OVER if any(self.folder.parent.glob(landings)) else 0.0
        for place, _, names in os.walk(self.folder / "objects"):
            for name in names:
                if name.startswith(_UNFINISHED) and _age(Path(place, name)) >= least:
                    Path(place, name).unlink(missing_ok=True)

    def _refs(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Walk the refs; folders that vanish meanwhile are passed over, which ``rglob`` does not do."""
        return os.walk(self.folder / "refs")

    def _beside(self, ending: str) -> Path:
        return self.folder.with_name(self.folder.name + ending)

    def _is_untidy(self) -> bool:
        sample = self.folder / "objects" / "17"  # the one that Git itself counts (gc --auto)
        loose = len(os.listdir(sample)) if sample.is_dir() else 0
        return loose > _LOOSE_SAMPLE or self._packs() > _MANY_PACKS

    def _packs(self) -> int:
        place = self.folder / "objects" / "pack"
        return sum(name.endswith(".pack") for name in os.listdir(place)) if place.is_dir() else 0


def digest(text: str) -> str:
    """Return a short name for a longer one, fit for any file system."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _age(path: Path) -> float:
    try:
        return time.time() - os.stat(path).st_mtime
    except FileNotFoundError:
        return float("inf")
