"""Write commits into a bare repository without checkout or index: one ``git fast-import`` for a whole chain."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.apps import Author
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.refs import is_sha
from workers.clients.git_access import local_env
from workers.clients.git_errors import last_words, unwritable
from workers.clients.git_process import GitTimeout, Output, run
from workers.clients.git_read import Repository

SIGN_TIMEOUT = 30.0
"""Seconds for one signature; a key that waits for a passphrase or a touch takes for ever."""
WRITE_TIMEOUT = 120.0
"""Seconds for writing a chain of commits."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NAME = re.compile(r"[\x00-\x1f\x7f<>]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How commits are signed: ``format`` "ssh" (``key``: path of a private key) or "openpgp" (``key``: key id)."""

    format: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One commit to be: one file's new content, and a message. ``date``: seconds since the epoch, UTC."""

    path: str
    mode: str
    content: bytes
    message: str
    date: int


def write_chain(
    repository: Repository, parent: str, drafts: Sequence[Draft], *, ref: str, author: Author, signing: Signing | None
) -> list[str]:
    """Write one commit per draft, each on top of the one before, and return their ids.

    Nothing but the drafts and `author` goes into a commit, so the same input gives the same ids (unless signed).

    :param parent: the commit below the first. :param ref: a private ref that keeps the chain from being pruned.
    :raises Unavailable: the disk is full, or the local copy is damaged.
    :raises Refused: the key cannot sign, or not in time.
    """
    stream = import_stream(parent, drafts, ref=ref, author=author)
    # the folder of 10,000 apps is 0.4 MB of ids, which no effort makes small; a push sends differences all the same
    env = local_env((("pack.compression", "0"),))
    answer = _run(repository, ["fast-import", "--quiet", "--force", "--done"], WRITE_TIMEOUT, env, stream)
    if answer.code:
        raise repository.failed(answer)
    commits = answer.text.split()
    if len(commits) != len(drafts) or not all(is_sha(commit) for commit in commits):
        raise Unavailable(repository.reasons.unavailable, f"git fast-import gave no ids: {last_words(answer.stderr)}")
    if signing is None:
        return commits
    return _signed(repository, parent, list(zip(commits, drafts, strict=True)), author, signing)


def import_stream(parent: str, drafts: Sequence[Draft], *, ref: str, author: Author) -> bytes:
    """Write the chain as input of git-fast-import, which prints the ids of the commits, one a line."""
    parts: list[bytes] = []
    for number, draft in enumerate(drafts, start=1):
        who = f"{_who(author)} {draft.date} +0000".encode("utf-8", "replace")
        parts += [
            f"commit {ref}\nmark :{number}\n".encode(),
            b"author " + who + b"\ncommitter " + who + b"\n",
            _data(plain_message(draft.message).encode("utf-8", "replace")),
            f"from {parent if number == 1 else f':{number - 1}'}\n".encode(),
            f"M {draft.mode} inline ".encode() + quoted(draft.path) + b"\n",
            _data(draft.content),
        ]
    parts += [f"get-mark :{number}\n".encode() for number in range(1, len(drafts) + 1)]
    parts.append(b"done\n")
    return b"".join(parts)


def plain_message(text: str) -> str:
    """Return a commit message without control characters, ending in one newline."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n")).strip() + "\n"


def quoted(path: str) -> bytes:
    """Quote a path for fast-import, C style; control characters are refused earlier."""
    raw = path.encode("utf-8", "surrogateescape")
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _who(author: Author) -> str:
    name = _NAME.sub(" ", author.name).strip() or "pilotage"
    return f"{name} <{_NAME.sub('', author.email).strip()}>"


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"


def _signed(
    repository: Repository, parent: str, chain: Sequence[tuple[str, Draft]], author: Author, signing: Signing
) -> list[str]:
    """Make each commit again with a signature: fast-import writes the trees, commit-tree signs."""
    commits: list[str] = []
    for unsigned, draft in chain:
        below = commits[-1] if commits else parent
        message = plain_message(draft.message).encode("utf-8", "replace").decode()
        env = _signing_env(author, signing, draft.date)
        commits.append(_sign(repository, ["-p", below, "-m", message, f"{unsigned}^{{tree}}"], env, signing))
    return commits


def try_sign(repository: Repository, commit: str, author: Author, signing: Signing) -> None:
    """Prove that the key can sign: make a commit of the files of another one, which nothing leads to.

    :raises Unavailable: the disk is full. :raises Refused: the key cannot sign, or not in time.
    """
    env = _signing_env(author, signing, 0)
    _sign(repository, ["-m", "Try the key", f"{commit}^{{tree}}"], env, signing)


def _sign(repository: Repository, what: Sequence[str], env: dict[str, str], signing: Signing) -> str:
    try:
        sign = ["commit-tree", "--gpg-sign", *what]
        answer = run(repository.folder, sign, env=env, timeout=SIGN_TIMEOUT, guarded=True)
    except GitTimeout as error:
        words = f"no signature in {SIGN_TIMEOUT:.0f} s: does the key want a passphrase or a touch?"
        raise _unsigned(repository, signing, words) from error
    commit = answer.text.strip()
    if answer.code or not is_sha(commit):
        full = unwritable(answer.stderr, repository.folder)
        raise full or _unsigned(repository, signing, last_words(answer.stderr))
    return commit


def _unsigned(repository: Repository, signing: Signing, words: str) -> Refused:
    key = f"the {signing.format} key {signing.key} of `gitops.signing`"
    return Refused(repository.reasons.refused, f"the commit cannot be signed by {key}: {words}")


def _signing_env(author: Author, signing: Signing, date: int) -> dict[str, str]:
    config = (("gpg.format", signing.format), ("user.signingKey", signing.key))
    name = _NAME.sub(" ", author.name).strip() or "pilotage"
    env = local_env(config)
    for role in ("AUTHOR", "COMMITTER"):
        env[f"GIT_{role}_NAME"] = name
        env[f"GIT_{role}_EMAIL"] = _NAME.sub("", author.email).strip()
        env[f"GIT_{role}_DATE"] = f"@{date} +0000"
    # the key ring is the one thing of the user that signing needs
    env["GNUPGHOME"] = os.environ.get("GNUPGHOME") or str(Path.home() / ".gnupg")
    return env


def _run(
    repository: Repository, arguments: Sequence[str], timeout: float, env: dict[str, str], stdin: bytes
) -> Output:
    try:
        return run(repository.folder, arguments, env=env, timeout=timeout, stdin=stdin)
    except GitTimeout as error:
        reason = repository.reasons.unavailable
        raise Unavailable(reason, f"git {arguments[0]}: no end in {timeout:.0f} s") from error
