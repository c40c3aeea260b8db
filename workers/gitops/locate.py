"""Find the place of a scalar in YAML text by its path, without building nodes.

One pass over the events of the C parser. Events never follow an alias, so a path is only ever found where it is
written, and a file that multiplies by aliases costs nothing; what an alias or a merge (``<<``) provides is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import yaml
from yaml._yaml import CParser, Mark

from orchestrator.domain.paths import Key, Named, Path
from workers.gitops import refusals
from workers.gitops.refusals import EditRefused

MAX_DEPTH = 200
"""Containers within containers. The C scanner takes quadratic time over unclosed brackets: minutes for 300 kB."""

MAX_DOCUMENTS = 1000
"""Documents of a file; each takes as long as twenty lines, and a few megabytes can hold a million."""

_LOOK_BACK = 200  # blanks between a colon and the comma or brace behind an empty value, such as {tag: , x: 1}

NO_ENTRY = (0, 0)
"""`Scalar.entry` where the root is no block map whose keys begin their lines."""

_PROPERTIES = re.compile(r"(?:[&!]\S*(?:[ \t]+|\Z))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """Where one scalar is written; positions are characters of the text.

    ``start`` and ``end`` enclose the value with its quotes, without anchor and tag. ``style`` is ``'``, ``"`` or ""
    (plain); ``flow`` tells that it is inside ``{}`` or ``[]``. ``event`` is its number in the stream of events, and
    ``entry`` the position and event number of the entry of the root map that it belongs to, or `NO_ENTRY`.
    """

    start: int
    end: int
    line: int
    text: str
    style: str
    flow: bool
    event: int
    entry: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was met on the way of a path: its place, or what is in the way after `depth` steps.

    ``miss`` tells that the path ended there because nothing more of it is written.
    """

    path: int
    depth: int
    line: int
    what: Scalar | str
    miss: bool = False
    document: int = 0


@dataclass(frozen=True, slots=True)
class Located:
    """The scalars of all paths in their order, the number of events, and the starts of the root map's entries."""

    scalars: tuple[Scalar, ...]
    events: int
    entries: tuple[int, ...]


@dataclass(slots=True)
class _Frame:
    """One open container that a path leads into."""

    mapping: bool
    flow: bool
    line: int
    active: list[tuple[int, int]]  # (path, steps gone so far)
    at_key: bool = False
    key: str | None = None
    index: int = 0
    merge: bool = False
    hits: dict[int, list[int]] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)
    claims: dict[int, Named] = field(default_factory=dict)  # paths that lead here only if an entry has a value
    proven: set[int] = field(default_factory=set)

    def advance(self) -> None:
        """Go on to the next key or item after a value."""
        if self.mapping:
            self.at_key, self.key = True, None
        else:
            self.index += 1


def locate(text: str, paths: Sequence[Path]) -> Located:
    """Find the place of every path.

    :param text: a whole YAML file, without byte order mark.
    :raises EditRefused: when a path is missing, ambiguous, or leads to what cannot be edited; or the text is no YAML.
    """
    walk = _Walk(text, paths)
    try:
        walk.run()
    except yaml.YAMLError as error:
        raise refusals.unreadable(text, error) from None
    scalars = tuple(_only(path, [f for f in walk.found if f.path == number]) for number, path in enumerate(paths))
    return Located(scalars, walk.events, tuple(walk.entries))


def _only(path: Path, findings: list[Finding]) -> Scalar:
    """Choose the one finding of a path; refuse with the best reason when it is not exactly one place."""
    hits = [finding for finding in findings if not finding.miss]
    if len(hits) > 1:
        lines = " and ".join(str(hit.line) for hit in hits[:2])
        raise EditRefused(
            hits[1].line,
            f"{path} is in {len(hits)} documents of the file (lines {lines}); "
            f"name one, such as ${hits[0].document}:{path}",
        )
    if hits:
        if isinstance(hits[0].what, Scalar):
            return hits[0].what
        raise EditRefused(hits[0].line, hits[0].what)
    if not findings:
        number = f" {path.document}" if path.document else ""
        raise EditRefused(None, f"{path} is missing: the file has no document{number}")
    deepest = max(findings, key=lambda finding: finding.depth)
    raise EditRefused(deepest.line, str(deepest.what))


