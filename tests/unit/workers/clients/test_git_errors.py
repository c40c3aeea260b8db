"""What Git says becomes ours: tables over lines that real Git, curl and OpenSSH print."""

import errno
import os
from pathlib import Path
from socket import gethostname

import pytest

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.git_errors import (
    GITOPS,
    MAX_EVIDENCE,
    SOURCE,
    Missing,
    PushVerdict,
    Unreached,
    is_corrupt,
    last_words,
    read_push,
    remote_words,
    scrub,
    server_format,
    to_error,
    unwritable,
    writing,
)

HTTP = "fatal: unable to access 'https://git.example.com/x.git/': "
END = (
    "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n"
    "and the repository exists.\n"
)


def framed(said: str) -> str:
    """Say it over SSH as GitLab does."""
    line = f"remote: \nremote: {'=' * 72}\nremote: \n"
    return f"{line}remote: ERROR: {said}\n{line}{END}"


SAID = [
    ("fatal: couldn't find remote ref refs/heads/x", Missing, "does not have it"),
    ("fatal: remote error: upload-pack: not our ref 1111", Missing, "does not have it"),
    ("error: Server does not allow request for unadvertised object 1111", Missing, "does not have it"),
    ("fatal: could not read Username for 'https://x': terminal prompts disabled", Refused, "login"),
    ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://x/y.git/'", Refused, "login"),
    (HTTP + "The requested URL returned error: 403", Refused, "403"),
    ("remote: Not Found\nfatal: repository 'https://x/y.git/' not found", Refused, "no such repository"),
    ("remote: 404 page not found\nfatal: repository 'https://x/y.git/' not found", Unavailable, "a proxy"),
    ("remote: default backend - 404\nfatal: repository 'https://x/y.git/' not found", Unavailable, "a proxy"),
    ("remote: 404 page not found\n" + HTTP + "The requested URL returned error: 403", Refused, "403"),
    ("ERROR: Repository not found.\n" + END, Refused, "no such repository"),
    (HTTP + "The requested URL returned error: 302", Refused, "redirects"),
    ("fatal: https://x/y.git/info/refs not valid: is this a git repository?", Refused, "login page"),
    ("fatal: 'x.git' does not appear to be a git repository\n" + END, Refused, "not a Git repository"),
    ("fatal: transport 'file' not allowed", Refused, "kind of address"),
    (HTTP + "The requested URL returned error: 429", Unavailable, "limits"),
    ("error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413\n" + END, Unavailable, "as large"),
    (HTTP + "The requested URL returned error: 504", Unavailable, "the server failed"),
    (HTTP + "SSL certificate problem: self-signed certificate in certificate chain", Refused, "ca_file"),
    (HTTP + "server certificate verification failed. CAfile: none CRLfile: none", Refused, "not trusted"),
    (
        HTTP + "server verification failed: certificate signer not trusted. (CAfile: /x CRLfile: none)",
        Refused,
        "not trusted",
    ),
    (HTTP + "Problem with the SSL CA cert (path? access rights?)", Refused, "ca_file cannot be used"),
    (HTTP + "SSL: no alternative certificate subject name matches target host name", Refused, "another host name"),
    (HTTP + "SSL certificate problem: certificate has expired", Refused, "the TLS certificate has expired"),
    (HTTP + "gnutls_handshake() failed: An unexpected TLS packet was received.", Unreached, "does not speak TLS"),
    (HTTP + "error:0A00010B:SSL routines::wrong version number", Unreached, "does not speak TLS"),
    (HTTP + "error setting certificate file: /run/ca.pem", Refused, "ca_file"),
    (
        "No ED25519 host key is known for x and you have requested strict checking.\n" + END,
        Refused,
        "known_hosts",
    ),
    ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n", Refused, "known_hosts"),
    ("git@x: Permission denied (publickey).\n" + END, Refused, "SSH key was not accepted"),
    (
        "ERROR: The key you are authenticating with has been marked as read only.\n" + END,
        Refused,
        "give it write access",
    ),
    ("ERROR: Permission to acme/gitops.git denied to deploy key\n" + END, Refused, "give it write access"),
    ("ERROR: Permission to acme/gitops.git denied to bob.\n" + END, Refused, "give it write access"),
    (framed("This deploy key does not have write access to this project."), Refused, "give it write access"),
    (framed("You are not allowed to push code to this project."), Refused, "give it write access"),
    (
        "Gitea: Deploy Key: 3:argo is not authorized to write to platform/gitops.\n" + END,
        Refused,
        "give it write access",
    ),
    (
        "Gitea: User: 1:bo with Key: 3:k is not authorized to read platform/gitops.\n" + END,
        Refused,
        "may not read",
    ),
    ("Gogs: Key permission denied\n" + END, Refused, "give it write access"),
    ("Gogs: You do not have sufficient authorization for this action\n" + END, Refused, "give it write access"),
    ("ERROR: This repository was archived so it is read-only.\n" + END, Refused, "archived"),
    (framed("You can't push code to an archived project."), Refused, "archived"),
    ("Gitea: Repo: platform/gitops is archived.\n" + END, Refused, "archived"),
    (
        "remote: This repository was archived so it is read-only.\n" + HTTP + "The requested URL returned error: 403",
        Refused,
        "archived",
    ),
    (
        "remote: The repository is temporarily read-only. Please try again later.\n"
        + HTTP
        + "The requested URL returned error: 403",
        Unavailable,
        "no pushes for now",
    ),
    (
        "ERROR: This repository is currently in read-only mode.\nhttps://x if this repository remains read-only\n"
        + END,
        Unavailable,
        "no pushes for now",
    ),
    (
        framed("Git push is not allowed because this GitLab instance is currently in (read-only) maintenance mode."),
        Unavailable,
        "no pushes for now",
    ),
    (framed("Internal API unreachable"), Unavailable, "ERROR: Internal API unreachable"),
    ('Load key "/run/key": error in libcrypto\n' + END, Refused, "key file"),
    (HTTP + "Could not resolve host: git.example.com", Unreached, "resolved"),
    (HTTP + "Could not resolve proxy: proxy.example.com", Unreached, "resolved"),
    (HTTP + "Received HTTP code 407 from proxy after CONNECT", Unreached, "the proxy"),
    (HTTP + "CONNECT tunnel failed, response 403", Unreached, "the proxy"),
    ("ssh: Could not resolve hostname x: Name or service not known\n" + END, Unreached, "resolved"),
    (HTTP + "Failed to connect to x port 443 after 1 ms: Couldn't connect to server", Unreached, "no connection"),
    (HTTP + "Failed to connect to x port 443 after 1 ms: Could not connect to server", Unreached, "no connection"),
    ("ssh: connect to host x port 22: Connection refused\n" + END, Unreached, "no connection"),
    ("remote: db: Connection refused\nfatal: the remote end hung up unexpectedly", Unavailable, "broke"),
    ("ssh: connect to host x port 22: Connection timed out\n" + END, Unavailable, "in time"),
    (HTTP + "Operation too slow. Less than 1 bytes/sec transferred the last 60 seconds", Unavailable, "in time"),
    ("remote: fatal: write error: No space left on device", Unavailable, "disk of the server"),
    (
        "remote: aborting due to possible repository corruption on the remote side.\nfatal: protocol error: bad pack",
        Unavailable,
        "the server cannot read its copy",
    ),
    ("error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly\nfatal: early EOF", Unavailable, "broke"),
    ("fatal: the remote end hung up unexpectedly", Unavailable, "broke"),
    (HTTP + "gnutls_handshake() failed: The TLS connection was non-properly terminated.", Unavailable, "broke"),
    ("kex_exchange_identification: Connection closed by remote host\n" + END, Unavailable, "broke"),
    ("fatal: something that no version of Git has said so far", Unavailable, "git failed"),
    ("", Unavailable, "git failed"),
]


