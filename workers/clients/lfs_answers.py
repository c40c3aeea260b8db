"""What servers of Git LFS say, turned into our two errors: pure tables over statuses and bodies (docs/api/batch.md).

What a developer must mend (an object that was never pushed) is SOURCE_UNSUPPORTED; what the operator must (a token,
an address) is SOURCE_REFUSED; what may pass by itself is SOURCE_UNAVAILABLE, and tried again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.git_errors import scrub
from workers.clients.lfs_pointer import LfsPointer
from workers.shapes import Json, mapping, mappings, read_json, text

_MAX_HEADERS = 32
_MAX_HEADER = 16 * 1024
"""Bytes of a header that an answer wants us to send; tokens of clouds have a few thousand."""
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e]*\Z")
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "range"})
"""Headers that belong to the connection: they are made here, whatever an answer wants."""
_PUSH = "push it with `git lfs push --all origin`, or name the file in .dockerignore when the image does not need it"
_SWITCH_ON = "switch Git LFS on for the repository, or commit the files themselves"


@dataclass(frozen=True, slots=True)
class LfsPlace:
    """A server, as people read of it: its address without credentials, and texts that its words may not show."""

    name: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.name

    def said(self, words: str) -> str:
        """Return the server's own words, to stand behind a status."""
        shown = scrub(words, self.secrets)
        return f": {shown}" if shown else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LfsDownload:
    """Where a content can be read, and the headers to send there; both may hold secrets and are never shown.

    ``authenticated``: they are all that it needs.
    """

    href: str = field(repr=False)
    header: Mapping[str, str] = field(default_factory=dict, repr=False)
    authenticated: bool = False


def read_batch(body: bytes, wanted: Mapping[LfsPointer, str], where: LfsPlace) -> dict[LfsPointer, LfsDownload]:
    """Read the answer to a batch request: where each object can be read.

    :param wanted: what was asked for, with a path that has it, for people. :param where: the server, for people.
    :raises Refused, Unavailable: the server does not have an object, or its answer cannot be used.
    """
    try:
        said = mapping(read_json(body))
    except ValueError:
        said = {}
    if not isinstance(said.get("objects"), list):
        raise Refused(
            Reason.SOURCE_REFUSED, f"Git LFS: {where} does not answer as a Git LFS server (is it a login page?)"
        )
    transfer = said.get("transfer") or "basic"
    if transfer != "basic":
        raise Refused(Reason.SOURCE_UNSUPPORTED, f"Git LFS: {where} offers other transfers than `basic` only")
    told = {text(one.get("oid")): one for one in mappings(said["objects"])}
    return {pointer: _download(told.get(pointer.oid, {}), pointer, path, where) for pointer, path in wanted.items()}


def _download(told: Json, pointer: LfsPointer, path: str, where: LfsPlace) -> LfsDownload:
    error = told.get("error")
    if error:
        raise object_error(mapping(error), pointer, path, where)
    action = mapping(mapping(told.get("actions")).get("download"))
    href = text(action.get("href"))
    if not href:
        raise Refused(
            Reason.SOURCE_UNSUPPORTED, f"{path}: {where} does not say where Git LFS object {pointer} is: {_PUSH}"
        )
    header = read_header(action.get("header"), where)
    return LfsDownload(href=href, header=header, authenticated=told.get("authenticated") is True)


def read_header(value: object, where: LfsPlace) -> dict[str, str]:
    """Read the headers that an answer wants us to send.

    :raises Refused: SOURCE_REFUSED, one of them cannot be a header.
    """
    header = mapping(value)
    for name, content in header.items():
        sound = isinstance(content, str) and _NAME.match(name) and _VALUE.match(content)
        if not sound or len(content) > _MAX_HEADER or len(header) > _MAX_HEADERS:
            raise Refused(Reason.SOURCE_REFUSED, f"Git LFS: {where} wants a header to be sent that is none")
    return {name: content for name, content in header.items() if name.lower() not in _OURS}


def object_error(error: Json, pointer: LfsPointer, path: str, where: LfsPlace) -> PilotageError:
    """Return the error for an object that the server refuses: its ``code`` is like a status of HTTP."""
    code, said = error.get("code"), where.said(text(error.get("message")))
    what = f"{path}: Git LFS object {pointer}"
    if code in (401, 403):
        return Refused(Reason.SOURCE_REFUSED, f"{what} may not be read by our account at {where} ({code}{said})")
    if code == 429 or (isinstance(code, int) and code >= 500 and code not in (501, 509)):
        return Unavailable(Reason.SOURCE_UNAVAILABLE, f"{what} cannot be had now from {where} ({code}{said})")
    cause = {404: "is not there", 410: "was removed there", 422: "is refused there"}.get(
        code if isinstance(code, int) else 0, "cannot be had there"
    )
    return Refused(Reason.SOURCE_UNSUPPORTED, f"{what} {cause}, at {where} ({code}{said}): {_PUSH}")


def batch_error(status: int, body: bytes, where: LfsPlace) -> PilotageError:
    """Return the error for an answer to a batch request that is not 200."""
    said = where.said(_message(body))
    if status == 401:
        return Refused(Reason.SOURCE_REFUSED, f"Git LFS: {where} does not accept the login (HTTP 401{said})")
    if status == 403:
        return Refused(Reason.SOURCE_REFUSED, f"Git LFS: {where} lets our account read nothing (HTTP 403{said})")
    if status in (404, 405, 410, 501):
        why = f"there is no Git LFS at {where}, or our account may not see it (HTTP {status}{said}): {_SWITCH_ON}"
        return Refused(Reason.SOURCE_UNSUPPORTED, why)
    if 300 <= status < 400:
        return Refused(
            Reason.SOURCE_REFUSED, f"Git LFS: {where} redirects to another address (HTTP {status}): correct the url"
        )
    if status == 509:
        return Refused(Reason.SOURCE_REFUSED, f"Git LFS: {where} has used up its bandwidth (HTTP 509{said})")
    if status >= 500:
        full = "has no room left" if status == 507 else "failed"
        return Unavailable(Reason.SOURCE_UNAVAILABLE, f"Git LFS: {where} {full} (HTTP {status}{said})")
    return Refused(Reason.SOURCE_REFUSED, f"Git LFS: {where} does not take our request (HTTP {status}{said})")


def download_error(status: int, pointer: LfsPointer, path: str, host: str) -> PilotageError:
    """Return the error for an answer of the place that keeps the contents, which is not 200; its words stay away.

    :param host: its name; the whole address may be a secret.
    """
    what = f"{path}: Git LFS object {pointer}"
    if status in (404, 410):
        return Refused(Reason.SOURCE_UNSUPPORTED, f"{what} is not kept by {host} (HTTP {status}): {_PUSH}")
    if 300 <= status < 400:
        return Refused(Reason.SOURCE_REFUSED, f"{what}: {host} redirects more than once (HTTP {status})")
    if status >= 500 and status not in (501, 509):
        return Unavailable(Reason.SOURCE_UNAVAILABLE, f"{what}: {host} failed (HTTP {status})")
    return Refused(
        Reason.SOURCE_REFUSED, f"{what}: {host} refuses what the Git LFS server told us to ask (HTTP {status})"
    )


def _message(body: bytes) -> str:
    try:
        return text(mapping(read_json(body)).get("message"))
    except ValueError:
        return ""
