"""Makes glibc return unused memory; other C libraries neither have such settings nor need them."""

import contextlib
import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""The names of the settings in glibc's malloc.h."""
_LARGE = 256 * 1024
"""Bytes from which on a freed block of memory is returned to the system."""


def share_heaps() -> None:
    """Keep glibc from giving every thread a heap of its own: these never shrink again."""
    _set(_M_ARENA_MAX, 2)


def give_back_large_blocks() -> None:
    """Keep glibc from keeping large blocks: after a first one it would keep some of that size for several threads."""
    _set(_M_MMAP_THRESHOLD, _LARGE)


def _set(name: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(name, value)
