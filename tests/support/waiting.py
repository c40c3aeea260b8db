"""Waiting for what another process does: there is no event for it."""

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 60.0
"""Seconds after which what was waited for counts as never coming."""
T = TypeVar("T")


def until(look: Callable[[], T | None], what: str, seconds: float = DEADLINE) -> T:
    """Look again and again until there is something true, and return it; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)