@pytest.mark.parametrize(("said", "kind", "cause"), SAID)
def test_every_saying_has_a_kind_and_a_cause(said: str, kind: type[PilotageError], cause: str) -> None:
    error = to_error(said, SOURCE, "https://git.example.com/x.git")
    assert type(error) is kind
    assert error.evidence.startswith("https://git.example.com/x.git: ")
    assert cause in error.evidence
    assert "\n" not in error.evidence


@pytest.mark.parametrize("name", ["cafile-tools", "self-signed%20certificate", "tls", "TF401035", "packed-refs"])
def test_a_word_in_the_name_of_a_repository_is_no_cause(name: str) -> None:
    address = f"https://git.example.com/{name}.git/"
    said = f"fatal: unable to access '{address}': Could not resolve host: git.example.com"
    assert type(to_error(said, SOURCE, address)) is Unreached
    assert not is_corrupt(said)
    gone = to_error(f"fatal: repository '{address}' not found", SOURCE, address)
    assert type(gone) is Refused
    assert address in gone.evidence


def test_the_repository_decides_which_reason_is_given() -> None:
    table = [("error: 403", GITOPS.refused), ("early EOF", GITOPS.unavailable), ("not our ref", GITOPS.missing)]
    for said, reason in table:
        assert to_error(said, GITOPS, "x").reason is reason
    assert to_error("not our ref", SOURCE, "x").reason is Reason.COMMIT_NOT_FOUND


