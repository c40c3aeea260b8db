"""What a Dockerfile needs from outside: base images, frontends, secrets; read without building it.

Follows docs.docker.com/reference/dockerfile: parser directives, line continuation, here-documents, global ``ARG``,
``FROM --platform``, names of stages, ``COPY --from`` and ``RUN --mount``.
"""

import posixpath
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

MAX_DOCKERFILE = 1024 * 1024
"""Bytes of a Dockerfile that are read; the work grows linearly with them, whatever they are."""
MAX_VALUE = 1024
"""Characters of a filled-in word; no name of an image is as long."""
MAX_ARGUMENTS = 1000
"""Build arguments in front of the first ``FROM`` that count."""
_FALSE = ("0", "f", "F", "false", "False", "FALSE")
"""What Go's ``strconv.ParseBool`` reads as false; ``required`` without a value is true."""
_WITHOUT_VARIANT = ("amd64", "arm64")
"""Architectures that have none unless it is asked for (containerd/platforms); of 64-bit ARM, v8 counts as none."""
_MAX_NUMBER = 9
"""Digits of a stage's number."""
_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>.*)\Z")
_HEREDOC = re.compile(r"""<<(?P<dash>-?)(?P<quote>["']?)(?P<word>[A-Za-z_][A-Za-z0-9_]*)(?P=quote)""")
_FLAG = re.compile(r"--(?P<name>[a-z]+)(?:=(?P<value>\S+))?(?:\s+|\Z)")
_VARIABLE = re.compile(
    r"\$(?:(?P<bare>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:\}|(?P<op>:?[-+])(?P<word>[^}]*)(?P<end>\}?)))"
)
"""Matches a word without an end, too: to search for the end anew from every dollar sign would take hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One ``RUN --mount``: its kind (bind, cache, tmpfs, secret, ssh), the line of its RUN, its ``from``.

    ``name``: the id of a secret, without one the last part of its target ("" = not said); ``required``: no build
    without it.
    """

    kind: str
    line: int
    source: str = ""
    name: str = ""
    required: bool = False


@dataclass(slots=True, kw_only=True)
class BuildStage:
    """One ``FROM`` and what follows it: the image or stage it stands on and those that it copies from."""

    base: str
    name: str = ""
    platform: str = ""
    sources: list[str] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A Dockerfile's stages in order; ``syntax`` is the frontend image of ``# syntax=`` ("" = the built-in one)."""

    stages: tuple[BuildStage, ...]
    syntax: str = ""

    def images(self, target: str = "", *, all_before: bool = False) -> tuple[tuple[str, str], ...]:
        """Return the images that must be pulled for `target`, each with its ``--platform`` as it is written, once.

        :param target: a stage; "" is the last.
        :param all_before: also for stages that it does not need; the classic builder builds every one up to it.
        """
        found: dict[tuple[str, str], None] = {}
        names = _Names(self.stages)
        for at in self._needed(names, target, all_before):
            stage = self.stages[at]
            references = [(stage.base, stage.platform)]
            references += [(name, "") for name in (*stage.sources, *(m.source for m in stage.mounts))]
            for name, platform in references:
                if name and name != "scratch" and "$" not in name and names.find(name, at) is None:
                    found[(name, platform)] = None
        return tuple(found)

    def mounts(self, target: str = "") -> tuple[Mount, ...]:
        """Return the mounts of the stages that make `target`."""
        needed = self._needed(_Names(self.stages), target, all_before=False)
        return tuple(mount for at in needed for mount in self.stages[at].mounts)

    def _needed(self, names: "_Names", target: str, all_before: bool) -> Sequence[int]:
        last = names.find(target, len(self.stages)) if target else len(self.stages) - 1
        if last is None:
            return range(len(self.stages))
        return range(last + 1) if all_before else sorted(self._closure(names, last))

    def _closure(self, names: "_Names", at: int) -> set[int]:
        waiting, seen = ([at], {at}) if self.stages else ([], set())
        while waiting:
            index = waiting.pop()
            stage = self.stages[index]
            for name in (stage.base, *stage.sources, *(mount.source for mount in stage.mounts)):
                other = names.find(name, index)
                if other is not None and other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return seen


class _Names:
    """The stages by their names."""

    def __init__(self, stages: Sequence[BuildStage]) -> None:
        self._places = _places_of(stage.name for stage in stages)

    def find(self, name: str, before: int) -> int | None:
        """Return the index of the last stage called `name` (or of the one with this number) before `before`."""
        if name.isdecimal() and len(name) <= _MAX_NUMBER:
            return int(name) if int(name) < before else None
        places = self._places.get(name.lower(), []) if name else []
        at = bisect_left(places, before)
        return places[at - 1] if at else None


