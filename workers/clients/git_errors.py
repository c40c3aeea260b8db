"""What Git says, turned into our two errors: pure tables over Git's own words (``LC_ALL=C``) and exit codes.

The words were read from Git 2.39's and 2.5x's sources and from the transports it uses (curl, OpenSSH); a line that no
row knows counts as "could not find out", so that a new wording leads to a retry and never to a wrong final answer.
"""

import errno
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestrator.domain.ansi import visible
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import shorten

MAX_EVIDENCE = 300
"""Characters of Git's or the server's words that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """The reasons with which one kind of repository reports.

    :param refused: access or push is not allowed. :param unavailable: no answer.
    :param missing: the commit or branch is not there. :param unusable: a path is there but cannot be used.
    """

    refused: Reason
    unavailable: Reason
    missing: Reason
    unusable: Reason


SOURCE = Reasons(
    refused=Reason.SOURCE_REFUSED,
    unavailable=Reason.SOURCE_UNAVAILABLE,
    missing=Reason.COMMIT_NOT_FOUND,
    unusable=Reason.SOURCE_UNSUPPORTED,
)
GITOPS = Reasons(
    refused=Reason.GITOPS_REFUSED,
    unavailable=Reason.GITOPS_UNAVAILABLE,
    missing=Reason.GITOPS_BRANCH_MISSING,
    unusable=Reason.VALUES_FILE_MISSING,
)


class Missing(Refused):
    """The remote does not have the commit or ref that was asked for."""


class Unreached(Unavailable):
    """There was no connection to the remote: nothing was sent."""


class CorruptMirror(Exception):
    """The local copy is damaged; it holds nothing that the remote does not have, so it is made again.

    :param object_format: that the new one should have; "" for that of most. :param words: Git's own.
    """

    def __init__(self, object_format: str = "", words: str = "") -> None:
        super().__init__(object_format, words)
        self.object_format = object_format
        self.words = words


class _Kind(StrEnum):
    """What a row of the table means."""

    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNREACHED = "unreached"
    MISSING = "missing"


_R, _U, _N, _M = _Kind.REFUSED, _Kind.UNAVAILABLE, _Kind.UNREACHED, _Kind.MISSING
_READS_ONLY = "the account or SSH key may read but not push: give it write access"
_UNTRUSTED = "the TLS certificate is not trusted (has it expired? else set ca_file to the CA bundle that signed it)"
_CLOSED = (
    r"repository is (temporarily read-only|currently in read-only mode)"  # GitLab; GitHub
    r"|instance is currently in.* maintenance mode"  # GitLab
)
_CAUSES: tuple[tuple[str, _Kind, str], ...] = (
    # the words of the transport first: a general "hung up" line always follows them
    (r"couldn't find remote ref|not our ref|unadvertised object|no such (remote )?ref|TF401035", _M,
     "the remote does not have it"),
    # over SSH nothing but these words tells a key that may only read: GitHub, GitLab, Gitea and Gogs
    (r"marked as read only|Write access to repository not granted|Permission to \S+ denied to", _R, _READS_ONLY),
    (r"does not have write access|not allowed to (push|upload) code", _R, _READS_ONLY),
    (r"not authorized to write to|Key permission denied|not have sufficient authorization for this", _R, _READS_ONLY),
    (r"not authorized to read", _R, "the account or SSH key may not read it"),
    (r"archived so it is read-only|push code to an archived project|Repo: \S+ is archived", _R,
     "the repository is archived"),
    (_CLOSED, _U, "the server takes no pushes for now"),
    (r"could not read (Username|Password)|Authentication failed|error: 401", _R, "the login was not accepted"),
    (r"error: 403", _R, "the account may not do this (HTTP 403)"),
    # the pages of Traefik and of nginx's ingress controller; a forge's own are worded otherwise
    (r"remote: (404 page not found|default backend - 404)\nfatal: repository '.*' not found", _U,
     "a proxy before the server does not know it now"),
    (r"repository '.*' not found|error: 404|Repository not found|project you were looking for", _R,
     "there is no such repository, or the account may not see it"),
    (r"error: (301|302|303|307|308)", _R, "the server redirects to another address: correct the url"),
    (r"not valid: is this a git repository|does not appear to be a git repository", _R,
     "the address is not a Git repository (a login page?)"),
    (r"transport '.*' not allowed|protocol '.*' is not supported", _R, "the kind of address is not allowed"),
    (r"(error:|HTTP) 413", _U, "a proxy takes no push as large as this (HTTP 413; nginx: client_max_body_size)"),
    (r"error: 429", _U, "the server limits our requests (HTTP 429)"),
    (r"error: (408|425|5\d\d)", _U, "the server failed"),
    (r"certificate subject name", _R, "the TLS certificate is one of another host name"),
    (r"certificate has expired", _R, "the TLS certificate has expired"),
    (r"certificate (problem|verif)|unable to get local issuer|self.signed certificate", _R, _UNTRUSTED),
    (r"server verification failed", _R, _UNTRUSTED),  # curl 8 with GnuTLS
    (r"error (setting|adding) certificate|certificate verify locations|SSL CA cert|CAfile", _R,
     "the ca_file cannot be used"),
    (r"unexpected TLS packet|wrong version number", _N, "that port does not speak TLS (is it one of http:// ?)"),
    (r"HOST IDENTIFICATION HAS CHANGED|Host key verification failed|host key is known", _R,
     "the SSH host key is not the one in known_hosts"),
    (r"Permission denied \(|Too many authentication failures", _R, "the SSH key was not accepted"),
    (r"UNPROTECTED PRIVATE KEY|bad permissions|Load key|invalid format", _R, "the SSH key file cannot be used"),
    (r"from proxy after CONNECT|CONNECT tunnel failed", _N, "the proxy does not let us through"),
    (r"Could not resolve (host|proxy)", _N, "the host name cannot be resolved"),
    (r"Connection refused|Could(n't| not) connect to server|No route to host|Network is unreachable", _N,
     "no connection"),
    (r"timed out|too slow|Timeout was reached", _U, "no answer in time"),
    (r"No space left on device|Disk quota exceeded", _U, "the disk of the server is full"),  # ours: see `unwritable`
    (r"corruption on the remote side", _U, "the server cannot read its copy of the repository (is that damaged?)"),
    (r"early EOF|hung up|unexpected disconnect|Empty reply|RPC failed|outstanding read data", _U,
     "the connection broke"),
    (r"expected flush|Connection (reset|closed)|kex_exchange|SSL_ERROR|TLS|gnutls", _U, "the connection broke"),
)  # fmt: skip
_TABLE = tuple((re.compile(pattern, re.IGNORECASE), kind, cause) for pattern, kind, cause in _CAUSES)
_CORRUPT = re.compile(
    r"is corrupt|corrupt (loose|packed)|is empty$|object file .* is empty|inflate:|bad object|"
    r"far too short|index file .* is too small|packfile .* (cannot be accessed|does not match)|"
    r"reference broken|ignoring broken ref|bad tree object|unable to read (tree|sha1 file|[0-9a-f]{40})|"
    r"missing (blob|tree|commit)|not a git repository: '|bad config|packed-refs|"
    r"did not send all necessary objects|Could not read [0-9a-f]{40}|invalid object|hash mismatch|not a valid object|"
    r"unable to stream",
    re.MULTILINE,
)
_UNWRITABLE = (
    (re.compile(r"No space left on device|write error\. Out of diskspace"), "the disk is full"),
    (re.compile(r"Disk quota exceeded"), "the quota is used up"),
    (re.compile(r"Read-only file system"), "the file system is read-only"),
    (re.compile(r"failed to write new configuration file"), "no file can be written"),  # Git does not say why
)
_NO_CONTACT = re.compile(r"^fatal: Could not read from remote repository", re.MULTILINE)
_OTHER_FORMAT = re.compile(r"mismatched algorithms: client \S+; server (\w+)")
_NOT_NOW = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})
_ADDRESS = re.compile(r"\b\w+://[^\s'\"]+")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_HEADER = re.compile(r"(authorization:\s*\S+)\s+\S+", re.IGNORECASE)
_NOISE = re.compile(
    r"^(hint:|warning: |To |(remote:)?[=\-\s]*$)|Could not read from remote|^and the repository exists|correct access"
)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Take secrets, credentials in addresses, authorization headers and control characters out of one line."""
    text = visible(text)
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _HEADER.sub(r"\1 ***", _USERINFO.sub("", text))
    return shorten(text, MAX_EVIDENCE)


