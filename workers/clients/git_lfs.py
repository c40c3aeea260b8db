"""The files that a commit holds as pointers of Git LFS: they are fetched, proven and kept, and then read from disk.

Nothing of it is configured: the server is where the repository's address leads to, and the login is the repository's.
``.lfsconfig`` in the repository may name another server. It is not obeyed, as whoever can push could have our login
sent anywhere; but where the usual place does not have an object, the error says that there is one.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.domain.apps import GitAccess
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import shorten
from workers.clients.git_access import authorization, is_ssh, secrets_of, shown
from workers.clients.git_errors import scrub
from workers.clients.git_process import Checkpoint
from workers.clients.lfs_answers import LfsPlace
from workers.clients.lfs_crew import LfsCrew
from workers.clients.lfs_hosts import LfsHosts
from workers.clients.lfs_pointer import LfsPointer
from workers.clients.lfs_server import LfsEndpoint, LfsServer, Wanted, endpoint_url
from workers.clients.lfs_ssh import ask_over_ssh, ssh_address
from workers.clients.lfs_store import LfsStore, in_words

CONFIG = ".lfsconfig"
_BATCH = 100
"""Objects in one question: the most that GitHub and git-lfs use."""
_BATCH_BYTES = 2 * 1024**3
"""Bytes of the objects in one question: an address that it brings may be good for a quarter of an hour only."""
_MAX_ADDRESS = 120


class GitLfs:
    """Fetches the contents that one build needs.

    :param access: how the repository is reached. :param timeout: seconds from now on, for all of it.
    :param log: writes a line to the run's log. :param checkpoint: called about every second; it may raise.
    :param config: returns what the commit has as ``.lfsconfig``.
    """

    def __init__(
        self,
        access: GitAccess,
        store: LfsStore,
        *,
        timeout: float,
        log: Callable[[str], None],
        checkpoint: Checkpoint,
        config: Callable[[], bytes | None],
    ) -> None:
        self._access = access
        self._store = store
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._log = log
        self._checkpoint = checkpoint
        self._config = config

    def fetch(self, pointers: Mapping[str, LfsPointer]) -> dict[str, Path]:
        """Have the contents here; return for each path where its content is. Only what is not here yet is fetched.

        :raises Refused: SOURCE_UNSUPPORTED, the server does not have one of them, or has another one; SOURCE_REFUSED,
            access. :raises Unavailable: SOURCE_UNAVAILABLE, no answer, not in time; STATE_UNWRITABLE, no room.
        """
        wanted = {pointer: path for path, pointer in sorted(pointers.items(), reverse=True)}
        missing = {pointer: path for pointer, path in sorted(wanted.items()) if not self._store.has(pointer)}
        if missing:
            size = sum(pointer.size for pointer in missing)
            here = len(wanted) - len(missing)
            also = f"; {here} more {_are_here(here)}" if here else ""
            self._log(f"fetching {_objects(len(missing))}, {in_words(size)}{also}")
            self._store.check_room(size)
            try:
                self._fetch(missing)
            except Refused as error:
                raise Refused(error.reason, error.evidence + self._other_server()) from error
        elif wanted:
            self._log(f"{_objects(len(wanted))} {_are_here(len(wanted))}")
        return {path: self._store.path(pointer) for path, pointer in pointers.items()}

    def _fetch(self, missing: Wanted) -> None:
        endpoint = self._endpoint()
        home = ssh_address(self._access.url) if is_ssh(self._access.url) else urlsplit(self._access.url)
        crew = LfsCrew(self._checkpoint, self._deadline, self._too_late)
        server = LfsServer(endpoint, LfsHosts(home, self._access.ca_file), crew, self._store)
        for some in _batches(list(missing)):
            asked = {pointer: missing[pointer] for pointer in some}
            [downloads] = crew.run([partial(server.batch, asked)], server.close)
            jobs = [partial(server.fetch, pointer, asked[pointer], found) for pointer, found in downloads.items()]
            crew.run(jobs, server.close)

    def _endpoint(self) -> LfsEndpoint:
        url = self._access.url
        if is_ssh(url):
            return ask_over_ssh(self._access, LfsPlace(shown(url)), self._checkpoint)
        if not url.startswith(("http://", "https://")):
            raise Refused(Reason.SOURCE_UNSUPPORTED, f"Git LFS: there is no server of it at {shown(url)}")
        login = authorization(self._access)
        found = endpoint_url(url)
        place = LfsPlace(found, secrets_of(self._access))
        return LfsEndpoint(url=found, place=place, header={"Authorization": login} if login else {})

    def _too_late(self) -> Exception:
        return Unavailable(
            Reason.SOURCE_UNAVAILABLE,
            f"Git LFS: not all objects came in the {self._timeout:.0f} s of `build.timeout`; those that did are kept",
        )

    def _other_server(self) -> str:
        other = configured_server(self._config() or b"")
        usual = endpoint_url(self._access.url)
        return f"; {CONFIG} names {other}, which is not obeyed" if other and other != usual else ""


def configured_server(config: bytes) -> str:
    """Return the server that an ``.lfsconfig`` names, fit to be shown; "" where it names none."""
    section = ""
    for line in config.decode("utf-8", "replace").splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if name.startswith("["):
            section = name.strip("[]").split(" ")[0].lower()
        elif equals and (section, name.lower()) in (("lfs", "url"), ("remote", "lfsurl")):
            return shorten(scrub(value.strip('"')), _MAX_ADDRESS)
    return ""


def _batches(pointers: Sequence[LfsPointer]) -> Iterator[list[LfsPointer]]:
    """Cut into questions of bounded number and size; a large object has one of its own."""
    some: list[LfsPointer] = []
    for pointer in pointers:
        if some and (len(some) == _BATCH or sum(one.size for one in some) + pointer.size > _BATCH_BYTES):
            yield some
            some = []
        some.append(pointer)
    if some:
        yield some


def _objects(count: int) -> str:
    return f"{count} Git LFS object{'' if count == 1 else 's'}"


def _are_here(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} here already"