def _places_of(texts: Iterable[str]) -> Mapping[str, list[int]]:
    """Return the indexes of each text, in order."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, text in enumerate(texts):
        places[text].append(at)
    return places


def read_recipe(
    text: bytes, args: Mapping[str, str] | None = None, automatic: Mapping[str, str] | None = None
) -> Recipe:
    """Read a Dockerfile. Never fails: what cannot be understood is left to the engine to complain about.

    :param args: build arguments; they replace the defaults of the ``ARG`` lines in front of the first ``FROM``.
    :param automatic: arguments that a ``FROM`` has without any ``ARG`` line, see `automatic_args`.
    """
    lines = text_lines(text)
    directives = _directives(lines)
    known = {name: (args or {}).get(name, value) for name, value in (automatic or {}).items()}
    stages: list[BuildStage] = []
    for number, instruction, rest in _instructions(lines, directives.get("escape", "\\")):
        if instruction == "ARG" and not stages:
            known.update(_arguments(rest, known, args or {}))
        elif instruction == "FROM":
            stages.append(_from(rest, known))
        elif stages and instruction in ("COPY", "ADD"):
            stages[-1].sources += [value for name, value in _flags(rest) if name == "from"]
        elif stages and instruction == "RUN":
            stages[-1].mounts += [_mount(value, number) for name, value in _flags(rest) if name == "mount"]
    return Recipe(stages=tuple(stages), syntax=directives.get("syntax", ""))


def text_lines(text: bytes) -> list[str]:
    """Return the lines as the engine tells them apart (Go's ``bufio.ScanLines``): no other sign ends one."""
    return text.decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n")


def automatic_args(target: str, own: str) -> dict[str, str]:
    """Return the arguments with parts of a platform that BuildKit gives to every ``FROM``, as far as they are known.

    :param target: the platform that is built for, ``linux/arm64``; "" = the engine's. :param own: the engine's.
    """
    found: dict[str, str] = {}
    for prefix, platform in (("BUILD", own), ("TARGET", target or own)):
        system, arch, variant = [*platform.split("/"), "", ""][:3]
        if system and arch:
            found |= {f"{prefix}OS": system, f"{prefix}ARCH": arch}
        if variant or arch in _WITHOUT_VARIANT:
            found[f"{prefix}VARIANT"] = "" if arch == "arm64" else variant
    return found


def _directives(lines: list[str]) -> dict[str, str]:
    """Read the comments of the form ``# name=value`` at the very top."""
    found: dict[str, str] = {}
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        found.setdefault(match["name"].lower(), match["value"])
    return found


def _instructions(lines: list[str], escape: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, instruction in capitals and its text, continued lines joined, here-documents left out."""
    at, ends = 0, _Ends(lines)
    while at < len(lines):
        start, text = at + 1, ""
        while at < len(lines):
            line = lines[at].strip()
            at += 1
            if line.startswith("#") or (text and not line):
                continue
            if not line.endswith(escape):
                text += line
                break
            text += line[: -len(escape)]
        word, rest = [*text.split(None, 1), "", ""][:2]
        if not word:
            continue
        yield start, word.upper(), rest.strip()
        if word.upper() in ("RUN", "COPY", "ADD"):
            at = _after_heredocs(ends, at, rest)


class _Ends:
    """Where here-documents may end; every line is read once, however many here-documents begin."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    @cached_property
    def _exact(self) -> Mapping[str, list[int]]:
        return _places_of(self._lines)

    @cached_property
    def _indented(self) -> Mapping[str, list[int]]:
        return _places_of(line.lstrip("\t") for line in self._lines)

    def behind(self, word: str, at: int, *, dash: bool) -> int | None:
        """Return the line after the next line, from `at` on, that is `word`; with a dash, tabs may precede it."""
        places = (self._indented if dash else self._exact).get(word, [])
        found = bisect_left(places, at)
        return places[found] + 1 if found < len(places) else None


def _after_heredocs(ends: _Ends, at: int, text: str) -> int:
    """Return the line after the here-documents that `text` opens; `at` when one never ends (older syntax)."""
    begin = at
    for match in _HEREDOC.finditer(text):
        behind = ends.behind(match["word"], at, dash=bool(match["dash"]))
        if behind is None:
            return begin
        at = behind
    return at


def _arguments(text: str, known: Mapping[str, str], given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for word in text.split():
        if len(known) >= MAX_ARGUMENTS:
            return
        name, equals, default = word.partition("=")
        if name in given:
            yield name, given[name]
        elif equals:
            yield name, _fill(default.strip("\"'"), known)


def _from(text: str, known: Mapping[str, str]) -> BuildStage:
    flags = dict(_flags(text))
    words = _FLAG.sub("", text).split() if flags else text.split()
    name = words[2].lower() if len(words) > 2 and words[1].upper() == "AS" else ""
    base = _fill(words[0].strip("\"'"), known) if words else ""
    return BuildStage(base=base, name=name, platform=_fill(flags.get("platform", ""), known))


def _flags(text: str) -> Iterator[tuple[str, str]]:
    """Yield the ``--name=value`` flags before an instruction's own words."""
    at = 0
    while match := _FLAG.match(text, at):
        yield match["name"], match["value"] or ""
        at = match.end()


def _mount(value: str, line: int) -> Mount:
    parts = (part.strip("\"'").partition("=") for part in value.split(","))
    options = {name.lower(): text.strip("\"'") for name, _, text in parts}
    target = _first(options, "target", "dst", "destination")
    return Mount(
        kind=options.get("type", "bind").lower(),
        line=line,
        source=options.get("from", ""),
        name=_first(options, "id", "source", "src") or posixpath.basename(target),
        required=options.get("required", "0") not in _FALSE,
    )


def _first(options: Mapping[str, str], *names: str) -> str:
    return next((options[name] for name in names if options.get(name)), "")


def _fill(text: str, known: Mapping[str, str]) -> str:
    """Substitute variables: ``$A``, ``${A}``, ``${A:-word}``, ``${A:+word}``.

    An unknown variable stays as it is, so that the caller sees its dollar sign. What is too long is cut, as each
    value may hold the one before it twice.
    """

    def value(match: re.Match[str]) -> str:
        if match["end"] == "":
            return match[0]
        name, word = match["bare"] or match["name"], match["word"] or ""
        found = known.get(name, "")
        if match["op"] in (":-", "-"):
            return found or word
        if match["op"] in (":+", "+"):
            return word if found else ""
        return found if name in known else match[0]

    filled, at = "", 0
    for match in _VARIABLE.finditer(text):
        filled += text[at : match.start()] + value(match)
        at = match.end()
        if len(filled) > MAX_VALUE:
            break
    return (filled + text[at:])[:MAX_VALUE]