class _Walk:
    """The pass over the events. Containers that no path leads into are only counted."""

    def __init__(self, text: str, paths: Sequence[Path]) -> None:
        self.text = text
        self.paths = paths
        self.frames: list[_Frame] = []
        self.found: list[Finding] = []
        self.document = 0
        self.events = 0
        self.entry = NO_ENTRY
        self.entries: list[int] = []

    def run(self) -> None:
        mapping, sequence = yaml.MappingStartEvent, yaml.SequenceStartEvent
        ends = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
        following = CParser(self.text).get_event
        idle = count = 0
        while (event := following()) is not None:
            kind = event.__class__
            count += 1
            if idle:
                if kind is mapping or kind is sequence:
                    idle += 1
                    if idle > MAX_DEPTH:
                        raise _too_deep(event)
                elif kind in ends:
                    idle -= 1
            elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
                self.events = count
                self._leaf(event)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                idle = 0 if self._open(event, kind is mapping) else 1
            elif kind in ends:
                self._close()
            else:
                self._edge(event)
        self.events = count

    def _edge(self, event: yaml.Event) -> None:
        """Begin or end a document; the stream's own events need nothing."""
        if isinstance(event, yaml.DocumentStartEvent):
            self.document += 1
            if self.document > MAX_DOCUMENTS:
                raise EditRefused(line_of(event), f"the file has more than {MAX_DOCUMENTS} documents")
            self.entry = NO_ENTRY
            active = [(n, 0) for n, path in enumerate(self.paths) if path.document in (None, self.document)]
            self.frames = [_Frame(False, False, line_of(event), active)]
        elif isinstance(event, yaml.DocumentEndEvent):
            number = self.document
            self.found += [Finding(f.path, f.depth, f.line, f.what, f.miss, number) for f in self.frames[0].found]

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, mapping: bool) -> bool:
        """Enter a container; return False when no path leads into it."""
        frame = self.frames[-1]
        flow = frame.flow or bool(event.flow_style)
        line = line_of(event)
        child = _Frame(mapping, flow, line, [], at_key=mapping)
        if frame.at_key:
            frame.at_key = False  # a container as a key: no path can name it
            return False
        for number, depth, claim in self._matches(frame):
            if claim is None:
                frame.hits.setdefault(number, []).append(line)
            elif not mapping:
                continue
            else:
                child.claims[number] = claim
            if depth < len(self.paths[number].steps):
                child.active.append((number, depth))
            else:
                template = self.text.startswith("{{", _mark(event.start_mark).index)
                what = refusals.container(self.paths[number], mapping, template)
                frame.found.append(Finding(number, depth, line, what))
        if not child.active:
            frame.advance()
            return False
        self.frames.append(child)
        return True

    def _leaf(self, event: yaml.ScalarEvent | yaml.AliasEvent) -> None:
        """Take a scalar or an alias: a key, or a value that a path may end at."""
        frame = self.frames[-1]
        if frame.at_key:
            self._key(frame, event)
            return
        for number, wanted in frame.claims.items():
            if frame.key == wanted.key and getattr(event, "value", None) == wanted.value:
                frame.proven.add(number)
        for number, depth, claim in self._matches(frame):
            if claim is None:
                line = line_of(event)
                frame.hits.setdefault(number, []).append(line)
                frame.found.append(self._ending(number, depth, event, frame.flow, line))
        frame.advance()

    def _ending(
        self, number: int, depth: int, event: yaml.ScalarEvent | yaml.AliasEvent, flow: bool, line: int
    ) -> Finding:
        """Say what a path meets in a single value: its place, or that it cannot go on."""
        path = self.paths[number]
        if depth == len(path.steps):
            return Finding(number, depth, line, self._scalar(number, event, flow))
        if isinstance(event, yaml.AliasEvent):
            return Finding(number, depth, line, refusals.alias(path.beginning(depth), event.anchor))
        return Finding(number, depth, line, refusals.leads_into(path, depth, event.style), miss=True)

    def _key(self, frame: _Frame, event: yaml.ScalarEvent | yaml.AliasEvent) -> None:
        frame.at_key = False
        frame.key = getattr(event, "value", None)
        frame.merge = frame.merge or (frame.key == "<<" and not getattr(event, "style", ""))
        begin = _mark(event.start_mark)
        if len(self.frames) == 2 and not frame.flow and begin.column == 0:
            self.entry = (begin.index, self.events)
            self.entries.append(begin.index)

    def _matches(self, frame: _Frame) -> list[tuple[int, int, Named | None]]:
        """List the paths that go on to the child that comes now: number, steps gone with it, condition on it."""
        if frame is self.frames[0]:
            return [(number, 0, None) for number, _ in frame.active]
        found: list[tuple[int, int, Named | None]] = []
        for number, depth in frame.active:
            step = self.paths[number].steps[depth]
            if isinstance(step, Key):
                matches = step.text == (frame.key if frame.mapping else str(frame.index))
            else:
                matches = not frame.mapping and (isinstance(step, Named) or step.number == frame.index)
            if matches:
                found.append((number, depth + 1, step if isinstance(step, Named) else None))
        return found

    def _close(self) -> None:
        """Leave a container and hand what was found in it to the one around it."""
        frame = self.frames.pop()
        parent = self.frames[-1]
        for number, depth in frame.active:
            hits = frame.hits.get(number, [])
            if len(hits) > 1:
                twice = Finding(number, depth + 1, hits[1], refusals.twice(self.paths[number], depth + 1, hits))
                frame.found = [finding for finding in frame.found if finding.path != number] + [twice]
            elif not hits:
                what = refusals.missing(self.paths[number], depth, frame.mapping, frame.merge)
                frame.found.append(Finding(number, depth, frame.line, what, miss=True))
        for number in frame.proven:
            parent.hits.setdefault(number, []).append(frame.line)
        unproven = frame.claims.keys() - frame.proven
        parent.found += [finding for finding in frame.found if finding.path not in unproven]
        parent.advance()

    def _scalar(self, number: int, event: yaml.ScalarEvent | yaml.AliasEvent, flow: bool) -> Scalar | str:
        """Say where the value is written, or why it cannot be edited."""
        path, begin, end = self.paths[number], _mark(event.start_mark), _mark(event.end_mark)
        if isinstance(event, yaml.AliasEvent):
            return refusals.alias(str(path), event.anchor)
        reason = refusals.unfit(path, event, begin.line + 1, end.line + 1)
        if reason:
            return reason
        start = _value_start(self.text, begin.index, end.index)
        if start is None:
            return f"{path} is empty and has no colon behind which a value could stand"
        return Scalar(
            start=start,
            end=max(start, end.index) if begin.index < end.index else start,
            line=begin.line + 1,
            text=event.value,
            style=event.style or "",
            flow=flow,
            event=self.events,
            entry=self.entry,
        )


def _value_start(text: str, begin: int, end: int) -> int | None:
    """Find where a value begins behind its anchor and tag; an empty one begins behind its colon or dash, if any."""
    if begin < end:
        properties = _PROPERTIES.match(text, begin, end)
        return properties.end() if properties else begin
    behind = len(text[max(0, begin - _LOOK_BACK) : begin].rstrip(" ")) + max(0, begin - _LOOK_BACK)
    return behind if text[behind - 1] in ":-" else None


def line_of(event: yaml.Event) -> int:
    """Return the line on which an event begins, counted from 1."""
    return _mark(event.start_mark).line + 1


def _mark(mark: object) -> Mark:
    return cast(Mark, mark)  # the C parser sets the marks of every event


def _too_deep(event: yaml.Event) -> EditRefused:
    return EditRefused(line_of(event), f"the file nests more than {MAX_DEPTH} maps and lists")
