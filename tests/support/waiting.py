"""Waiting for what another thread or process does: there is no event for it."""

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 60.0
"""Seconds after which what was waited for counts as never coming."""
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.05
"""Seconds between two looks: what comes soon is seen soon, and what takes long is not asked for all the time."""
SHARE, MOST = 4, 0.5
"""A pause is so many times as long as the look before it, up to these seconds, so that others have the processor."""
T = TypeVar("T")


def until(look: Callable[[], T | None], what: str | Callable[[], str], seconds: float = DEADLINE) -> T:
    """Look again and again until there is something true, and return it.

    :param what: what is said to be missing after `seconds`; a function of it says how things stand then.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        begun = time.monotonic()
        found = look()
        if found:
            return found
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what if isinstance(what, str) else what()}")
        time.sleep(max(pause, min(SHARE * (now - begun), MOST)))
        pause = min(1.5 * pause, LONGEST_PAUSE)
