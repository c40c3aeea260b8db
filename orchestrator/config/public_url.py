"""Addresses at which others reach us, which may have a path: ``https://tools.example.com/pilotage``."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from orchestrator.config import types as t

OWN = frozenset(
    {
        "api",
        "apps",
        "deliveries",
        "healthz",
        "language",
        "login",
        "logout",
        "metrics",
        "readyz",
        "runs",
        "static",
        "webhooks",
    }
)
"""What our own paths begin with; a test compares it with what the applications serve."""
_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*\Z")


def _public(text: str) -> str:
    """Refuse a path that not everybody on the way writes alike, or that looks like one of our own.

    A proxy may take it off or pass it on, and nothing says which: what is left must not look as if it were there.
    """
    if text.endswith(("?", "#")):
        raise t.wrong("must not have a query (`?`) or a fragment (`#`)")
    for segment in urlsplit(text).path.split("/")[1:]:
        if not _SEGMENT.match(segment):
            raise t.wrong(
                "has a path that cannot be used; write it with letters, digits, `-`, `_`, `.` and `~` between single"
                " slashes, as in `https://tools.example.com/pilotage`"
            )
        if segment in OWN:
            raise t.wrong(f"has `{segment}` in its path, as addresses of Pilotage itself have; choose another path")
    return text


PublicUrl = Annotated[t.ServiceUrl, AfterValidator(_public)]
