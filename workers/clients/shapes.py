"""Parts of a JSON answer, whatever it turns out to be: people push odd images, and proxies answer for services."""

from typing import Any


def part(value: object, name: str) -> dict[str, Any]:
    """Return the object called `name` in `value`; {} when there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def parts(value: object, name: str) -> list[dict[str, Any]]:
    """Return the objects in the list called `name` in `value`; what is none is left out."""
    found = value.get(name) if isinstance(value, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
