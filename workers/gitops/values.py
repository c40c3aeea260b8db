"""Edit single scalars of a YAML file by their paths and leave every other byte as it is.

The place is found by `workers.gitops.locate`; here the new text gets the quotes that it needs, is spliced in, and the
result is parsed again and compared before anybody may use it.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from yaml._yaml import CParser

from orchestrator.domain.changes import Edit
from orchestrator.domain.paths import Path, parse_path
from workers.gitops.locate import NO_ENTRY, Located, Place, locate
from workers.gitops.refusals import EditRefused

__all__ = ["MAX_BYTES", "EditRefused", "Edited", "Found", "edit", "inspect", "overridden"]

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of a file; the largest values file in public charts that we saw has 180 kB."""
MAX_VALUE = 4096
"""Characters of a new value."""

_BOM = "\ufeff"
# A letter first and nothing that YAML or a template gives a meaning to, or a version with at least two dots.
_PLAIN = re.compile(r"(?:[A-Za-z]|[0-9]+\.[0-9]+\.[0-9]+(?=[.+_-]|\Z))[A-Za-z0-9._/@+-]*(?::[A-Za-z0-9._/@+-]+)*")
# Begins with a letter and is still a boolean, null or number to YAML 1.1 (Helm's parser too) or 1.2.
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "inf", "infinity", "nan"])
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_OPENING = 3  # events before the first key of a root map: start of stream, document and map
_DIGEST_KEYS = ("digest", "sha")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A value as it is now: its line, counted from 1, and its text ("" when empty)."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The file after the edits, and in the order of the edits the former texts and the lines of the values.

    ``changed`` is False when every value was there already; then ``raw`` is what came in.
    """

    raw: bytes
    previous: tuple[str, ...]
    lines: tuple[int, ...]
    changed: bool


def edit(raw: bytes, edits: Sequence[Edit]) -> Edited:
    """Set scalars in a YAML file.

    Old and new are compared as text. Quotes are kept; a plain value that would no longer be read as a
    text (``1234567``, ``1.10``, ``yes``) gets double quotes, and an empty one is filled in behind its colon.

    :param raw: the whole file, UTF-8 with or without byte order mark, at most `MAX_BYTES`.
    :raises EditRefused: with the line and the reason, when a value cannot be set without a guess.
    """
    mark, text = _decoded(raw)
    located = locate(text, [_path(wanted.path) for wanted in edits])
    _distinct(edits, located.places)
    splices = sorted(
        (
            _splice(text, place, wanted)
            for place, wanted in zip(located.places, edits, strict=True)
            if place.text != wanted.value
        ),
        key=lambda splice: splice.start,
    )
    result = _spliced(text, splices)
    if splices:
        _verify(text, result, located, splices)
    return Edited(
        raw=(mark + result).encode() if splices else raw,
        previous=tuple(place.text for place in located.places),
        lines=tuple(place.line for place in located.places),
        changed=bool(splices),
    )


def inspect(raw: bytes, path: str) -> Found:
    """Read the value at `path`, under the same conditions as `edit`.

    :raises EditRefused: when an edit would be refused.
    """
    _, text = _decoded(raw)
    place = locate(text, [_path(path)]).places[0]
    return Found(line=place.line, text=place.text)


def overridden(raw: bytes, path: str) -> str:
    """Warn that an edit at `path` has no effect because of a non-empty ``digest`` or ``sha`` beside it; else "".

    Most charts (and Kustomize) prefer the digest to the tag, so that a new tag changes nothing.
    """
    tag = _path(path)
    for key in _DIGEST_KEYS:
        sibling = tag.sibling(key)
        if sibling.steps == tag.steps:
            continue
        try:
            found = inspect(raw, str(sibling))
        except EditRefused:
            continue
        if found.text.strip() and found.text not in ("null", "~"):
            return f"{sibling} (line {found.line}) is not empty; most charts let it win over {path}"
    return ""


def _decoded(raw: bytes) -> tuple[str, str]:
    if len(raw) > MAX_BYTES:
        raise EditRefused(None, f"the file has {len(raw)} bytes; more than {MAX_BYTES} are not edited")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise EditRefused(raw.count(b"\n", 0, error.start) + 1, "the file is not UTF-8 here") from None
    return (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)


def _path(text: str) -> Path:
    try:
        return parse_path(text)
    except ValueError as error:
        raise EditRefused(None, f"the path {text!r} {error}") from None


def _distinct(edits: Sequence[Edit], places: Sequence[Place]) -> None:
    owners: dict[int, Edit] = {}
    for wanted, place in zip(edits, places, strict=True):
        other = owners.setdefault(place.start, wanted)
        if other is not wanted:
            raise EditRefused(place.line, f"{other.path} and {wanted.path} name the same value")


@dataclass(frozen=True, slots=True)
class _Splice:
    """Put `written` in place of the characters from `start` to `end`; it is to read as `value` in `style`."""

    start: int
    end: int
    written: str
    value: str
    style: str
    place: Place


def _splice(text: str, place: Place, wanted: Edit) -> _Splice:
    if len(wanted.value) > MAX_VALUE or not wanted.value.isprintable():
        raise EditRefused(
            None, f"the new value for {wanted.path} is too long or has characters that cannot be printed"
        )
    style = place.style or ("" if _is_plain(wanted.value, place.flow) else '"')
    written, start, end = _quoted(wanted.value, style), place.start, place.end
    if start == end:
        blank = text[start:].split("\n", 1)[0]
        if blank[:1] == " " and not blank.strip():
            start = end = start + 1  # nothing but blanks follows on the line: use the first of them
        else:
            written = f" {written}"
    return _Splice(start, end, written, wanted.value, style, place)


def _is_plain(value: str, flow: bool) -> bool:
    """Tell whether every reader takes `value` for a text when it has no quotes."""
    if flow and ":" in value:
        return False
    return _PLAIN.fullmatch(value) is not None and value.lower() not in _WORDS


def _quoted(value: str, style: str) -> str:
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    if style == '"':
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


def _spliced(text: str, splices: Sequence[_Splice]) -> str:
    parts: list[str] = []
    position = 0
    for splice in splices:
        parts += (text[position : splice.start], splice.written)
        position = splice.end
    return "".join((*parts, text[position:]))


Event = tuple[object, ...]


def _verify(old: str, new: str, located: Located, splices: Sequence[_Splice]) -> None:
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
            number = splice.place.event - shift
            before[number] = (splice.value, splice.style, *before[number][2:])
    if not before or before != after or events != located.events:
        line = splices[0].place.line
        raise EditRefused(line, "the new value would change how other parts of the file are read")


def _window(text: str, located: Located, splices: Sequence[_Splice]) -> tuple[int, int, int]:
    """Return the part of the text to compare and what to take from an event's number to get its index in there."""
    first = min(splice.place.entry for splice in splices)
    if first == NO_ENTRY or _DIRECTIVE.search(text):
        return 0, len(text), 1
    following = bisect_right(located.entries, splices[-1].start)
    end = located.entries[following] if following < len(located.entries) else len(text)
    return first[0], end, first[1] - _OPENING


def _trace(text: str) -> list[Event]:
    following = CParser(text).get_event
    events: list[Event] = []
    while (event := following()) is not None:
        if isinstance(event, yaml.ScalarEvent):
            events.append((event.value, event.style or "", event.tag, event.anchor))
        else:
            events.append((event.__class__, getattr(event, "tag", None), getattr(event, "anchor", None)))
    return events
