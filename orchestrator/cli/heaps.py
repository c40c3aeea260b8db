"""How glibc keeps memory that nobody needs any more; another C library has no such settings, and needs none."""

import contextlib
import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""The names of the settings in glibc's malloc.h."""
_LARGE = 256 * 1024
"""Bytes from which on a block of memory is the system's again as soon as nobody needs it."""


def share_heaps() -> None:
    """Keep it from giving every thread a heap of its own: they would never shrink again."""
    _set(_M_ARENA_MAX, 2)


def give_back_large_blocks() -> None:
    """Have it keep no large blocks: after a first one it would keep some of that size for several threads."""
    _set(_M_MMAP_THRESHOLD, _LARGE)


def _set(name: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(name, value)
