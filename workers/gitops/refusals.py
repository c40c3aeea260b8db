"""Why a value in a YAML file cannot be edited: the sentences, each with what is in the way and where."""

import re
from collections.abc import Sequence

import yaml

from orchestrator.domain.paths import Named, Path

_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TEMPLATE = "Helm template text ({{ }}), which only Helm can read"


class EditRefused(Exception):
    """The value cannot be edited safely.

    :param line: the line that the reason is about, counted from 1; None when it is about the whole file.
    :param detail: what is in the way, one sentence without a full stop.
    """

    def __init__(self, line: int | None, detail: str) -> None:
        super().__init__(f"line {line}: {detail}" if line else detail)
        self.line = line
        self.detail = detail


def unreadable(text: str, error: yaml.YAMLError) -> EditRefused:
    """Say why text cannot be parsed, as `EditRefused` with the line."""
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        return EditRefused(line, f"the file has the control character U+{ord(control[0]):04X}, which YAML forbids")
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    near = "".join(text.splitlines()[max(0, line - 3) : line])
    if "{{" in near:
        return EditRefused(line, f"the file is not YAML here; it looks like {TEMPLATE}")
    problem = getattr(error, "problem", None) or "cannot be read"
    hint = " (a tab character cannot indent)" if "\t" in near else ""
    return EditRefused(line, f"the file is not YAML here: {problem}{hint}")


def alias(here: str, anchor: str | None) -> str:
    """Refuse a value that stands elsewhere in the file."""
    return f"{here} is an alias (*{anchor}): name the path of its anchor, which changes every user of it"


def leads_into(path: Path, depth: int, style: str | None) -> str:
    """Refuse a path that would go on below the single value that its first `depth` steps lead to."""
    here = path.beginning(depth) or "the document"
    if style in ("|", ">"):
        return f"{here} is a block of text ({style}), and {path} would lead into it"
    return f"{path} is missing: {here} is a single value, not a map or list"


def container(path: Path, mapping: bool, template: bool) -> str:
    """Refuse a path that ends at a map or list, or at text that YAML reads as one."""
    return f"{path} is {TEMPLATE if template else f'a {_kind(mapping)}, not a single value'}"


def missing(path: Path, depth: int, mapping: bool, merge: bool) -> str:
    """Say that the step after the first `depth` ones is not written in a map or list."""
    step, here = path.steps[depth], f"{path.beginning(depth + 1)} is missing"
    if isinstance(step, Named) and not mapping:
        return f"{here}: no item of this list has {step.key}: {step.value}"
    if merge:
        return f"{here}: this map does not write it out (a merge, <<, may provide it)"
    return f"{here} in this {_kind(mapping)}"


def twice(path: Path, depth: int, lines: Sequence[int]) -> str:
    """Say that the first `depth` steps lead to more than one place."""
    return f"{path.beginning(depth)} is there {len(lines)} times, in lines {', '.join(map(str, lines[:5]))}"


def unfit(path: Path, event: yaml.ScalarEvent, first: int, last: int) -> str:
    """Say why a scalar cannot be edited: its style, lines (counted from 1), tag or text; "" when it can."""
    if event.style in ("|", ">"):
        return f"{path} is a block of text ({event.style}), not a value on one line"
    if first != last:
        return f"{path} is written over several lines ({first} to {last})"
    if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
        return f"{path} has the tag {event.tag}, which says that it is not a text"
    if "{{" in event.value:
        return f"{path} is {TEMPLATE}"
    return f"{path} is encrypted (SOPS)" if event.value.startswith("ENC[") else ""


def _kind(mapping: bool) -> str:
    return "map" if mapping else "list"
