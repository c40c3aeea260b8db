"""Read JSON that somebody else made, whatever shape it has.

Any field may be absent, null or of another type: servers differ, lists are trimmed, people push odd images, and
proxies answer for services. Of what is read, nothing here raises.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]


def read_json(content: bytes | str) -> Any:
    """Read JSON. :raises ValueError: it is none, or it is nested more deeply than can be read."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def mapping(value: object) -> Json:
    """Return the value when it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Json]:
    """Return the JSON objects in a list; [] for anything else."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def text(value: object) -> str:
    """Return the value when it is a text, else ""."""
    return value if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    """Return the texts in a list; () for anything else."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()


def moment(value: object) -> datetime | None:
    """Read an RFC 3339 time as aware UTC; None when it is none."""
    try:
        parsed = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
