"""How long a server asks to be left alone."""

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_EPOCH = 1_000_000_000
"""A larger number of seconds counts from 1970."""
LONGEST = 86_400.0
"""Seconds that we take of those that a server asks for: it may ask for more than any clock can show."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After`` (seconds or an HTTP date, RFC 9110 section 10.2.3); None when absent or unreadable.

    Where that is absent, ``X-RateLimit-Reset`` says when the requests of a time are used up: GitHub in seconds since
    1970, others in seconds from now.
    """
    text = headers.get("Retry-After", "").strip()
    seconds = _number(text)
    if not text and headers.get("X-RateLimit-Remaining") == "0":
        seconds = _number(headers.get("X-RateLimit-Reset", ""))
        if seconds is not None and seconds > _EPOCH:
            seconds -= time.time()
    if seconds is None:
        seconds = _until(text)
    return None if seconds is None else min(max(0.0, seconds), LONGEST)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(date: str) -> float | None:
    """Return the seconds until an HTTP date."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
