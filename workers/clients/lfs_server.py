"""A server of Git LFS: where contents are (its docs/api/batch.md), and the contents (docs/api/basic-transfers.md).

Redirects of the first question are not followed, as nowhere where our login goes along. One of a content is, and to
another service without any header: GitLab leads to its object store so, by an address that is signed.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Http, Response
from workers.clients.lfs_answers import LfsDownload, LfsPlace, batch_error, download_error, read_batch
from workers.clients.lfs_crew import LfsCrew
from workers.clients.lfs_hosts import LfsHosts, led_to, origin_of, path_of, split_address
from workers.clients.lfs_pointer import LfsPointer
from workers.clients.lfs_store import LfsStore

MEDIA_TYPE = "application/vnd.git-lfs+json"
ASK_SILENCE = 30.0
"""Seconds without a byte after which a batch request is given up; the whole of it may take two minutes."""
SILENCE = 60.0
"""Seconds without a byte after which the transfer of a content is given up, as those of Git are."""
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
"""What stands in an address as it is."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
Wanted = Mapping[LfsPointer, str]
"""Contents, each with a path that has it, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LfsEndpoint:
    """How a repository's server of Git LFS is reached.

    ``url`` ends with ``/info/lfs`` mostly; ``header``: our credentials, for this service and no other; ``place``: it
    for people.
    """

    url: str
    place: LfsPlace
    header: Mapping[str, str] = field(repr=False)


class LfsServer:
    """The server of one repository, for one fetch; its methods run in the crew's threads."""

    def __init__(self, endpoint: LfsEndpoint, hosts: LfsHosts, crew: LfsCrew, store: LfsStore) -> None:
        self._endpoint = endpoint
        self._place = endpoint.place
        self._parts = split_address(endpoint.url.rstrip("/"), endpoint.place)
        self._hosts = hosts
        self._crew = crew
        self._store = store

    def batch(self, wanted: Wanted) -> dict[LfsPointer, LfsDownload]:
        """Ask where contents are, at most 100.

        :raises Refused: SOURCE_REFUSED, access; SOURCE_UNSUPPORTED, no Git LFS, or one of them is not there.
        :raises Unavailable: SOURCE_UNAVAILABLE, no answer, or later.
        """
        question = {
            "operation": "download",
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "objects": [{"oid": pointer.oid, "size": pointer.size} for pointer in wanted],
        }
        answer = _told(
            self._hosts.at(self._parts, self._place),
            "POST",
            f"{path_of(self._parts)}/objects/batch",
            read_timeout=ASK_SILENCE,
            data=json.dumps(question).encode(),
            headers={"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE, **self._endpoint.header},
        )
        if answer.status_code != 200:
            raise batch_error(answer.status_code, answer.content, self._place)
        return read_batch(answer.content, wanted, self._place)

    def fetch(self, pointer: LfsPointer, path: str, download: LfsDownload) -> None:
        """Read one content into the store.

        :raises Refused: SOURCE_UNSUPPORTED, it is not kept there, or is another one; SOURCE_REFUSED, access.
        :raises Unavailable: SOURCE_UNAVAILABLE, no answer, or it was cut; STATE_UNWRITABLE, our disk is full.
        """
        parts = split_address(download.href, self._place)
        header = self._header(parts, download)
        http, answer = self._open(parts, header)
        if answer.status_code in _REDIRECTS:
            there = led_to(parts, answer.headers.get("Location", ""), parts.hostname)
            http, answer = self._open(there, header if origin_of(there) == origin_of(parts) else {})
            parts = there
        with self._crew.reading(answer):
            if answer.status_code != 200:
                raise download_error(answer.status_code, pointer, path, parts.hostname or "")
            told = f"{path}: what {parts.hostname} sent as Git LFS object {pointer}"
            _check_length(answer, pointer, told)
            self._store.keep(pointer, _parts(http, answer, told), told)

    def close(self) -> None:
        """Close the connections of this thread."""
        self._hosts.close()

    def _header(self, parts: SplitResult, download: LfsDownload) -> Mapping[str, str]:
        """Add our login to what a content is asked with: on the server's own service only, and if none is named."""
        named = {name.lower() for name in download.header}
        if download.authenticated or "authorization" in named or origin_of(parts) != origin_of(self._parts):
            return download.header
        return {**self._endpoint.header, **download.header}

    def _open(self, parts: SplitResult, header: Mapping[str, str]) -> tuple[Http, Response]:
        http = self._hosts.at(parts, self._place)
        # the bytes themselves: a content that is compressed already must not be unpacked on the way
        headers = {**header, "Accept-Encoding": "identity"}
        return http, _told(http, "GET", path_of(parts), read_timeout=SILENCE, endless=True, headers=headers)


def endpoint_url(url: str) -> str:
    """Return where the server of a repository at an https or http address is (docs/api/server-discovery.md)."""
    parts = urlsplit(url)
    path = quote(parts.path.rstrip("/"), _ASCII, errors="surrogateescape")
    whole = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path.removesuffix(".git") + ".git/info/lfs")
    return whole.geturl()


def _told(http: Http, method: str, path: str, **kwargs: object) -> Response:
    """Send a request; say of an error that it is one of Git LFS, as Git itself was answered."""
    try:
        return http.request(method, path, **kwargs)  # type: ignore[arg-type]
    except Unavailable as error:
        raise Unavailable(error.reason, f"Git LFS: {error.evidence}", error.retry_after) from error


def _parts(http: Http, answer: Response, told: str) -> Generator[bytes, None, None]:
    try:
        yield from http.parts(answer)
    except Unavailable as error:
        raise Unavailable(error.reason, f"{told} broke off ({error.evidence})") from error


def _check_length(answer: Response, pointer: LfsPointer, told: str) -> None:
    """Refuse a content of another length before it is read."""
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and int(length) != pointer.size and "Content-Encoding" not in answer.headers:
        raise Refused(
            Reason.SOURCE_UNSUPPORTED,
            f"{told} has {length} bytes, not the {pointer.size} of the pointer: nothing is built with it",
        )
