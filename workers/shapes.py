"""Read JSON that somebody else made, whatever shape it has.

Any field may be absent, null or of another type: servers differ, lists are trimmed, people push odd images, and
proxies answer for services. Of what is read, nothing here raises.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]
MAX_WEIGHT = 256 * 1024 * 1024
"""Bytes of memory that a document may take, about: 32 MB of small values can make a gigabyte of it."""
_WEIGHTS = {"[": 200, "{": 200, ",": 60}
"""Bytes that what begins with a character takes in memory, about."""


def read_json(content: bytes | str) -> Any:
    """Read JSON.

    :raises ValueError: it is none, or it is nested more deeply, or holds more values, than are read.
    """
    if len(content) * max(_WEIGHTS.values()) > MAX_WEIGHT and _weight(content) > MAX_WEIGHT:
        raise ValueError("it holds more values than are read")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _weight(content: bytes | str) -> int:
    if isinstance(content, str):
        return sum(content.count(sign) * weight for sign, weight in _WEIGHTS.items())
    return sum(content.count(sign.encode()) * weight for sign, weight in _WEIGHTS.items())


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
