"""What the address of a page asks for: nonsense counts as not asked for, as people edit addresses by hand."""

from collections.abc import Mapping

from orchestrator.web.models import MAX_ID

_MAX_TEXT = 100
"""Characters of a text that a list is narrowed to, or that is looked for."""


def texts(query: Mapping[str, str], *names: str) -> dict[str, str]:
    """Read texts; "" for those that are not there."""
    return {name: query.get(name, "")[:_MAX_TEXT].replace("\0", "") for name in names}


def number(query: Mapping[str, str], name: str) -> int | None:
    """Read a number from 0; None where there is none."""
    text = query.get(name, "")
    return min(int(text), MAX_ID) if text.isascii() and text.isdigit() and len(text) < 12 else None
