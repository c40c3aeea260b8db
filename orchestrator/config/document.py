"""A YAML text as plain mappings, lists and texts, with the line of every key.

No scalar is guessed at: ``012``, ``on`` and ``1e3`` stay the texts they are, and only the model of a key decides
what they mean. So a password of digits keeps its leading zero.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from orchestrator.config.filling import Shielded, shield
from orchestrator.config.problems import ConfigProblem, Path, dotted

MAX_NODES = 100_000
"""Values of one file after aliases are followed; more is a mistake or an alias bomb."""

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map", "int", "float", "bool"))


@dataclass(slots=True)
class Document:
    """A file as it was read.

    :param tree: mappings, lists and texts. :param lines: line of every key and list item, from 1.
    :param filled: places whose text came (also) from variables or files, and which.
    :param problems: what is wrong with the text itself; the tree is then what could be read.
    :param unfilled: those of them that are about a variable or file that is not there.
    :param blank: those of the filled places whose text is empty all the same.
    """

    tree: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    filled: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)
    unfilled: list[ConfigProblem] = field(default_factory=list)
    blank: set[Path] = field(default_factory=set)

    def line(self, path: Path) -> int:
        """Return the line of a key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def add(self, path: Path, message: str) -> None:
        """Note a problem at a place of the file; of one that is blank, say where it comes from."""
        if path in self.blank:
            message = f"{message}; it comes from {' and '.join(self.filled[path])}"
        self.problems.append(self.problem(path, message))

    def problem(self, path: Path, message: str) -> ConfigProblem:
        """Make a problem of a place and a sentence."""
        return ConfigProblem(path=dotted(path), line=self.line(path), message=message)


def read(text: str, environ: Mapping[str, str], folder: FilePath) -> Document:
    """Read a YAML text and fill its references in; every mistake becomes a problem, none is raised."""
    shielded = shield(text)
    document = Document()
    try:
        node = yaml.compose(shielded.text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        document.problems.append(_syntax(error, shielded))
    except yaml.reader.ReaderError as error:
        line = shielded.text.encode()[: error.position].count(b"\n") + 1
        document.problems.append(ConfigProblem(path="", line=line, message=f"is not YAML: {error.reason}"))
    except RecursionError:
        document.problems.append(ConfigProblem(path="", line=1, message="is nested too deeply"))
    else:
        _Reader(document, shielded, environ, folder).read(node)
    return document


def written(sections: Mapping[str, Any]) -> str:
    """Write sections of a configuration as the file has them, in their order."""
    text: str = yaml.safe_dump(dict(sections), sort_keys=False, allow_unicode=True)
    return text


def _syntax(error: yaml.MarkedYAMLError, shielded: Shielded) -> ConfigProblem:
    mark = error.problem_mark or error.context_mark
    words = ", ".join(words for words in (error.context, error.problem) if words)
    hint = "; a pattern that begins with `*` needs quotes" if "alias" in words else ""
    line = mark.line + 1 if mark else 1
    return ConfigProblem(path="", line=line, message=f"is not YAML: {shielded.original(words)}{hint}")


def _is_nothing(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in _NULLS


class _Reader:
    """Turns nodes into plain values; the state of one reading."""

    def __init__(self, document: Document, shielded: Shielded, environ: Mapping[str, str], folder: FilePath) -> None:
        self._document = document
        self._shielded = shielded
        self._environ = environ
        self._folder = folder
        self._open: set[int] = set()
        self._count = 0

    def read(self, node: Any) -> None:
        if node is not None:
            self._document.tree = self._value(node, ())

    def _value(self, node: Any, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_NODES:
            if self._count == MAX_NODES + 1:
                self._wrong(path, f"has more than {MAX_NODES} values; look for aliases of aliases")
            return None
        if node.tag not in _TAGS:
            # the tag is not named: it may be a password that begins with `!`
            hint = "a text that begins with `!` needs quotes"
            self._wrong(path, f"has a YAML tag; only plain values are read, and {hint}")
            return None
        if id(node) in self._open:
            self._wrong(path, "contains itself through an alias")
            return None
        self._open.add(id(node))
        try:
            return self._plain(node, path)
        finally:
            self._open.remove(id(node))

    def _plain(self, node: Any, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return list(self._items(node, path))
        return self._mapping(node, path)

    def _items(self, node: Any, path: Path) -> Iterator[Any]:
        for number, item in enumerate(node.value):
            self._document.lines[*path, number] = item.start_mark.line + 1
            yield self._value(item, (*path, number))

    def _scalar(self, node: Any, path: Path) -> str | None:
        if _is_nothing(node):
            self._wrong(path, "has no value; give one or delete the line")
            return None
        filled = self._shielded.fill(node.value, self._environ, self._folder)
        for sentence in filled.wrong:
            self._wrong(path, sentence)
            self._document.unfilled.append(self._document.problems[-1])
        if filled.used:
            self._document.filled[path] = self._shielded.names(node.value)
            if not filled.wrong and not filled.text.strip():
                self._document.blank.add(path)
        return None if filled.wrong else filled.text

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._entries(values, node, path)
        return values

    def _entries(self, values: dict[str, Any], node: Any, path: Path) -> None:
        """Read the keys of a mapping, then those of what it merges (``<<: *anchor``); the first one given counts."""
        merged: list[Any] = []
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(path, "has a key that is not a text")
            elif key.value == "<<" and not key.style:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.value in seen:
                self._twice(key, path)
            else:
                seen.add(key.value)
                self._entry(values, key, value, path)
        for source in merged:
            self._merge(values, source, path)

    def _twice(self, key: Any, path: Path) -> None:
        here = (*path, self._shielded.original(key.value))
        message = f"is given twice, first on line {self._document.line(here)}"
        self._document.problems.append(
            ConfigProblem(path=dotted(here), line=key.start_mark.line + 1, message=message)
        )

    def _entry(self, values: dict[str, Any], key: Any, value: Any, path: Path) -> None:
        name = self._shielded.original(key.value)
        if name in values:
            return
        grown = not key.style and ":" in name and _is_nothing(value)  # `{password:x}`: a key that has a value in it
        here = (*path, name.partition(":")[0] if grown else name)
        self._document.lines[here] = key.start_mark.line + 1
        if grown:
            self._wrong(here, "needs a blank after its `:`")
        else:
            values[name] = self._value(value, here)

    def _merge(self, values: dict[str, Any], source: Any, path: Path) -> None:
        if not isinstance(source, yaml.MappingNode):
            self._wrong(path, "merges (`<<`) something that is not a mapping")
        elif id(source) in self._open:
            self._wrong(path, "contains itself through an alias")
        else:
            self._open.add(id(source))
            self._entries(values, source, path)
            self._open.remove(id(source))

    def _wrong(self, path: Path, message: str) -> None:
        self._document.broken.add(path)
        self._document.add(path, message)