def test_nothing_secret_and_nothing_that_moves_the_cursor_is_kept() -> None:
    said = "fatal: https://bot:pw1@x/y tok3n \x1b[31mred\x1b[0m\r\x07 Authorization: Basic Ym90OnB3 end"
    assert scrub(said, ["tok3n", ""]) == "fatal: https://x/y *** red Authorization: Basic *** end"
    assert MAX_EVIDENCE - 2 <= len(scrub("x " * 1000)) <= MAX_EVIDENCE
    assert scrub("tok\x1b[m\x1b[K3n", ["tok3n"]) == "***", "a colour hides no secret"
    error = to_error(f"fatal: {said}", SOURCE, "x", iter(["tok3n"]))
    assert not any(secret in str(error) for secret in ("tok3n", "pw1", "Ym90OnB3"))


def test_the_last_lines_that_say_something_are_kept() -> None:
    said = "one\ntwo\nhint: no\nfatal: three\nfatal: three\n" + END
    assert last_words(said) == "two; fatal: three"
    assert last_words("hint: only this\n") == ""
    assert last_words(framed("no")) == "remote: ERROR: no"


def test_the_server_is_quoted_without_its_ornaments() -> None:
    said = "remote: \nremote: ========\nremote: GL-HOOK-ERR: no\nremote:   really\nremote: ----\nTo x\n ! rejected\n"
    assert remote_words(said) == "GL-HOOK-ERR: no really"
    assert remote_words("nothing from there\n") == ""


FULL = [
    ("fatal: unable to write loose object file: No space left on device", "the disk is full"),
    ("error: unable to create temporary file: No space left on device", "the disk is full"),
    ("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", "the disk is full"),
    ("error: cannot lock ref 'r': Unable to create '/s/packed-refs.lock': No space left on device", "disk is full"),
    ("fatal: sha1 file '/s/objects/pack/tmp_pack_uD6UN7' write error. Out of diskspace", "the disk is full"),
    ("fatal: cannot store pack file: Disk quota exceeded", "the quota is used up"),
    ("fatal: Unable to create '/s/packed-refs.lock': Read-only file system", "the file system is read-only"),
    (
        "error: failed to write new configuration file /s/config.lock\nfatal: could not set 'x'",
        "no file can be written",
    ),
]


@pytest.mark.parametrize(("said", "cause"), FULL)
def test_a_disk_of_ours_that_cannot_be_written_is_told_with_its_place(said: str, cause: str) -> None:
    error = unwritable(said, Path("/state/mirrors/x.git"))
    assert error is not None
    assert error.reason is Reason.STATE_UNWRITABLE
    assert error.evidence.startswith(f"/state/mirrors/x.git on {gethostname()}: ")
    assert error.evidence.endswith(f"{cause} ({said.replace(chr(10), '; ')})")


