"""Edit single scalars of a YAML file by their paths and leave every other byte as it is.

The place is found by `workers.gitops.locate`; here the new text gets the quotes that it needs, is spliced in, and the
result is parsed again and compared before anybody may use it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.changes import Edit
from orchestrator.domain.paths import Path, parse_path
from workers.gitops.anchors import users
from workers.gitops.locate import Scalar, locate
from workers.gitops.refusals import EditRefused
from workers.gitops.splice import Splice, spliced, verify

__all__ = ["MAX_BYTES", "EditRefused", "Edited", "edit", "inspect", "overridden", "scalar_of", "shared"]

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of a file; the largest values file in public charts that we saw has 180 kB."""
MAX_VALUE = 4096
"""Characters of a new value."""

_BOM = "\ufeff"
# A letter first and nothing that YAML or a template gives a meaning to, or a version with at least two dots.
_PLAIN = re.compile(r"(?:[A-Za-z]|[0-9]+\.[0-9]+\.[0-9]+(?=[.+_-]|\Z))[A-Za-z0-9._/@+-]*(?::[A-Za-z0-9._/@+-]+)*")
# Begins with a letter and is still a boolean, null or number to YAML 1.1 (Helm's parser too) or 1.2.
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "inf", "infinity", "nan"])
_NULLS = ("null", "Null", "NULL", "~")
_DIGEST_KEYS = ("digest", "sha")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The file after the edits, and in the order of the edits the former texts of the values.

    ``changed`` is False when every value was there already; then ``raw`` is what came in.
    """

    raw: bytes
    previous: tuple[str, ...]
    changed: bool


def edit(raw: bytes, edits: Sequence[Edit]) -> Edited:
    """Set scalars in a YAML file.

    Old and new are compared as text. Quotes are kept; a plain value that need not be read as a text (``1234567``,
    ``1.10``, ``yes``) gets double quotes, be it there already, and an empty one is filled in behind its colon.

    :param raw: the whole file, UTF-8 with or without byte order mark, at most `MAX_BYTES`.
    :raises EditRefused: with the line and the reason, when a value cannot be set without a guess.
    """
    mark, text = _decoded(raw)
    located = locate(text, [_path(wanted.path) for wanted in edits])
    _distinct(edits, located.scalars)
    splices = sorted(
        (
            _splice(text, scalar, wanted)
            for scalar, wanted in zip(located.scalars, edits, strict=True)
            if not _is_there(scalar, wanted.value)
        ),
        key=lambda splice: splice.start,
    )
    result = spliced(text, splices)
    if splices:
        verify(text, result, located, splices)
    return Edited(
        raw=(mark + result).encode() if splices else raw,
        previous=tuple(scalar.text for scalar in located.scalars),
        changed=bool(splices),
    )


def inspect(raw: bytes, path: str) -> str:
    """Read the text of the value at `path` ("" when empty), under the same conditions as `edit`.

    :raises EditRefused: when an edit would be refused.
    """
    return scalar_of(raw, path).text


def scalar_of(raw: bytes, path: str) -> Scalar:
    """Find the value at `path`; as `inspect`, with the line."""
    _, text = _decoded(raw)
    return locate(text, [_path(path)]).scalars[0]


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
            found = scalar_of(raw, str(sibling))
        except EditRefused:
            continue
        if found.text.strip() and (found.style or found.text not in _NULLS):
            return f"{sibling} (line {found.line}) is not empty; most charts let it win over {path}"
    return ""


def shared(raw: bytes, path: str) -> str:
    """Warn that an edit at `path` changes other values as well, through an anchor on it or around it; else "".

    :raises EditRefused: when an edit would be refused.
    """
    _, text = _decoded(raw)
    others = users(text, scalar_of(raw, path).event)
    return f"an edit of {path} also changes what its anchor provides elsewhere: {others}" if others else ""


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


def _distinct(edits: Sequence[Edit], scalars: Sequence[Scalar]) -> None:
    owners: dict[int, Edit] = {}
    for wanted, scalar in zip(edits, scalars, strict=True):
        other = owners.setdefault(scalar.start, wanted)
        if other is not wanted:
            raise EditRefused(scalar.line, f"{other.path} and {wanted.path} name the same value")


def _splice(text: str, scalar: Scalar, wanted: Edit) -> Splice:
    if len(wanted.value) > MAX_VALUE or not wanted.value.isprintable():
        raise EditRefused(
            None, f"the new value for {wanted.path} is too long or has characters that cannot be printed"
        )
    style = scalar.style or ("" if _is_plain(wanted.value, scalar.flow) else '"')
    written, start, end = _quoted(wanted.value, style), scalar.start, scalar.end
    if start == end:
        blank = text[start:].split("\n", 1)[0]
        if blank[:1] == " " and not blank.strip():
            start = end = start + 1  # nothing but blanks follows on the line: use the first of them
        else:
            written = f" {written}"
    return Splice(start, end, written, wanted.value, style, scalar)


def _is_there(scalar: Scalar, value: str) -> bool:
    """Tell whether a reader finds `value` there: Helm reads a plain ``1.10`` as the tag 1.1."""
    return scalar.text == value and bool(scalar.style or _is_plain(value, flow=False))


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
