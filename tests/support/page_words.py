"""Whether a word that a page sets as code is one of the product, and what the product has."""

import functools
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

from orchestrator.config.models import Config
from orchestrator.config.shape import keys
from orchestrator.log_fields import FIELDS
from tests.support import page_commands
from tests.support.documents import ROOT, WRITTEN, blocks, commands
from tests.support.journals import log_calls

_FOLDERS = ("orchestrator", "workers", "webhooks", "charts", ".ci")
_KINDS = {".py", ".html", ".js", ".yaml", ".yml", ".json", ".tpl", ".txt", ".conf", ".toml"}
_LONE = ("docker-compose.yml", "pilotage.example.yaml", ".env.example", "Makefile", "pyproject.toml", "Dockerfile")
_CHART = json.loads((ROOT / "charts/pilotage/values.schema.json").read_text(encoding="utf-8"))
_PROGRAMS = frozenset({
    "argocd", "chmod", "chown", "docker", "docker-compose", "echo", "git", "helm", "kill", "kubectl", "make", "pip",
    "journalctl", "pytest", "python3", "sqlite3", "sysctl", "systemctl",
})  # fmt: skip
"""Programs of others: a command of theirs is true when what it names of ours is there."""


def fault(word: str) -> str:
    """Return what is wrong with a word or phrase, or nothing."""
    for shape, check in _SHAPES:
        match = re.fullmatch(shape, word)
        if match and (said := check(match)) is not None:
            return said
    known = in_text(word, source()) or in_text(word, shown())
    return "" if known else "nothing in the product is called so"


@functools.cache
def source() -> str:
    """Return all that ships but the pages: code, templates, charts and settings."""
    files = [file for folder in _FOLDERS for file in sorted((ROOT / folder).rglob("*")) if file.suffix in _KINDS]
    return "\n".join(file.read_text(encoding="utf-8") for file in [*files, *(ROOT / name for name in _LONE)])


@functools.cache
def shown() -> str:
    """Return the text of all blocks of the pages, which have tests of their own."""
    return "\n".join(block.text for block in blocks())


def in_text(word: str, text: str) -> bool:
    """Tell whether a text has a word, or a phrase, as it is, and not as a part of a longer word."""
    inner = word.rstrip(".,:/*")
    at = text.find(inner) if inner else -1
    while at >= 0:
        around = text[max(at - 1, 0) : at] + text[at + len(inner) : at + len(inner) + 1]
        if not re.search(r"[\w-]", around):
            return True
        at = text.find(inner, at + 1)
    return False


@functools.cache
def config_keys() -> dict[str, Any]:
    """Return the type under each key of pilotage.yaml, lists without their brackets: ``apps.build.paths``."""
    return dict(_config_keys(Config, ""))


