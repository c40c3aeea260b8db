"""What commands print: plain lines and tables that a pipe can read, nothing that could move the cursor."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from orchestrator.cli.errors import CliError, Code, system_words
from orchestrator.domain.ansi import visible

_WIDE = frozenset("WF")
_LEAST = 20
"""Columns of the last column on a terminal that has no room for it; it wraps there."""


class Format(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


def say(line: str = "") -> None:
    """Print one line to standard output at once; a reader that went away ends the command quietly."""
    _print(line, sys.stdout)


def warn(line: str) -> None:
    """Print one line to standard error."""
    _print(line, sys.stderr)


def say_json(value: Any) -> None:
    """Print a JSON document; nothing else is printed to standard output with it."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def _print(line: str, stream: Any) -> None:
    try:
        print(line, file=stream, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what is left in the buffer fails no second time
        if isinstance(error, BrokenPipeError):
            raise SystemExit(Code.BROKEN_PIPE) from None
        raise CliError(f"The answer cannot be written ({system_words(error)}).", Code.FAILED) from error


def clean(text: object) -> str:
    """Take escape sequences and control characters out of a text that others wrote; tabs and newlines stay."""
    return visible("" if text is None else str(text))


def one_line(text: object, limit: int = 0) -> str:
    """Make a text one line without control characters, cut to `limit` columns when that is not 0."""
    line = " ".join(clean(text).split())
    if not limit or width(line) <= limit:
        return line
    while width(line) > limit - 1:
        line = line[:-1]
    return f"{line}…"


def width(text: str) -> int:
    """Count the columns that a text takes in a terminal (Korean letters take two)."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in _WIDE else 1 for sign in text
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay rows out under a head; on a terminal the last column is cut where the screen ends, and nowhere else."""
    cells = [list(head), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(width(row[number]) for row in cells) for number in range(len(head))]
    room = _columns() - sum(widths[:-1]) - 2 * (len(head) - 1)
    if _columns():
        cells = [[*row[:-1], one_line(row[-1], max(room, _LEAST))] for row in cells]
        widths[-1] = max(width(row[-1]) for row in cells)
    return [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def tell(head: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Print a table; where it would have no row, say so on standard error instead of printing a bare head."""
    if not rows:
        warn(nothing)
        return
    for line in table(head, rows):
        say(line)


def count(number: int, what: str) -> str:
    """Write a number of things: ``1 run``, ``2 runs``."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def _columns() -> int:
    """Return the width of the terminal that standard output is; 0 when it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def instant(text: object) -> datetime | None:
    """Read a time of the API (RFC 3339); None when there is none."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None


def stamp(when: datetime) -> str:
    """Write a time in UTC with seconds: ``2026-11-24T03:11:02Z``."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