def last_words(stderr: str, secrets: Iterable[str] = ()) -> str:
    """Return the lines of Git's error output that say something, the last ones first to be kept, as one line."""
    lines = [line.strip() for line in stderr.splitlines() if not _NOISE.search(line.strip())]
    return scrub("; ".join(dict.fromkeys(lines[-3:])), secrets)


def remote_words(stderr: str, secrets: Iterable[str] = ()) -> str:
    """Return what the server itself said: the last ``remote:`` lines, as one line."""
    return scrub(" ".join(_said_by_server(stderr)[-6:]), secrets)


def _said_by_server(stderr: str) -> list[str]:
    lines = [line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:")]
    return [line for line in lines if line.strip("=- ")]


def is_corrupt(stderr: str) -> bool:
    """Tell whether Git complains about damage in the local repository; what the server says is about its own."""
    return _CORRUPT.search(_of_the_copy(stderr)) is not None


def unwritable(stderr: str, folder: Path) -> Unavailable | None:
    """Return the error for a command that could not write to the copy in `folder`, None where Git does not say so.

    To be asked before anything else: what cannot be written may look damaged, and making it anew needs room as well.
    """
    ours = _of_the_copy(stderr)
    cause = next((cause for pattern, cause in _UNWRITABLE if pattern.search(ours)), "")
    if not cause:
        return None
    return Unavailable(Reason.STATE_UNWRITABLE, f"{_here(folder)}: {cause} ({last_words(ours)})")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Do something to the files of a copy. :raises Unavailable: its disk is full, or only to be read."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_NOW:
            raise
        raise Unavailable(Reason.STATE_UNWRITABLE, f"{_here(folder)}: {error.strerror}") from error


def _here(folder: Path) -> str:
    """Name a folder and the machine that has it."""
    return f"{folder} on {socket.gethostname()}"


def _ours(stderr: str) -> str:
    """Take out what others have said of their own places: the server, and GnuPG of its keyring.

    What the server writes goes on to Git's own end of a line, whatever else might end one; its last word goes on to
    the end of all.
    """
    said = f"\n{stderr}".partition("\nfatal: remote error: ")[0]
    return "\n".join(line for line in said.split("\n") if not line.startswith(("remote:", "gpg:")))


def _of_the_copy(stderr: str) -> str:
    """Return what may be about the local copy. Nothing is where no server was spoken to: over SSH its words come as
    they are, and nobody has begun to write."""
    ours = _ours(stderr)
    return "" if _NO_CONTACT.search(ours) else _without_addresses(ours)


def server_format(stderr: str) -> str:
    """Return the object format ("sha256") of a server that our copy cannot hold, or ""."""
    found = _OTHER_FORMAT.search(_ours(stderr))
    return found[1] if found else ""


def to_error(stderr: str, reasons: Reasons, where: str, secrets: Iterable[str] = ()) -> PilotageError:
    """Turn the error output of a failed command that spoke to the remote into our error.

    :param where: the address, without credentials. :param secrets: texts that must not appear.
    :returns: ``Refused`` (``Missing``) or ``Unavailable`` (``Unreached``); unknown words give ``Unavailable``.
    """
    secrets = tuple(secrets)
    kind, cause = _judge(stderr)
    words = last_words(stderr, secrets)
    evidence = f"{where}: {cause}" + (f" ({words})" if words else "")
    if kind is _Kind.MISSING:
        return Missing(reasons.missing, evidence)
    if kind is _Kind.REFUSED:
        return Refused(reasons.refused, evidence)
    return (Unreached if kind is _Kind.UNREACHED else Unavailable)(reasons.unavailable, evidence)


def _without_addresses(stderr: str) -> str:
    """Take addresses out: a repository may be called ``tls-config``, which says nothing."""
    return _ADDRESS.sub("_", stderr)


def _judge(stderr: str) -> tuple[_Kind, str]:
    stderr = _without_addresses(stderr)
    ours = _ours(stderr)
    for pattern, kind, cause in _TABLE:
        # what a hook on the server could not reach is not the server
        if pattern.search(ours if kind is _Kind.UNREACHED else stderr):
            return kind, cause
    return _Kind.UNAVAILABLE, "git failed"


class PushVerdict(StrEnum):
    """What the answer to a push means.

    ``race``: somebody else was first; ``refused``: the server will not have it; ``unknown``: no clear answer.
    """

    LANDED = "landed"
    RACE = "race"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAnswer:
    """A verdict and Git's own words for it ("[remote rejected] (pre-receive hook declined)").

    ``sent``: False when Git saw by itself that the branch is elsewhere, or there already, and sent nothing.
    """

    verdict: PushVerdict
    words: str = ""
    sent: bool = True


_RACE = re.compile(
    r"failed to update ref|cannot lock ref|failed to lock|unable to lock|incorrect old value|already exists|"
    r"reference conflict|fetch first|non-fast-forward|stale info|reference already updated",
    re.IGNORECASE,
)
_PASSING = re.compile(r"internal|time.?out|timed out|unavailable|try again|unpacker error", re.IGNORECASE)
_IN_TROUBLE = re.compile(
    # the forge's own check of a push is a hook, which "declines" also when it cannot reach the forge
    r"internal API unreachable|internal API error \((408|429|5\d\d)\)|Push operation timed out"  # GitLab
    r"|Internal Server (Connection )?Error|Internal Server Response|Unable to contact gitea"  # Gitea, Forgejo
    rf"|Gogs: Internal error|fatal error in commit_refs|{_CLOSED}",  # Gogs; GitHub, beside a bare "(failure)"
    re.IGNORECASE,
)


def read_push(stdout: str, ref: str, stderr: str = "") -> PushAnswer:
    """Read the answer of ``git push --porcelain`` for one ref.

    The lines are ``<flag> TAB <from>:<to> TAB <summary> [(<reason>)]`` (git-push, "OUTPUT"). Of the texts on standard
    error, which carry hints and translations, only the server's own count, and these only where it says that it is
    in trouble itself.

    :param ref: the full name of the remote ref ("refs/heads/main").
    """
    in_trouble = _IN_TROUBLE.search("\n".join(_said_by_server(stderr))) is not None
    for line in stdout.splitlines():
        flag, _, rest = line.partition("\t")
        names, _, summary = rest.partition("\t")
        if names.rpartition(":")[2] != ref:
            continue
        if flag in (" ", "*", "=", "+"):
            return PushAnswer(verdict=PushVerdict.LANDED, words=summary, sent=flag != "=")
        return PushAnswer(
            verdict=_rejected(summary, in_trouble), words=summary, sent=not summary.startswith("[rejected]")
        )
    return PushAnswer(verdict=PushVerdict.UNKNOWN)


def _rejected(summary: str, in_trouble: bool) -> PushVerdict:
    """Tell a lost race from a server that will not have it, and both from one that could not decide."""
    if summary.startswith("[rejected]") or (summary.startswith("[remote rejected]") and _RACE.search(summary)):
        return PushVerdict.RACE
    if summary.startswith("[remote rejected]") and not in_trouble and not _PASSING.search(summary):
        return PushVerdict.REFUSED
    return PushVerdict.UNKNOWN
