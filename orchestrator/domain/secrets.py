"""Finding every secret of the configuration, so that logs can be masked."""

from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from orchestrator.domain.apps import Secret, Settings


def secrets_in(value: Any) -> set[str]:
    """Collect the plain texts of all `Secret` values inside frozen dataclasses, tuples and mappings.

    Of settings, also the passwords inside the addresses of database and broker.
    """
    if isinstance(value, Secret):
        return {value.reveal()} - {""}
    if isinstance(value, Settings):
        addresses = _password(value.database) | _password(value.broker)
        return addresses.union(*(secrets_in(getattr(value, one.name)) for one in fields(value)))
    if is_dataclass(value):
        return set().union(*(secrets_in(getattr(value, one.name)) for one in fields(value)))
    if isinstance(value, tuple | list | frozenset):
        return set().union(*(secrets_in(one) for one in value))
    if isinstance(value, dict):
        return set().union(*(secrets_in(one) for one in value.values()))
    return set()


def _password(address: str) -> set[str]:
    password = urlsplit(address).password or ""
    return {password, unquote(password)} - {""}
