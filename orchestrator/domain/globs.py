"""Patterns of file names, matched in time that grows linearly with the name and the patterns.

All patterns go through a name together, as one automaton whose states are the bits of a number (Shift-And). A regular
expression with many stars would try every way to share the name out among them, for hours.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache


class Loop(Enum):
    """A part of a pattern that stands for as many characters as it takes."""

    SEGMENT = auto()
    """Any characters but slashes."""
    ANY = auto()
    """Any characters."""
    FOLDERS = auto()
    """Nothing, or any characters with a slash behind them; in front of any other loop at the same place."""


Token = str | re.Pattern[str] | Loop
"""Part of a pattern: one character, an expression for one character, or a loop."""

_CHARACTERS = 128
"""Different characters for which it is cached which places of the patterns take them."""


class Patterns:
    """Patterns in their order, each a list of tokens that stands for a whole name."""

    def __init__(self, patterns: Iterable[Sequence[Token]]) -> None:
        self._characters: dict[str, list[int]] = {}
        self._expressions: list[tuple[re.Pattern[str], int]] = []
        self._ends: list[int] = []
        places: dict[Loop | None, list[int]] = {None: [], **{loop: [] for loop in Loop}}
        size = 0
        for pattern in patterns:
            places[None].append(size)
            for loops, fixed in _places(pattern):
                size = self._lay_out(size, loops, fixed, places)
        self._folders = _number(places[Loop.FOLDERS])
        any_ = self._folders | _number(places[Loop.ANY])
        self._stays = {True: any_, False: any_ | _number(places[Loop.SEGMENT])}
        self._begin = self._entered(_number(places[None]))
        self._end = _number(self._ends)
        self._taking = lru_cache(maxsize=_CHARACTERS)(self._take)

    def last(self, name: str, *, above: bool = False) -> int | None:
        """Return the number of the last pattern that fits a name, None if none does.

        :param above: a pattern that fits a folder above the name fits, too.
        """
        states, found = self._begin, 0
        for char in name:
            slash = char == "/"
            if above and slash:
                found |= states
            stay = states & self._stays[slash]
            states = stay | self._entered((states & self._taking(char)) << 1)
            if slash:
                states |= (stay & self._folders) << 1
        found = (found | states) & self._end
        return bisect_left(self._ends, found.bit_length() - 1) if found else None

    def _lay_out(
        self, at: int, loops: set[Loop], fixed: str | re.Pattern[str] | None, places: dict[Loop | None, list[int]]
    ) -> int:
        """Give a place its bits: one in which folders pass by, if it has that loop, and one that takes `fixed`."""
        if Loop.FOLDERS in loops:
            places[Loop.FOLDERS].append(at)
            at += 1
        for loop in loops - {Loop.FOLDERS}:
            places[loop].append(at)
        if fixed is None:
            self._ends.append(at)
        elif isinstance(fixed, str):
            self._characters.setdefault(fixed, []).append(at)
        else:
            self._expressions.append((fixed, at))
        return at + 1

    def _entered(self, bits: int) -> int:
        """Add what can be reached without a character from places that were just entered: folders may be none."""
        return bits | (bits & self._folders) << 1

    def _take(self, char: str) -> int:
        """Return the places that take a character."""
        places = [at for expression, at in self._expressions if expression.fullmatch(char)]
        return _number([*self._characters.get(char, ()), *places])


def _places(pattern: Sequence[Token]) -> Iterator[tuple[set[Loop], str | re.Pattern[str] | None]]:
    """Yield what may loop and what is taken then, place by place; None is taken at the end."""
    loops: set[Loop] = set()
    for token in pattern:
        if isinstance(token, Loop):
            loops.add(token)
        else:
            yield loops, token
            loops = set()
    yield loops, None


def _number(bits: Sequence[int]) -> int:
    data = bytearray(max(bits, default=0) // 8 + 1)
    for bit in bits:
        data[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(data, "little")
