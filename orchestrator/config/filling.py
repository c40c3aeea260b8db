"""``${VAR}`` and ``${file:...}``: taken out of the text before YAML is read, filled in after.

A reference never meets the YAML parser, and what it stands for is never parsed: a password may hold ``$``, quotes,
``#`` or ``: ``, and ``{password: ${X}}`` works although YAML itself would stop at the inner brace.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_FILE = 1024 * 1024
"""Bytes of a file that a ``${file:...}`` may stand for."""

_REFERENCE = re.compile(r"\$\$(?:\{[^}\n]*\})?|\$\{(?P<inner>[^}\n]*)(?P<end>\}?)")
_TOKEN = re.compile("\ue000(\\d+)\ue001")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Filled:
    """A scalar after filling in. ``wrong`` are sentences about references that have no value."""

    text: str
    wrong: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True)
class Shielded:
    """A text in which every reference is replaced by a token that means nothing to YAML; lines stay as they were."""

    text: str
    references: tuple[str, ...]

    def original(self, text: str) -> str:
        """Put the references back as they were written."""
        return _TOKEN.sub(self._reference, text)

    def fill(self, text: str, environ: Mapping[str, str], folder: Path) -> Filled:
        """Fill in every reference of a scalar.

        :param folder: where relative ``${file:...}`` paths start.
        """
        wrong: list[str] = []
        used = False

        def value(token: re.Match[str]) -> str:
            nonlocal used
            reference = self._reference(token)
            if not reference.startswith("${"):
                return reference[1:] if reference.startswith("$$") else reference
            used = True
            try:
                return _value(reference, environ, folder)
            except LookupError as error:
                wrong.append(str(error.args[0]))
                return ""

        return Filled(_TOKEN.sub(value, text), tuple(wrong), used)

    def names(self, text: str) -> tuple[str, ...]:
        """Name what a scalar is filled from, ``${NAME}`` or ``${file:PATH}``; without its default."""
        references = (self._reference(token) for token in _TOKEN.finditer(text))
        return tuple(_name(reference) for reference in references if reference.startswith("${"))

    def _reference(self, token: re.Match[str]) -> str:
        number = int(token[1])
        return self.references[number] if number < len(self.references) else token[0]


def shield(text: str) -> Shielded:
    """Replace every ``${...}`` and ``$$`` of a YAML text by a token."""
    references: list[str] = []

    def token(match: re.Match[str]) -> str:
        references.append(match[0])
        return f"\ue000{len(references) - 1}\ue001"

    return Shielded(_REFERENCE.sub(token, text), tuple(references))


def _value(reference: str, environ: Mapping[str, str], folder: Path) -> str:
    """Look one reference up; LookupError carries the sentence for people."""
    if not reference.endswith("}"):
        raise LookupError("`${` has no closing `}`; write `$$` for a plain dollar sign")
    inner = reference[2:-1]
    if inner.startswith("file:"):
        return _file(folder / inner.removeprefix("file:"))
    match = _VARIABLE.match(inner)
    if match is None:
        raise LookupError("is neither `${NAME}` nor `${file:PATH}`; write `$$` for a plain dollar sign")
    value = environ.get(match["name"])
    if match["default"] is not None:
        return value or match["default"]
    if value is None:
        raise LookupError(f"the environment variable {match['name']} is not set; set it where this is started")
    return value


def _name(reference: str) -> str:
    variable = _VARIABLE.match(reference[2:-1])
    return f"${{{variable['name']}}}" if variable else reference


def _file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode()
    except PermissionError as error:
        said = f"cannot read the file {path}: {error.strerror}"
        raise LookupError(f"{said}; let the user that runs this read it") from error
    except OSError as error:
        raise LookupError(f"cannot read the file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LookupError(f"the file {path} is not UTF-8 text") from error
    if len(data) > MAX_FILE:
        raise LookupError(f"the file {path} is larger than {MAX_FILE} bytes")
    return text.removesuffix("\n").removesuffix("\r")
