"""What a Dockerfile asks of its surroundings: base images, frontends, secrets; read without building it.

Follows docs.docker.com/reference/dockerfile: parser directives, line continuation, here-documents, global ``ARG``,
``FROM --platform``, names of stages, ``COPY --from`` and ``RUN --mount``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>.*?)\s*\Z")
_HEREDOC = re.compile(r"""<<(?P<dash>-?)(?P<quote>["']?)(?P<word>[A-Za-z_][A-Za-z0-9_]*)(?P=quote)""")
_FLAG = re.compile(r"--(?P<name>[a-z]+)(?:=(?P<value>\S+))?(?:\s+|\Z)")
_VARIABLE = re.compile(r"\$(?:(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<op>:?[-+])(?P<word>[^}]*))?\})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One ``RUN --mount``: its kind (bind, cache, tmpfs, secret, ssh), the line of its RUN, its ``from``."""

    kind: str
    line: int
    source: str = ""


@dataclass(slots=True, kw_only=True)
class Stage:
    """One ``FROM`` and what follows it: the image or stage it stands on and those that it copies from."""

    base: str
    name: str = ""
    platform: str = ""
    sources: list[str] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A Dockerfile's stages in order; ``syntax`` is the frontend image of ``# syntax=`` ("" = the built-in one)."""

    stages: tuple[Stage, ...]
    syntax: str = ""

    def needed(self, target: str = "", *, all_before: bool = False) -> tuple[Stage, ...]:
        """Return the stages that make `target` ("" = the last), in order.

        :param all_before: also those that nothing needs; the classic builder builds every stage up to the target.
        """
        last = self._find(target, len(self.stages)) if target else len(self.stages) - 1
        if last is None or not self.stages:
            return self.stages
        wanted = set(range(last + 1)) if all_before else set(self._closure(last))
        return tuple(stage for at, stage in enumerate(self.stages) if at in wanted)

    def images(self, target: str = "", *, all_before: bool = False) -> tuple[tuple[str, str], ...]:
        """Return the images that must be pulled for `target`, each with its ``--platform`` as it is written, once."""
        found: dict[tuple[str, str], None] = {}
        for stage in self.needed(target, all_before=all_before):
            at = next(i for i, one in enumerate(self.stages) if one is stage)
            references = [(stage.base, stage.platform)]
            references += [(name, "") for name in (*stage.sources, *(m.source for m in stage.mounts))]
            for name, platform in references:
                if name and name != "scratch" and "$" not in name and self._find(name, at) is None:
                    found[(name, platform)] = None
        return tuple(found)

    def mounts(self, target: str = "") -> tuple[Mount, ...]:
        """Return the mounts of the stages that make `target`."""
        return tuple(mount for stage in self.needed(target) for mount in stage.mounts)

    def _closure(self, at: int) -> Iterator[int]:
        waiting, seen = [at], {at}
        while waiting:
            index = waiting.pop()
            yield index
            stage = self.stages[index]
            for name in (stage.base, *stage.sources, *(mount.source for mount in stage.mounts)):
                other = self._find(name, index)
                if other is not None and other not in seen:
                    seen.add(other)
                    waiting.append(other)

    def _find(self, name: str, before: int) -> int | None:
        """Return the index of the stage called `name` (or with this number) in front of `before`."""
        if name.isdecimal():
            return int(name) if int(name) < before else None
        hits = [at for at, stage in enumerate(self.stages[:before]) if stage.name and stage.name == name.lower()]
        return hits[-1] if hits else None


def read_recipe(text: bytes, args: Mapping[str, str] | None = None) -> Recipe:
    """Read a Dockerfile. Never fails: what cannot be understood is left to the engine to complain about.

    :param args: build arguments; they replace the defaults of the ``ARG`` lines in front of the first ``FROM``.
    """
    lines = text.decode("utf-8-sig", "replace").splitlines()
    directives = _directives(lines)
    known: dict[str, str] = {}
    stages: list[Stage] = []
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
    at = 0
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
            at = _after_heredocs(lines, at, rest)


def _after_heredocs(lines: list[str], at: int, text: str) -> int:
    """Return the line behind the here-documents that `text` opens; `at` when one never ends (older syntax)."""
    begin = at
    for match in _HEREDOC.finditer(text):
        while at < len(lines):
            line = lines[at].lstrip("\t") if match["dash"] else lines[at]
            at += 1
            if line == match["word"]:
                break
        else:
            return begin
    return at


def _arguments(text: str, known: Mapping[str, str], given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for word in text.split():
        name, equals, default = word.partition("=")
        if name in given:
            yield name, given[name]
        elif equals:
            yield name, _fill(default.strip("\"'"), known)


def _from(text: str, known: Mapping[str, str]) -> Stage:
    flags = dict(_flags(text))
    words = _FLAG.sub("", text).split() if flags else text.split()
    name = words[2].lower() if len(words) > 2 and words[1].upper() == "AS" else ""
    base = _fill(words[0].strip("\"'"), known) if words else ""
    return Stage(base=base, name=name, platform=_fill(flags.get("platform", ""), known))


def _flags(text: str) -> Iterator[tuple[str, str]]:
    """Yield the ``--name=value`` in front of an instruction's own words."""
    at = 0
    while match := _FLAG.match(text, at):
        yield match["name"], match["value"] or ""
        at = match.end()


def _mount(value: str, line: int) -> Mount:
    options = {name.lower(): text for name, _, text in (part.partition("=") for part in value.split(","))}
    return Mount(kind=options.get("type", "bind").strip("\"'"), line=line, source=options.get("from", ""))


def _fill(text: str, known: Mapping[str, str]) -> str:
    """Put in the values of variables: ``$A``, ``${A}``, ``${A:-word}``, ``${A:+word}``.

    An unknown variable stays as it is: by its dollar sign the caller sees that the name is not known.
    """

    def value(match: re.Match[str]) -> str:
        name, word = match["bare"] or match["name"], match["word"] or ""
        found = known.get(name, "")
        if match["op"] in (":-", "-"):
            return found or word
        if match["op"] in (":+", "+"):
            return word if found else ""
        return found if name in known else match[0]

    return _VARIABLE.sub(value, text)
