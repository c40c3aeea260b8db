"""What ``.gitmodules`` says of a submodule, and which of the addresses in it are followed.

Whoever can push writes the file. The app's credentials go to these addresses, and what they answer into images and
logs: so an address counts only if it leads to the very server that the app's own source repository is on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.domain.errors import Refused, Unavailable
from workers.clients.git_access import address_fault, is_ssh, local_env, origin_of, shown
from workers.clients.git_errors import last_words, scrub
from workers.clients.git_process import GitTimeout, TooMuch, run
from workers.clients.git_read import LOCAL_TIMEOUT, Repository
from workers.clients.git_tree import os_text

GITMODULES = ".gitmodules"
MAX_GITMODULES = 1024 * 1024
"""Bytes of the file that are read."""
_NAME_LENGTH = 100
"""Characters of a submodule's name, or of its address, that are shown."""


@dataclass(slots=True)
class Module:
    """One section of the file; each key with all values that it is given there."""

    name: str
    paths: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)

    @property
    def is_wanted(self) -> bool:
        """Whether its files are there after ``git clone --recurse-submodules``."""
        return "none" not in self.updates

    @property
    def shown(self) -> str:
        """The name, for people."""
        return f'"{scrub(self.name)[:_NAME_LENGTH]}"'


def read_modules(repository: Repository, commit: str) -> list[Module]:
    """Return what the ``.gitmodules`` of a commit says; nothing if there is none.

    :raises Refused: it is no plain file, too large, or not in the form of Git's configuration.
    """
    entry = repository.entry(commit, GITMODULES)
    if entry is None:
        return []
    unusable = repository.reasons.unusable
    if not entry.is_file or entry.size > MAX_GITMODULES:
        what = f"has {entry.size} bytes; at most {MAX_GITMODULES} are read" if entry.is_file else f"is {entry.kind}"
        raise Refused(unusable, f"it {what}")
    listing = ["config", "--file=-", "--no-includes", "--list", "-z"]
    content = repository.blobs([entry])[entry.object]
    try:
        answer = run(None, listing, env=local_env(), timeout=LOCAL_TIMEOUT, stdin=content)
    except GitTimeout as error:
        raise Unavailable(repository.reasons.unavailable, f"not read in {LOCAL_TIMEOUT:.0f} s") from error
    except TooMuch as error:
        raise Refused(unusable, "it says more than is read") from error
    if answer.code:
        raise Refused(unusable, f"it cannot be read ({last_words(answer.stderr)})")
    return parse_modules(answer.stdout)


def parse_modules(listing: bytes) -> list[Module]:
    """Read ``git config --list -z``: ``<key> LF <value> NUL``, or ``<key> NUL`` where no value is given."""
    modules: dict[str, Module] = {}
    for line in os_text(listing).split("\0"):
        key, _, value = line.partition("\n")
        section, _, rest = key.partition(".")
        name, dot, variable = rest.rpartition(".")
        if section != "submodule" or not dot:
            continue
        module = modules.setdefault(name, Module(name))
        values = {"path": module.paths, "url": module.urls, "update": module.updates}.get(variable)
        if values is not None:
            values.append(value)
    return list(modules.values())


def module_at(modules: Sequence[Module], path: str) -> Module:
    """Return the section of the submodule at a path. :raises ValueError: there is none, or it is ambiguous."""
    found = [module for module in modules if path in module.paths]
    if not found:
        raise ValueError(f"no entry has the path {path}")
    if len(found) > 1:
        raise ValueError(f"the entries {found[0].shown} and {found[1].shown} have the same path {path}")
    module = found[0]
    for key, values in (("path", module.paths), ("url", module.urls)):
        if len(values) > 1:
            raise ValueError(f"the entry {module.shown} has {len(values)} values of `{key}`")
    if not any(module.urls):
        raise ValueError(f"the entry {module.shown} has {'an empty' if module.urls else 'no'} `url`")
    return module


def address_of(module: Module, holder: str, source: str) -> str:
    """Return the address from which a submodule is fetched.

    :param holder: the address of the repository that holds it: a relative one starts there (git-submodule, "add").
    :param source: the address of the app's own source repository.
    :raises ValueError: it leads anywhere else than to the server of the source repository.

    Where one of the two is an SSH address and the other one is none, the host alone says that it is the same server:
    that is asked in the way of the source, as many a ``.gitmodules`` is written for people with keys.
    """
    url = module.urls[0]
    said = f"the `url` of {module.shown}, {scrub(url)[:_NAME_LENGTH]!r},"
    if address_fault(source):
        raise ValueError(f"{said} is not followed: the app's own {shown(source)} is no address on a server")
    address = _resolved(url, holder)
    fault = address_fault(address) if address else "leads above the host"
    if not fault and ".." in _split(address)[1].split("/"):
        fault = "holds `..` inside its path"
    if fault:
        raise ValueError(f"{said} {fault}")
    ours, theirs = origin_of(source), origin_of(address)
    if is_ssh(address) != is_ssh(source) and theirs[2] == ours[2]:
        address = _split(source)[0] + _split(address)[1]
    elif theirs != ours:
        raise ValueError(
            f"{said} is not on the server of the app's own {shown(source)}: only that one is asked; write it relative"
            " (../name.git)"
        )
    fault = address_fault(address)  # what one way takes for a name may mean something else in the other one
    if fault:
        raise ValueError(f"{said} {fault}")
    return _as_source(address, source)


def _resolved(url: str, holder: str) -> str:
    """Resolve a relative address against another one; "" when it leads above the host."""
    if not url.startswith(("./", "../")):
        return url.rstrip("/")
    server, path = _split(holder)
    parts = path.split("/")
    while url.startswith(("./", "../")):
        step, _, url = url.partition("/")
        if step == "..":
            if not parts:
                return ""
            parts.pop()
    return (server + "/".join([*parts, url])).rstrip("/")


def _split(address: str) -> tuple[str, str]:
    """Split an allowed address behind its host: what is in front of the path, and the path without outer slashes."""
    scheme, mark, rest = address.rpartition("://")
    host, separator, path = rest.partition("/" if mark else "]:" if "[" in rest else ":")
    inner = path.lstrip("/")
    return scheme + mark + host + separator + path[: len(path) - len(inner)], inner.rstrip("/")


def _as_source(address: str, source: str) -> str:
    """Spell the server as the configuration does: so one repository has one mirror.

    The user in a web address has no meaning there: the app's own is sent.
    """
    if not address.startswith(("https://", "http://")):
        return address
    scheme, _, rest = source.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}://{host}/{_split(address)[1]}"