def _config_keys(model: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name, field, inner in keys(model):
        yield f"{above}{name}", field.annotation
        if inner is not None:
            yield from _config_keys(inner, f"{above}{name}.")


def config_types(path: str) -> list[Any]:
    """Return the types of the keys that a path names; it may leave out its beginning, and a forge's name."""
    end = re.escape(re.sub(r"\[\d*\]", "", path)).replace("<forge>", r"\w+").replace("FORGE", r"\w+")
    return [kind for known, kind in config_keys().items() if re.search(rf"(?:^|\.){end}$", known)]


def is_chart_value(path: str) -> bool:
    """Tell whether the chart has a value at a path, by its schema."""
    node = _CHART
    for part in re.sub(r"\[\d*\]", "", path).split("."):
        node = _CHART["definitions"][node["allOf"][0]["$ref"].rpartition("/")[2]] if "allOf" in node else node
        node = node.get("properties", {}).get(part, node.get("additionalProperties"))
        if not isinstance(node, dict):
            return False
    return True


@functools.cache
def events() -> frozenset[str]:
    """Return all events of the log."""
    return frozenset(call.says for call in log_calls() if call.says)


@functools.cache
def variables() -> frozenset[str]:
    """Return the names of all variables of an environment that the source reads or a page tells to set."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in WRITTEN)
    named = r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b"
    set_by_pages = re.findall(rf"(?:\$\{{|export |^| )({named})(?:\}}|=)", pages, re.MULTILINE)
    return frozenset([*re.findall(named, source()), *set_by_pages])


def _command(match: re.Match[str]) -> str | None:
    try:
        called = commands(match[0])
    except ValueError:  # a quote that is not closed: not for a shell
        return None
    wrong = [said for words in called for said in page_commands.faults(words, whole=False)]
    ours = [words for words in called if words[0].rpartition("/")[2] in _PROGRAMS or page_commands.is_ours(words)]
    return "; ".join(wrong) if wrong or ours else None


def _route(match: re.Match[str]) -> str:
    return page_commands.route_fault(match[1] or "", match[2].replace("*", "x"))


def _file(match: re.Match[str]) -> str:
    return "" if (ROOT / match[0].rstrip("/")).exists() else "there is no such file"


def _example(_: re.Match[str]) -> str:
    """Take a name that stands for one of the reader's."""
    return ""


def _in_state(match: re.Match[str]) -> str:
    return "" if f'"{match[1]}"' in source() else "nothing in the state folder is called so"


def _event(match: re.Match[str]) -> str:
    unknown = set(re.findall(r'event: "(.*?)"', match[0])) - events()
    fields = set(re.findall(r"(\w+): ", match[0])) - FIELDS.keys()
    return f"not in the log: {', '.join(sorted(unknown | fields))}" if unknown | fields else ""


def _variable(match: re.Match[str]) -> str:
    return "" if match[1] in variables() else "no such variable"


def _path(match: re.Match[str]) -> str | None:
    path = match[1].removeprefix("config.")
    if re.match(r"(?:orchestrator|workers|webhooks)\.", path) and not config_types(path):
        return _module(path)
    return "" if config_types(path) or is_chart_value(path) else None


def _module(path: str) -> str:
    try:
        pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError):
        return "" if is_chart_value(path) else "no such module"
    return ""


def _setting(match: re.Match[str]) -> str | None:
    key, value = match[1], match[2]
    types = config_types(key)
    words = [word for kind in types for word in _literals(kind)]
    if types and words and value not in words:
        return f"{key} is one of {', '.join(words)}"
    return "" if types or key in FIELDS or is_chart_value(key) else None


def _literals(kind: Any) -> list[str]:
    inner = get_args(kind)
    return [*inner] if get_origin(kind) is Literal else [word for part in inner for word in _literals(part)]


def _json(match: re.Match[str]) -> str:
    names = re.findall(r'"(\w+)"', re.sub(r': "[^"]*"', ":", match[0]))
    missing = [name for name in names if f'"{name}"' not in source()]
    return f"not in the source: {', '.join(missing)}" if missing else ""


_SHAPES: tuple[tuple[str, Callable[[re.Match[str]], str | None]], ...] = (
    (r"(?:(GET|POST) )?(/(?:api|webhooks|healthz|readyz|metrics)\b.*)", _route),
    (r"()https?://(?:[\w.-]*pilotage[\w.-]*|127\.0\.0\.1:848[01])(/.*)", _route),
    (r"(?:charts|docs|tests|\.ci|(?:orchestrator|workers|webhooks)(?=.*\.\w+$))/\S*", _file),
    (r".*\b(?:example\.com|plate\.test)\b.*", _example),
    (r"state_dir/(.+)", _in_state),
    (r"event: .*", _event),
    (r"\$?\{?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\}?(?:=.*)?", _variable),
    (r"([a-z]\w*(?:\[\d*\])?(?:\.[\w<>-]+(?:\[\d*\])?)+)", _path),
    (r"([a-z][\w.]*): (.+)", _setting),
    (r'\{".*\}', _json),
    (r".+", _command),
)
"""How words look, and who knows whether such a one is true; the first that can tell decides."""
