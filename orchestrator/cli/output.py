"""What commands print: plain lines and tables that a pipe can read, nothing that could move the cursor."""

import contextlib
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
from orchestrator.domain.ansi import inert, visible

_STDOUT, _STDERR = 1, 2
_WIDE = frozenset("WF")
_LEAST = 20
"""Columns that a text needs to be read well."""
_INDENT = 4
"""Columns before what stands below its row."""


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


def mention(line: str) -> None:
    """Print one line to standard error for whoever is there; what goes on afterwards needs nobody who reads it.

    Past the stream's buffer: what a full disk has not taken would fail there again, when all streams are emptied.
    """
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"{line}\n".encode("utf-8", "replace"))


def as_json(value: Any, indent: int | None = None) -> str:
    """Write a value as JSON that moves no cursor."""
    return inert(json.dumps(value, ensure_ascii=False, indent=indent))


def say_json(value: Any) -> None:
    """Print a JSON document; nothing else is printed to standard output with it."""
    say(as_json(value, indent=2))


def _print(line: str, stream: Any) -> None:
    """Print a line. It may have words of anybody in it: here is the one place through which all of them come."""
    try:
        print(clean(line), file=stream, flush=True)
    except OSError as error:
        silence(stream)
        if isinstance(error, BrokenPipeError):
            raise SystemExit(Code.BROKEN_PIPE) from None
        raise CliError(f"The answer cannot be written ({system_words(error)}).", Code.FAILED) from error


def have_streams() -> None:
    """Lead the standard streams to nowhere that this process was started without.

    Else a file that is opened later, such as the database, takes a stream's number, and gets what is written to that.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(_STDOUT, "w", closefd=False)  # noqa: SIM115  # for as long as the process
    sys.stderr = sys.stderr or open(_STDERR, "w", closefd=False)  # noqa: SIM115


def silence(stream: Any) -> None:
    """Let what is left in the buffer of a stream fail no second time, at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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


def wrapped(text: str, room: int) -> list[str]:
    """Break a line into lines of up to `room` columns, between words where that is possible."""
    lines = [""]
    for word in text.split():
        if lines[-1] and width(f"{lines[-1]} {word}") > room:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
        while width(lines[-1]) > room:
            size = next(size for size in range(len(lines[-1]), 0, -1) if size == 1 or width(lines[-1][:size]) <= room)
            lines[-1:] = [lines[-1][:size], lines[-1][size:]]
    return lines


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Format rows under a header.

    On a terminal the last column is broken under itself. Where it has no room it gets lines of its own below its row,
    and where the other columns have none either, each row becomes a block of lines.
    """
    cells = [list(head), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(width(row[number]) for row in cells) for number in range(len(head))]
    before, screen = sum(widths[:-1]) + 2 * (len(head) - 1), _columns()
    if not screen or before + widths[-1] <= screen:
        return [_laid_out(row, widths) for row in cells]
    if before + _LEAST <= screen:
        return [line for row in cells for line in _broken(row, widths, screen - before)]
    if before - 2 <= screen:
        return [line for row in cells for line in _below(row, widths, screen)]
    return [line for row in cells[1:] for line in _block(cells[0], row, screen)]


def _laid_out(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)).rstrip()


def _broken(row: Sequence[str], widths: Sequence[int], room: int) -> list[str]:
    first, *rest = wrapped(row[-1], room)
    indent = [""] * (len(row) - 1)
    sizes = [*widths[:-1], room]
    return [_laid_out([*row[:-1], first], sizes), *(_laid_out([*indent, line], sizes) for line in rest)]


def _below(row: Sequence[str], widths: Sequence[int], screen: int) -> list[str]:
    lines = wrapped(row[-1], screen - _INDENT) if row[-1] else []
    return [_laid_out(row[:-1], widths[:-1]), *(" " * _INDENT + line for line in lines)]


def _block(head: Sequence[str], row: Sequence[str], screen: int) -> list[str]:
    """Write a row as one line per cell that is not empty, and an empty line."""
    size = max(width(name) for name in head)
    room = max(screen - size - 2, _LEAST)
    given = [(name, cell) for name, cell in zip(head, row, strict=True) if cell]
    return [*(line for pair in given for line in _broken(pair, [size, room], room)), ""]


def tell(head: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Print a table; where it would have no row, say so on standard error instead of printing a header alone."""
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