@pytest.mark.parametrize(
    "said",
    [
        "remote: fatal: write error: No space left on device\nfatal: early EOF",
        "error: gpg failed to sign the data:\ngpg: can't connect to the agent: Read-only file system\n",  # Git 2.43
        "fatal: unable to access 'https://x/Read-only%20file%20system.git/': Could not resolve host: x",
        "fatal: remote error: No space left on device",
        "fatal: remote error: cannot serve this\nerror: No space left on device",
        "remote: cannot serve this\rNo space left on device\n" + HTTP + "The requested URL returned error: 503",
        "remote: cannot serve this\x0bNo space left on device",
        "fatal: write error: No space left on device\n" + END,
        "fatal: early EOF",
        "",
    ],
)
def test_another_trouble_is_no_full_disk_of_ours(said: str) -> None:
    assert unwritable(said, Path("/state/mirrors/x.git")) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_file_that_cannot_be_written_is_the_disk(number: int) -> None:
    with (
        pytest.raises(Unavailable, match=f"/state/x.git on .*: {os.strerror(number)}") as caught,
        writing(Path("/state/x.git")),
    ):
        raise OSError(number, os.strerror(number), "/state/x.git.lock")
    assert caught.value.reason is Reason.STATE_UNWRITABLE


def test_too_many_open_files_are_no_full_disk() -> None:
    with pytest.raises(OSError, match="Too many open files"), writing(Path()):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(
    ("said", "damaged"),
    [
        ("error: object file ./objects/ab/cd is empty", True),
        ("fatal: loose object 1234 (stored in x) is corrupt", True),
        ("error: inflate: data stream error (incorrect header check)", True),
        ("fatal: not a git repository: '/state/mirrors/x.git'", True),
        ("fatal: bad object refs/pilotage/branch/1", True),
        ("fatal: unable to read tree 1111", True),
        ("error: missing blob 1111", True),
        ("error: index file x.idx is too small", True),
        ("remote: fatal: unable to read tree 1111\nfatal: protocol error: bad pack header", False),
        ("fatal: remote error: bad object HEAD", False),
        ("fatal: bad object HEAD\n" + END, False),
        ("remote: cannot serve this\u2028fatal: bad object HEAD\nfatal: early EOF", False),
        ("remote: fatal: remote error: no\nfatal: bad object refs/pilotage/branch/1", True),
        ("fatal: couldn't find remote ref refs/heads/x", False),
        ("fatal: early EOF", False),
        ("fatal: not a tree object", False),
        ("", False),
    ],
)
def test_damage_is_told_from_other_errors(said: str, damaged: bool) -> None:
    assert is_corrupt(said) is damaged


