"""Put new text into a file and prove that nothing else in it changed."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from yaml._yaml import CParser

from workers.gitops.locate import NO_ENTRY, Located, Scalar
from workers.gitops.refusals import EditRefused

_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_OPENING = 3  # events before the first key of a root map: start of stream, document and map


@dataclass(frozen=True, slots=True)
class Splice:
    """Put `written` in place of the characters from `start` to `end`; it is to read as `value` in `style`."""

    start: int
    end: int
    written: str
    value: str
    style: str
    scalar: Scalar


def spliced(text: str, splices: Sequence[Splice]) -> str:
    """Return the text with all splices made; they are in the order of their places and do not overlap."""
    parts: list[str] = []
    position = 0
    for splice in splices:
        parts += (text[position : splice.start], splice.written)
        position = splice.end
    return "".join((*parts, text[position:]))


def verify(old: str, new: str, located: Located, splices: Sequence[Splice]) -> None:
    """Parse the result and prove that exactly the wanted scalars changed.

    The whole result is parsed without looking at its events (fast) and must have as many as before. The entries of
    the root map in which the edits are must read event by event as they did, but for the new values. Outside them
    the bytes are the same and, at the start of an entry of a root map, so is the parser's state.

    :raises EditRefused: when anything else would change, such as a text that swallows the line below it.
    """
    begin, end, shift = _window(old, located, splices)
    try:
        before, after = _trace(old[begin:end]), _trace(new[begin : end + len(new) - len(old)])
        events = CParser(new).raw_parse()
    except yaml.YAMLError:
        before, after, events = [], [], 0
    for splice in splices:
        if before:
            number = splice.scalar.event - shift
            before[number] = (splice.value, splice.style, *before[number][2:])
    if not before or before != after or events != located.events:
        line = splices[0].scalar.line
        raise EditRefused(line, "the new value would change how other parts of the file are read")


def _window(text: str, located: Located, splices: Sequence[Splice]) -> tuple[int, int, int]:
    """Return start and end of the text to compare, and by how much an event's number is above its index in there."""
    first = min(splice.scalar.entry for splice in splices)
    if first == NO_ENTRY or _DIRECTIVE.search(text):
        return 0, len(text), 1
    following = bisect_right(located.entries, splices[-1].start)
    end = located.entries[following] if following < len(located.entries) else len(text)
    return first[0], end, first[1] - _OPENING


def _trace(text: str) -> list[tuple[object, ...]]:
    following = CParser(text).get_event
    events: list[tuple[object, ...]] = []
    while (event := following()) is not None:
        if isinstance(event, yaml.ScalarEvent):
            events.append((event.value, event.style or "", event.tag, event.anchor))
        else:
            events.append((event.__class__, getattr(event, "tag", None), getattr(event, "anchor", None)))
    return events
