"""Makes from charts/pilotage/values.yaml what must agree with it: the table in README.md and values.schema.json.

    python .ci/charts.py            writes both
    python .ci/charts.py --check    writes nothing; exits 1 when one is not up to date

Above a key of values.yaml, lines after ``# --`` describe it and lines after ``# @schema`` (JSON) say more of its
schema than its default does. The schema of ``config`` comes from the models of pilotage.yaml.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from orchestrator.config.models import Config
from orchestrator.config.shape import keys, model_of

CHART = Path(__file__).parents[1] / "charts/pilotage"
DRAFT = "http://json-schema.org/draft-07/schema#"
"""Helm 3 and 4 both read it."""
BEGIN, END = "<!-- values: made by `make docs` from values.yaml -->", "<!-- /values -->"
KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_AMOUNTS = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
_POD = {
    "annotations": {**_TEXTS, "description": "Annotations of the pods."},
    "labels": {**_TEXTS, "description": "Labels of the pods."},
    "nodeSelector": {**_TEXTS, "description": "Labels of the nodes."},
    "tolerations": {"type": "array", "items": {"type": "object"}, "description": "Taints that are no hindrance."},
    "affinity": {"type": "object", "description": "Affinity, as in a pod."},
    "topologySpreadConstraints": {
        "type": "array", "items": {"type": "object"}, "description": "How the pods are spread, as in a pod.",
    },
    "priorityClassName": {"type": "string", "description": "Priority class."},
}  # fmt: skip
_RESOURCES = {
    "requests": {**_AMOUNTS, "description": "What a node must have free."},
    "limits": {**_AMOUNTS, "description": "What must not be exceeded."},
    "claims": {"type": "array", "items": {"type": "object"}, "description": "Claims of resources."},
}


@dataclass(slots=True)
class Entry:
    """A key of values.yaml. ``value`` is its default, ``text`` its description, ``extra`` what `@schema` says."""

    path: tuple[str, ...]
    value: Any
    text: str
    extra: dict[str, Any]
    children: list["Entry"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path[-1]


def read(text: str) -> list[Entry]:
    """Read values.yaml with its comments. :raises ValueError: a key that is set has no description."""
    return list(_entries(yaml.compose(text), yaml.safe_load(text), text.splitlines(), ()))


def _entries(node: Any, value: Any, lines: list[str], above: tuple[str, ...]) -> Iterator[Entry]:
    for key, inner in node.value:
        path = (*above, key.value)
        text, extra = _comment(lines, key.start_mark.line)
        entry = Entry(path, value[key.value], text, extra)
        if isinstance(inner, yaml.MappingNode) and inner.value and not text:
            entry.children = list(_entries(inner, entry.value, lines, path))
        elif not text:
            raise ValueError(f"values.yaml: {'.'.join(path)} has no `# --` comment")
        yield entry


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """Take the comment above a line apart: description and schema."""
    block: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].lstrip().removeprefix("#").strip())
    words, _, schema = " ".join(block).partition("@schema ")
    _, dashes, text = words.partition("-- ")
    return (text.strip() if dashes else ""), json.loads(schema or "{}")


def schema(entries: list[Entry]) -> dict[str, Any]:
    """Make the schema of the values."""
    definitions = {
        "config": _mapping(Config),
        "pod": {"type": "object", "additionalProperties": False, "properties": _POD},
        "resources": {"type": "object", "additionalProperties": False, "properties": _RESOURCES},
    }
    top = _object(entries)
    # Helm itself puts `global` into the values of a chart.
    top["properties"]["global"] = {
        "type": "object",
        "description": "Values of all charts of a release; none is read.",
    }
    return {"$schema": DRAFT, "title": "Values of the chart pilotage", **top, "definitions": definitions}


def _object(entries: list[Entry]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {entry.name: _schema(entry) for entry in entries},
    }


def _schema(entry: Entry) -> dict[str, Any]:
    if entry.children:
        return _object(entry.children)
    if "$ref" in entry.extra:
        return {"description": entry.text, "allOf": [entry.extra]}
    found: dict[str, Any] = {"description": entry.text}
    if entry.value is not None:
        found["type"] = KINDS[type(entry.value)]
    return found | entry.extra


def _mapping(model: type[BaseModel]) -> dict[str, Any]:
    """Say which keys a model has. Of their values only the shape: `${NAME}` may stand for any of them."""
    properties = {}
    for name, info, inner in keys(model):
        one = _mapping(inner) if inner is not None else _plain(info.annotation)
        if inner is not None and _is_list(info.annotation):
            one = {"type": "array", "items": one}
        properties[name] = {"description": info.description, **one}
    found = {"type": "object", "additionalProperties": False, "properties": properties}
    return found | ({"patternProperties": {"^x-": {}}} if model is Config else {})


def _plain(annotation: Any) -> dict[str, Any]:
    if str(annotation).startswith("list["):
        return {"type": "array"}
    if str(annotation).startswith("dict["):
        return {"type": "object"}
    return {"type": ["string", "number", "boolean", "null"]}


def _is_list(annotation: Any) -> bool:
    return "list[" in str(annotation) and model_of(annotation) is not None


def table(entries: list[Entry]) -> str:
    """Make the table of README.md."""
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    for entry in _leaves(entries):
        default = json.dumps(entry.value, ensure_ascii=False).replace("|", "\\|")
        lines.append(f"| `{'.'.join(entry.path)}` | `{default}` | {entry.text.replace('|', '&#124;')} |")
    return "\n".join(lines)


def _leaves(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if entry.children:
            yield from _leaves(entry.children)
        else:
            yield entry


def made(chart: Path = CHART) -> Mapping[Path, str]:
    """Return the files that are made, as they should be."""
    entries = read((chart / "values.yaml").read_text(encoding="utf-8"))
    readme = chart / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return {
        readme: f"{before}{BEGIN}\n\n{table(entries)}\n\n{END}{after}",
        chart / "values.schema.json": json.dumps(schema(entries), indent=2, ensure_ascii=False) + "\n",
    }


def main(arguments: list[str]) -> int:
    """Write what is not up to date, or with ``--check`` only say so. Returns the exit code."""
    stale = [file for file, text in made().items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        if "--check" in arguments:
            sys.stderr.write(f"{file.name} is not up to date; run `make docs`\n")
        else:
            file.write_text(made()[file], encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
