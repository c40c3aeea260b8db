"""A folder of a commit with the files of its submodules in their places, as after ``git clone --recurse-submodules``.

Each submodule has a mirror of its own beside that of the source repository. Of one commit all addresses are judged
before anybody is asked; what is judged is in `workers.clients.git_modules`.
"""

import posixpath
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from orchestrator.domain.errors import Refused, Unavailable
from workers.clients.build_context import ContextFilter
from workers.clients.git import Mirror
from workers.clients.git_access import shown
from workers.clients.git_modules import GITMODULES, Module, address_of, module_at, read_modules
from workers.clients.git_process import Checkpoint, unchecked
from workers.clients.git_read import MAX_FILE
from workers.clients.git_snapshot import SNAPSHOT_TIMEOUT, Snapshot
from workers.clients.git_tar import GITLINK, Objects, Selection, as_stream, members, reading
from workers.clients.git_tree import TreeEntry, folders_above, path_fault

MAX_SUBMODULES = 200
"""Submodules of one build context, those of submodules included."""
MAX_DEPTH = 8
"""Submodules inside each other."""

Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """A commit that may hold submodules.

    ``at``: where it stands in the context, with a slash at its end, "" for the app's own. ``above``: the addresses of
    the repositories that it lies in, outermost first.
    """

    mirror: Mirror
    commit: str
    at: str = ""
    above: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        return f"submodule {self.at.rstrip('/')}"


