"""Where Git LFS is for a repository that is reached over SSH: its server says so (docs/api/server-discovery.md)."""

import re
import shlex
from urllib.parse import SplitResult, urlsplit

from orchestrator.domain.apps import GitAccess
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.git_access import local_env, ssh_words
from workers.clients.git_errors import SOURCE, last_words, to_error
from workers.clients.git_process import Checkpoint, GitTimeout, Output, TooMuch, run
from workers.clients.lfs_answers import LfsPlace, read_header
from workers.clients.lfs_hosts import split_address
from workers.clients.lfs_server import LfsEndpoint, endpoint_url
from workers.shapes import mapping, read_json, text

AUTHENTICATE_TIMEOUT = 60.0
"""Seconds for the whole call."""
_TOKEN = 8
"""Characters from which on a word of a header may be a secret, and none of a sentence."""
_SSH_FAILED = 255
"""The exit code of ssh itself, where none of the command on the other side can be told."""
_UNKNOWN_COMMAND = re.compile(r"not found|unknown|not allowed|disallowed|invalid|unsupported|does not provide", re.I)


def ssh_address(url: str) -> SplitResult:
    """Return the address of a repository over SSH in its long form; the path has no slash in front."""
    if "://" in url:
        parts = urlsplit(url)
        return parts._replace(path=parts.path.lstrip("/"))
    where, _, path = url.partition("]:") if "]:" in url else url.partition(":")
    host = f"{where}]" if "[" in where else where
    return SplitResult("ssh", host, path.lstrip("/"), "", "")


def ask_over_ssh(access: GitAccess, place: LfsPlace, checkpoint: Checkpoint) -> LfsEndpoint:
    """Ask the repository's server where its contents are, and with which credentials of a short life.

    :raises Refused: SOURCE_REFUSED, access or its address; SOURCE_UNSUPPORTED, it has no Git LFS over SSH.
    :raises Unavailable: SOURCE_UNAVAILABLE, no answer.
    """
    parts = ssh_address(access.url)
    command = f"git-lfs-authenticate {shlex.quote(parts.path)} download"
    port = ["-p", str(parts.port)] if parts.port else []
    user = ["-l", parts.username] if parts.username else []
    words = [*port, *user, "--", parts.hostname or "", command]
    answer = _run(access, words, place, checkpoint)
    if answer.code:
        raise _failure(answer, place)
    try:
        said = mapping(read_json(answer.stdout))
    except ValueError:
        raise Refused(Reason.SOURCE_REFUSED, f"Git LFS: {place} does not answer `git-lfs-authenticate`") from None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    url = split_address(text(said.get("href")) or endpoint_url(f"https://{host}/{parts.path}"), place)
    header = read_header(said.get("header"), place)
    secrets = tuple(word for value in header.values() for word in (value, *value.split()) if len(word) >= _TOKEN)
    shown = url._replace(query="", fragment="").geturl()
    return LfsEndpoint(url=shown, header=header, place=LfsPlace(shown, secrets))


def _run(access: GitAccess, words: list[str], place: LfsPlace, checkpoint: Checkpoint) -> Output:
    try:
        return run(
            None,
            words,
            env=local_env(),
            timeout=AUTHENTICATE_TIMEOUT,
            checkpoint=checkpoint,
            guarded=True,
            program=ssh_words(access),
        )
    except (GitTimeout, TooMuch) as error:
        raise Unavailable(
            Reason.SOURCE_UNAVAILABLE, f"Git LFS: {place} did not answer in {AUTHENTICATE_TIMEOUT:.0f} s"
        ) from error


def _failure(answer: Output, place: LfsPlace) -> PilotageError:
    """Tell a server that has no such command from one that does not let us in or is in trouble."""
    if answer.code != _SSH_FAILED and _UNKNOWN_COMMAND.search(answer.stderr):
        return Refused(
            Reason.SOURCE_UNSUPPORTED,
            f"Git LFS: {place} has none over SSH ({last_words(answer.stderr)}): use the repository's https address",
        )
    return to_error(answer.stderr, SOURCE, f"Git LFS: {place}", place.secrets)