def test_a_server_with_other_ids_is_recognised() -> None:
    assert server_format("fatal: mismatched algorithms: client sha1; server sha256\n") == "sha256"
    assert server_format("fatal: early EOF") == ""
    assert server_format("remote: mismatched algorithms: client sha1; server none") == ""


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (" \t1111:refs/heads/main\tabc..def", PushVerdict.LANDED),
        ("*\t1111:refs/heads/main\t[new branch]", PushVerdict.LANDED),
        ("=\t1111:refs/heads/main\t[up to date]", PushVerdict.LANDED),
        ("!\t1111:refs/heads/main\t[rejected] (fetch first)", PushVerdict.RACE),
        ("!\t1111:refs/heads/main\t[rejected] (non-fast-forward)", PushVerdict.RACE),
        ("!\t1111:refs/heads/main\t[remote rejected] (failed to update ref)", PushVerdict.RACE),
        ("!\t1111:refs/heads/main\t[remote rejected] (cannot lock ref 'refs/heads/main': is at 2)", PushVerdict.RACE),
        ("!\t1111:refs/heads/main\t[remote rejected] (incorrect old value provided)", PushVerdict.RACE),
        ("!\t1111:refs/heads/main\t[remote rejected] (pre-receive hook declined)", PushVerdict.REFUSED),
        ("!\t1111:refs/heads/main\t[remote rejected] (protected branch hook declined)", PushVerdict.REFUSED),
        ("!\t1111:refs/heads/main\t[remote rejected] (Internal Server Error)", PushVerdict.UNKNOWN),
        ("!\t1111:refs/heads/main\t[remote rejected] (unpacker error)", PushVerdict.UNKNOWN),
        ("!\t1111:refs/heads/main\t[remote rejected] (timeout)", PushVerdict.UNKNOWN),
        ("!\t1111:refs/heads/main\t[remote rejected] (Failed to lock ref)", PushVerdict.RACE),
        ("!\t1111:refs/heads/main\t[remote failure] (remote failed to report status)", PushVerdict.UNKNOWN),
        (" \t1111:refs/heads/other\tabc..def", PushVerdict.UNKNOWN),
        ("[rejected] main -> refs/heads/main (fetch first)", PushVerdict.UNKNOWN),
        ("", PushVerdict.UNKNOWN),
    ],
)
def test_the_answer_to_a_push_is_read_from_its_own_line(line: str, verdict: PushVerdict) -> None:
    answer = read_push(f"To https://x/y.git\n{line}\nDone\n", "refs/heads/main")
    assert answer.verdict is verdict
    assert answer.sent is not ("\t[rejected]" in line or line.startswith("=")), "Git has seen that by itself"


DECLINED = "[remote rejected] (pre-receive hook declined)"


@pytest.mark.parametrize(
    ("summary", "said", "verdict"),
    [
        (DECLINED, "GitLab: Internal API unreachable", PushVerdict.UNKNOWN),
        (DECLINED, "GitLab: Failed to authorize your Git request: internal API unreachable", PushVerdict.UNKNOWN),
        (DECLINED, "GitLab: Internal API error (502)", PushVerdict.UNKNOWN),
        (DECLINED, "GitLab: Internal API error (403)", PushVerdict.REFUSED),
        (DECLINED, "GitLab: Push operation timed out\nTiming information\n1\n2\n3\n4\n5\n6", PushVerdict.UNKNOWN),
        (DECLINED, "GitLab: The repository is temporarily read-only.", PushVerdict.UNKNOWN),
        (DECLINED, "Gitea: Internal Server Connection Error", PushVerdict.UNKNOWN),
        (DECLINED, "error:\nerror: Internal Server Error (no message for end users)", PushVerdict.UNKNOWN),
        (
            DECLINED,
            "Gitea: Internal Server Error\nUnable to contact gitea: Post http://localhost",
            PushVerdict.UNKNOWN,
        ),
        (DECLINED, "Gogs: Internal error", PushVerdict.UNKNOWN),
        ("[remote rejected] (failure)", "fatal error in commit_refs", PushVerdict.UNKNOWN),
        ("[remote rejected] (failure)", "", PushVerdict.REFUSED),
        (DECLINED, "GitLab: this message breaks the internal rule 'no API errors on Friday'", PushVerdict.REFUSED),
        (DECLINED, "GitLab: You are not allowed to push code to protected branches.", PushVerdict.REFUSED),
        ("[remote rejected] (cannot lock ref 'refs/heads/main')", "Gitea: Internal Server Error", PushVerdict.RACE),
        ("[rejected] (fetch first)", "GitLab: Internal API unreachable", PushVerdict.RACE),
    ],
)
def test_a_hook_that_could_not_ask_the_forge_is_no_refusal(summary: str, said: str, verdict: PushVerdict) -> None:
    stderr = "".join(f"remote: {line}\n" for line in ["", *said.splitlines()])
    told = f"!\t1111:refs/heads/main\t{summary}\nDone\n"
    assert read_push(told, "refs/heads/main", stderr).verdict is verdict
    assert read_push(told, "refs/heads/main", said).verdict is not PushVerdict.UNKNOWN  # not the server's own words