@contextmanager
def snapshot_with_submodules(
    source: Mirror,
    commit: str,
    context: str = ".",
    *,
    timeout: float = SNAPSHOT_TIMEOUT,
    checkpoint: Checkpoint = unchecked,
    fetching: Checkpoint | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> Iterator["DeepSnapshot"]:
    """Open the folder `context` of a commit that is here; no process is left when the block ends.

    :param timeout: seconds for all that is read, as in `workers.clients.git_snapshot.snapshot`.
    :param checkpoint: called about every second while contents of Git LFS are fetched. :param fetching: the same for
        submodules; None: `checkpoint`.
    :param log: told each submodule that goes into the stream.
    :raises Refused: the commit is not here, or `context` is no folder of it.
    """
    top = _Holder(mirror=source, commit=commit)
    opened = source.snapshot(commit, context, timeout=timeout, log=log, checkpoint=checkpoint)
    with opened as files, ExitStack() as stack:
        reader = _OneReader(time.monotonic() + timeout)
        stack.callback(reader.close)
        yield DeepSnapshot(top, files, reader, checkpoint, fetching or checkpoint, log)


class DeepSnapshot:
    """As `Snapshot`, and paths lead into submodules, which are fetched for it.

    Its methods raise `Refused` (``unusable``) where ``.gitmodules`` or an address in it is refused, with the file,
    the submodule and the reason; and what `Mirror.fetch_commit` raises.

    :ivar date: of the commit of the app; also that of the submodules' files, as that commit alone names the image.
    """

    def __init__(
        self,
        top: _Holder,
        files: Snapshot,
        reader: "_OneReader",
        checkpoint: Checkpoint,
        fetching: Checkpoint,
        log: Callable[[str], None],
    ) -> None:
        self._top = top
        self._files = files
        self._reader = reader
        self._checkpoint = checkpoint
        self._fetching = fetching
        self._log = log
        self.date = files.date

    def look(self, leave_out: ContextFilter) -> None:
        """See that the submodules of the commit itself could be asked for; nobody is asked."""
        self._submodules(self._top, self._files, _needed(leave_out))

    def read(self, path: str, limit: int = MAX_FILE) -> bytes | None:
        """Return the bytes of one file; None if there is no such file. :raises Refused: as `Snapshot.read`."""
        return self._read(self._top, self._files, path, limit)

    def tar(self, leave_out: ContextFilter) -> BinaryIO:
        """Give all files as a tar stream, see `Snapshot.tar`. Submodules come after the files of what holds them.

        A submodule that is left out is not fetched, unless an exception may name something inside it.

        :raises Refused: also where there are too many submodules, or too many inside each other.
        """
        own = self._files.select(leave_out, submodules=True)
        parts: list[tuple[_Holder, Selection]] = []
        for part in self._parts(self._top, self._files, leave_out):
            if len(parts) == MAX_SUBMODULES:
                raise self._too_many()
            parts.append(part)
        return as_stream(self._members(own, parts))

    def _members(self, own: Selection, parts: list[tuple[_Holder, Selection]]) -> Iterator[bytes]:
        yield from self._files.members(own)
        for holder, chosen in parts:
            yield from members(self._reader.begin(holder.mirror), chosen, self.date, holder.at)

    def _parts(
        self, holder: _Holder, files: Snapshot, leave_out: ContextFilter
    ) -> Iterator[tuple[_Holder, Selection]]:
        """Fetch submodules, outer ones first; yield each with what of it goes into the stream."""
        for child in self._submodules(holder, files, _needed(leave_out)):
            self._fetch(child)
            with self._open(child) as inner:
                self._log(f"{child.named}: {child.mirror.where} at {child.commit[:12]}")
                yield child, inner.select(leave_out, submodules=True)
                yield from self._parts(child, inner, leave_out)

    def _read(self, holder: _Holder, files: Snapshot, path: str, limit: int) -> bytes | None:
        links = {entry.path for entry in _links(files)}
        link = next((above for above in folders_above(path) if above in links), None)
        if link is None:
            return files.read(path, limit)
        for child in self._submodules(holder, files, lambda place: place == holder.at + link):
            self._fetch(child)
            with self._open(child) as inner:
                return self._read(child, inner, path.removeprefix(f"{link}/"), limit)
        return None

    def _submodules(self, holder: _Holder, files: Snapshot, wanted: Wanted) -> list[_Holder]:
        """Judge those submodules of a commit that are wanted, all of them before any is asked for."""
        links = [entry for entry in _links(files) if wanted(holder.at + entry.path)]
        if not links:
            return []
        self._bound(holder, links)
        with _about(holder.at + GITMODULES):
            modules = read_modules(holder.mirror, holder.commit)
        folders = {posixpath.dirname(entry.path) for entry in files.entries}
        found = []
        for link in links:
            place = holder.at + link.path
            fault = "is a folder as well" if link.path in folders else path_fault(place)
            if fault:
                raise self._unusable(f"the submodule at {place[:200]!r} {fault}")
            try:
                module = module_at(modules, posixpath.join(files.folder, link.path))
                if module.is_wanted:
                    found.append(self._submodule(holder, module, link))
            except ValueError as error:
                raise self._unusable(f"{holder.at}{GITMODULES}: {error}") from error
        return found

    def _submodule(self, holder: _Holder, module: Module, link: TreeEntry) -> _Holder:
        """Judge the address of one submodule. :raises ValueError: why it is refused."""
        outer = holder.mirror.access.url
        address = address_of(module, outer, self._top.mirror.access.url)
        # a repository may well have another branch of itself as a submodule
        if address in holder.above:
            raise ValueError(f"{module.shown} leads back to {shown(address)}, which it lies in: submodules in a loop")
        return _Holder(
            mirror=self._top.mirror.submodule(address),
            commit=link.object,
            at=f"{holder.at}{link.path}/",
            above=(*holder.above, outer),
        )

    def _bound(self, holder: _Holder, links: list[TreeEntry]) -> None:
        if len(holder.above) >= MAX_DEPTH:
            place = holder.at + links[0].path
            raise self._unusable(f"{place}: more than {MAX_DEPTH} submodules lie inside each other")
        if len(links) > MAX_SUBMODULES:
            raise self._too_many()

    def _too_many(self) -> Refused:
        return self._unusable(
            f"more than {MAX_SUBMODULES} submodules; name in .dockerignore what the image needs not"
        )

    def _fetch(self, child: _Holder) -> None:
        with _about(child.named):
            child.mirror.fetch_commit(child.commit, checkpoint=self._fetching)

    @contextmanager
    def _open(self, child: _Holder) -> Iterator[Snapshot]:
        with child.mirror.snapshot(
            child.commit, timeout=self._reader.left, log=self._log, checkpoint=self._checkpoint, at=child.at
        ) as inner:
            folders = {"", *(entry.path for entry in inner.entries if entry.mode == "040000")}
            for entry in inner.entries:
                above, name = posixpath.split(entry.path)
                # a tree that Git has not written may have names with slashes, that lead out or behind a link
                if above not in folders or name in ("", ".", "..") or name.lower() == ".git":
                    raise self._unusable(f"{child.at}{entry.path} is no path that Git would check out")
            yield inner

    def _unusable(self, evidence: str) -> Refused:
        return Refused(self._top.mirror.reasons.unusable, evidence)


class _OneReader:
    """Hands over the contents of one submodule at a time: not a process for each of hundreds.

    The stream is read in another thread than the one that ends the block; after that no process may begin.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._now = ExitStack()
        self._is_over = False

    @property
    def left(self) -> float:
        """Seconds until all has to be read."""
        return max(0.0, self._deadline - time.monotonic())

    def begin(self, mirror: Mirror) -> Objects:
        """End the reader before, and begin one of this mirror. :raises Unavailable: the block is over."""
        with self._lock:
            self._now.close()
            if self._is_over:
                raise Unavailable(mirror.reasons.unavailable, "the reading of the source was ended")
            return self._now.enter_context(reading(mirror, self.left))

    def close(self) -> None:
        """End the reader, for good."""
        with self._lock:
            self._is_over = True
            self._now.close()


def _links(files: Snapshot) -> list[TreeEntry]:
    return [entry for entry in files.entries if entry.mode == GITLINK]


def _needed(leave_out: ContextFilter) -> Wanted:
    return lambda place: not leave_out.whole(place)


@contextmanager
def _about(what: str) -> Iterator[None]:
    """Say what an error is about."""
    try:
        yield
    except (Refused, Unavailable) as error:
        error.evidence = f"{what}: {error.evidence}"
        error.args = (f"{error.reason.value}: {error.evidence}",)
        raise
