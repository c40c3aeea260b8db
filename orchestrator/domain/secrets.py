"""Finding every secret of the configuration, so that logs can be masked."""

import re
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from orchestrator.domain.apps import Build, Secret, Settings

_NAMED = re.compile(r"""(?:passw(?:or)?d|token|secret|auth|key)["']?\s*[=:\s]\s*["']?([^\s"'@]+)""", re.IGNORECASE)
_USERINFO = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
_BETWEEN = re.compile(r"""[\s"'=:@/,;]+""")
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z]).{12,}")
"""Words of which nobody would think that a person chose them."""


def secrets_in(value: Any) -> set[str]:
    """Collect the plain texts of all `Secret` values inside frozen dataclasses, tuples and mappings.

    Of settings, also the passwords inside the addresses of database and broker; of a build, also `parts_of` what its
    steps mount.
    """
    if isinstance(value, Secret):
        return {value.reveal()} - {""}
    if isinstance(value, Settings):
        addresses = _password(value.database) | _password(value.broker)
        return addresses.union(*(secrets_in(getattr(value, one.name)) for one in fields(value)))
    if isinstance(value, Build):
        whole = secrets_in(value.secrets)
        return whole.union(*map(parts_of, whole))
    if is_dataclass(value):
        return set().union(*(secrets_in(getattr(value, one.name)) for one in fields(value)))
    if isinstance(value, tuple | list | frozenset):
        return set().union(*(secrets_in(one) for one in value))
    if isinstance(value, dict):
        return set().union(*(secrets_in(one) for one in value.values()))
    return set()


def parts_of(text: str) -> set[str]:
    """Return what programs show by themselves of a file that is a secret, such as a ``.netrc`` or a ``pip.conf``.

    These are the passwords in it and what looks like one: Git and pip print an address with the token in it.
    """
    return {*_NAMED.findall(text), *_USERINFO.findall(text), *filter(_RANDOM.fullmatch, _BETWEEN.split(text))}


def _password(address: str) -> set[str]:
    password = urlsplit(address).password or ""
    return {password, unquote(password)} - {""}
