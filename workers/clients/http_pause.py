"""How long a server asks to be left alone."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_EPOCH = 1_000_000_000
"""A larger number of seconds counts from 1970."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After`` (seconds or an HTTP date, RFC 9110 section 10.2.3); None when absent or unreadable.

    Where that is absent, ``X-RateLimit-Reset`` says when the requests of a time are used up: GitHub in seconds since
    1970, others in seconds from now.
    """
    text = headers.get("Retry-After", "").strip()
    if not text and headers.get("X-RateLimit-Remaining") == "0":
        text = headers.get("X-RateLimit-Reset", "")
        if text.isdigit() and int(text) > _EPOCH:
            return max(0.0, int(text) - time.time())
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
