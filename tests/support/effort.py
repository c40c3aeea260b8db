"""How much work something is, as a number that is the same on every machine."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(work: Callable[[], object]) -> int:
    """Count the functions that are called while `work` runs, those that are written in C included."""
    counted = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def grows_with(work: Callable[[int], object], size: int) -> float:
    """Say how many times the work of `size` that of four times as much is: about 4 where it is linear, 16 where each
    is looked at for each.
    """
    return calls(lambda: work(4 * size)) / calls(lambda: work(size))
