"""Whether a command of a page is one that works: what it names must be there."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import yaml
from typer.exceptions import TyperException

from orchestrator.cli import COMMANDS, command
from orchestrator.web.openapi import document
from tests.support.documents import ROOT
from webhooks.chats import CHATS
from webhooks.forges import FORGES

_SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
_TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
_STAGES = re.findall(r"^FROM .* AS (\w+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
PODS = ("deploy/pilotage-web", "deploy/pilotage-worker-build", "job/pilotage-migrate")
"""What pages name of the chart, of a release that is called pilotage; a test compares them with it."""
_OURS = re.compile(r"https?://(?:127\.0\.0\.1:848[01]|pilotage\.[\w.]+|your-pilotage|machine:8480)(?=/)")
_LEFT_OUT = re.compile("missing (?:parameter|argument)|requires an argument", re.IGNORECASE)
"""What the parser says of an argument that a sentence leaves out."""
_HIDES = {"-u", "-v", "-t", "-e", "-f", "--file", "--profile", "--user", "--env"}
"""Options of Docker whose value is the next word."""


def faults(words: list[str], *, whole: bool = True) -> list[str]:
    """Say what a simple command names that is not there.

    :param whole: False: it is named within a sentence, so arguments may be left out, and LETTERS stand for a value.
    """
    return [fault for check in _CHECKS for fault in check(words, whole)]


def is_ours(words: list[str]) -> bool:
    """Tell whether a command calls Pilotage with something."""
    return bool(_arguments(words))


def addresses(text: str) -> list[str]:
    """Return the paths of the addresses of Pilotage in a text."""
    return [urlsplit(found).path for found in re.findall(rf"{_OURS.pattern}[\w/.-]*", text)]


def route_fault(method: str, path: str) -> str:
    """Return what is wrong with a request to Pilotage, or nothing."""
    path = path.partition("?")[0]
    match = re.fullmatch(r"/webhooks/(?:([a-z]+)|<\w+>)?", path)
    if match:
        return "" if match[1] in {None, *FORGES, *CHATS} else f"no hook {path}"
    known = document()["paths"]
    rules = [rule for rule in known if re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", rule), path)]
    return "" if any(not method or method.lower() in known[rule] for rule in rules) else f"no call {method} {path}"


def _pilotage(words: list[str], whole: bool) -> Iterator[str]:
    arguments = list(_arguments(words))
    if arguments and arguments != ["$@"]:
        if not whole:
            arguments = [re.sub(r"^[A-Z]+$", "1", word) for word in arguments]
        try:
            _parse(arguments)
        except TyperException as error:
            said = str(error)
            if whole or not _LEFT_OUT.search(said):
                yield f"pilotage {' '.join(arguments)}: {said}"


def _arguments(words: list[str]) -> list[str]:
    """Find what is given to Pilotage, behind whatever starts it."""
    rest = words[words.index("--") + 1 :] if "--" in words else words
    program = rest[0] if rest else ""
    if program in ("pilotage", "pilotage-here") or program.endswith("/bin/pilotage"):
        return rest[1:]
    inside = _compose_words(words)
    if inside[:1] == ["exec"] and inside[2:3] == ["pilotage"]:
        return inside[3:]
    if inside[:2] == ["run", "migrate"]:
        return inside[2:]
    if program in COMMANDS and len(rest) > 1 and (rest[1].startswith("--") or rest[1] in _subcommands(program)):
        return rest
    return []


def _subcommands(name: str) -> dict[str, Any]:
    _, group, _ = command().resolve_command(command().make_context("pilotage", [name]), [name])
    return getattr(group, "commands", {})


def _parse(words: list[str]) -> None:
    """Parse as the program would, without running anything."""
    context = command().make_context("pilotage", list(words), resilient_parsing=False)
    group, rest = context.command, [*context._protected_args, *context.args]
    while hasattr(group, "resolve_command") and rest:
        _, group, rest = group.resolve_command(context, rest)
        if hasattr(group, "commands") and rest:
            context = group.make_context("group", rest)
            rest = [*context._protected_args, *context.args]
    if not hasattr(group, "commands"):
        group.make_context("command", rest)


def _make(words: list[str], _whole: bool) -> Iterator[str]:
    if words[0] == "make":
        yield from (f"no target {word}" for word in words[1:] if "=" not in word and word not in _TARGETS)


def _compose_words(words: list[str]) -> list[str]:
    """Return the command of Docker Compose, its service and what follows; nothing if it is another program."""
    rest = words[1:] if words[0] == "docker-compose" else words[2:] if words[:2] == ["docker", "compose"] else []
    before = _without_options(rest)
    if before[:1] in (["exec"], ["run"]):
        inside = rest[rest.index(before[1]) :] if len(before) > 1 else []
        return [before[0], *inside]
    return before


def _without_options(words: list[str]) -> list[str]:
    return [word for before, word in pairwise(["", *words]) if not word.startswith("-") and before not in _HIDES]


def _compose(words: list[str], _whole: bool) -> Iterator[str]:
    inside = _compose_words(words)
    if inside[:1] in (["exec"], ["run"]):
        inside = inside[:2]
    yield from (f"no service {word}" for word in inside[1:] if word not in _SERVICES)
    profiles = {name for service in _SERVICES.values() for name in service.get("profiles", [])}
    asked = {word for before, word in pairwise(words) if before == "--profile"}
    yield from (f"no profile {name}" for name in asked - profiles)


def _docker(words: list[str], _whole: bool) -> Iterator[str]:
    if words[:2] == ["docker", "build"] and "--target" in words:
        target = words[words.index("--target") + 1]
        if target not in _STAGES:
            yield f"no stage {target} in the Dockerfile"


def _kubectl(words: list[str], _whole: bool) -> Iterator[str]:
    if words[0] == "kubectl":
        named = [word for word in words if re.match(r"(?:deploy|job)/", word)]
        yield from (f"no {word} in the chart" for word in named if word not in PODS)


def _files(words: list[str], _whole: bool) -> Iterator[str]:
    named = [word.rstrip("/") for word in words if re.match(r"(?:\./)?(?:charts|docs|tests|\.ci)/[\w./-]+$", word)]
    yield from (f"no file {word}" for word in named if not (ROOT / word).exists())


def _curl(words: list[str], _whole: bool) -> Iterator[str]:
    if words[0] != "curl":
        return
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    paths = [path for word in words for path in addresses(word)]
    yield from (fault for path in paths if (fault := route_fault(method, path)))


_CHECKS: tuple[Callable[[list[str], bool], Iterator[str]], ...] = (
    _pilotage, _make, _compose, _docker, _kubectl, _files, _curl,
)  # fmt: skip
