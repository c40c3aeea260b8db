"""How Git reaches a repository: which addresses are allowed, and the environment that carries the credentials.

Nothing here ends up in arguments or in a configuration file: credentials travel as ``GIT_CONFIG_*`` variables that
are bound to the repository's own address (git-config, "ENVIRONMENT"), so no other host ever sees them.
"""

import base64
import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from orchestrator.domain.apps import GitAccess
from orchestrator.domain.errors import Refused
from workers.clients.git_errors import Reasons, scrub

LOW_SPEED_SECONDS = 60
"""Seconds without a byte after which a transfer is given up, whatever its deadline."""
SSH_CONNECT_SECONDS = 10
"""Seconds to connect over SSH."""
_SCP = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):(?![:/]{2})[^:\s][^\s]*\Z"
)
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:-]*\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+$-]*\Z")
_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCHEMES = tuple(_PORTS)

_STEADY: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", os.devnull),
    ("credential.helper", ""),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", str(LOW_SPEED_SECONDS)),
    ("http.postBuffer", str(16 * 1024 * 1024)),
    # larger files go through Git piece by piece: half a gigabyte of zeros is a few kilobytes until it is in memory
    ("core.bigFileThreshold", "32m"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    # trees of large repos stay deltas of each other: writing and pushing ten commits takes a quarter of the time
    ("fastimport.unpackLimit", "1"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("protocol.version", "2"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("log.showSignature", "false"),
    ("safe.bareRepository", "all"),
)


def check_address(access: GitAccess, reasons: Reasons, *, allow_local: bool = False) -> None:
    """Let only addresses through that name a repository on a server.

    :param allow_local: also ``file://`` addresses (tests only).
    :raises Refused: another kind of address, credentials inside it, or an SSH access without its files.
    """
    url = access.url
    if allow_local and url.startswith("file://"):
        return
    fault = address_fault(url)
    if fault:
        raise Refused(reasons.refused, f"the repository address {scrub(url)[:120]!r} {fault}")
    if is_ssh(url):
        _check_ssh_files(access, reasons)


def address_fault(url: str) -> str:
    """Say why an address names no repository on a server; "" if it does."""
    if any(character <= " " or character == "\x7f" for character in url) or url.startswith("-"):
        return "holds a character that no address has"
    if "://" not in url:
        return "" if _SCP.match(url) else "is not an https, http or ssh address"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in _SCHEMES:
        return "is not an https, http or ssh address"
    if parts.password is not None:
        return "holds a password: move it to `token`"
    if not _HOST.match(parts.hostname or "") or not parts.path.strip("/") or parts.query or parts.fragment:
        return "does not name a repository on a host"
    return "" if parts.username is None or _USER.match(parts.username) else "holds a strange user name"


def is_ssh(url: str) -> bool:
    """Tell whether an allowed address goes over SSH."""
    return url.startswith("ssh://") or "://" not in url


def origin_of(url: str) -> tuple[str, str, str, int]:
    """Return where an allowed address leads: transport, user (with SSH, where it is the account), host and port.

    >>> origin_of("git@Git.example.com:acme/web.git") == origin_of("ssh://git@git.example.com:22/acme/web.git")
    True
    """
    if "://" not in url:
        before, _, _ = url.partition("]:" if "[" in url else ":")
        user, _, host = before.rpartition("@")
        return "ssh", user, host.strip("[").lower(), _PORTS["ssh"]
    parts = urlsplit(url)
    user = (parts.username or "") if parts.scheme == "ssh" else ""
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    return parts.scheme, user, (parts.hostname or "").lower(), port


def _check_ssh_files(access: GitAccess, reasons: Reasons) -> None:
    """Find out now what OpenSSH would only hint at.

    :raises Refused: no host keys, or a key file that OpenSSH will not use.
    """
    if not access.known_hosts or not Path(access.known_hosts).is_file():
        raise Refused(reasons.refused, f"ssh needs the host's keys: known_hosts {access.known_hosts!r} is not a file")
    if not access.ssh_key:
        return
    try:
        status = os.stat(access.ssh_key)
    except OSError as error:
        raise Refused(reasons.refused, f"the ssh_key {access.ssh_key!r}: {error.strerror}") from error
    if not os.access(access.ssh_key, os.R_OK):
        raise Refused(reasons.refused, f"the ssh_key {access.ssh_key!r} is not readable by this user")
    # OpenSSH's own rule (sshkey_perm_ok): only a key that belongs to us must be hidden from others
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        raise Refused(reasons.refused, f"the ssh_key {access.ssh_key!r} is open to others ({mode}): chmod 600 it")


def shown(url: str) -> str:
    """Return an address fit for people: no user, no password."""
    return scrub(url)


def secrets_of(access: GitAccess) -> tuple[str, ...]:
    """Return every text that must never be shown: the token and its encoded form."""
    token = access.token.reveal()
    return (token, _basic(access)) if token else ()


def authorization(access: GitAccess) -> str:
    """Return the header with which the repository is asked over HTTP; "": anonymously."""
    return f"Basic {_basic(access)}" if access.token else ""


def _basic(access: GitAccess) -> str:
    return base64.b64encode(f"{access.username}:{access.token.reveal()}".encode()).decode()


def local_env(extra: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    """Return the variables of a command that does not leave this machine.

    :param extra: further configuration of Git, as pairs.
    """
    return {
        "HOME": os.devnull,
        "LANGUAGE": "C",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "",
        # zlib asks for a quarter of a megabyte for each object and gives it back: with glibc's own bound of 128 KiB a
        # piece of the heap comes and goes each time, page by page. A chain of 100 commits took three times as long.
        "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
        **_as_variables((*_STEADY, *extra)),
    }


def remote_env(access: GitAccess, *, allow_local: bool = False) -> dict[str, str]:
    """Return the variables of a command that speaks to the repository's server, credentials included."""
    schemes = (*_SCHEMES, "file") if allow_local else _SCHEMES
    env = local_env(tuple(_http_config(access))) | {"GIT_ALLOW_PROTOCOL": ":".join(schemes)}
    if is_ssh(access.url):
        # Git hands it to a shell
        env |= {"GIT_SSH_COMMAND": shlex.join(ssh_words(access)), "GIT_SSH_VARIANT": "ssh"}
    return env


def _http_config(access: GitAccess) -> Iterator[tuple[str, str]]:
    parts = urlsplit(access.url)
    if parts.scheme not in ("http", "https"):
        return
    scope = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    yield f"http.{scope}.sslVerify", "true"
    if access.token:
        yield f"http.{scope}.extraHeader", f"Authorization: {authorization(access)}"
    if access.ca_file:
        yield f"http.{scope}.sslCAInfo", access.ca_file


def ssh_words(access: GitAccess) -> list[str]:
    """Return how ssh is called, up to the host; every value is quoted for ssh, and none for a shell."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{access.known_hosts}"',
        "GlobalKnownHostsFile": os.devnull,
        "UpdateHostKeys": "no",
        "IdentitiesOnly": "yes" if access.ssh_key else "no",
        "ConnectTimeout": str(SSH_CONNECT_SECONDS),
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "2",
        "ForwardAgent": "no",
        "PermitLocalCommand": "no",
    }
    words = ["ssh", "-F", os.devnull, "-T"]
    if access.ssh_key:
        words += ["-i", access.ssh_key]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return words


def _as_variables(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Spell configuration as environment variables (GIT_CONFIG_COUNT and friends, Git 2.31)."""
    variables = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (key, value) in enumerate(pairs):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables
