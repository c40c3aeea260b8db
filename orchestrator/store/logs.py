"""The log of a run: numbered lines in chunks, written only by the worker that holds the run."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select

from orchestrator.store.schema import logs

MAX_LINES = 2000
"""Lines that one look reads, if nobody says otherwise."""
MAX_CHUNKS = 100
"""Chunks that one look reads."""
MAX_BYTES = 1024 * 1024
"""Bytes of text that one look reads, or one chunk where that is larger: bounds the memory of a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: its number in the run (from 1), its stage, when it was stored (seconds), and its text."""

    n: int
    stage: str
    at: float
    text: str


_of_run = logs.c.run_id == bindparam("of_run")
_LAST_NUMBER = 2**31 - 2
"""The largest number that PostgreSQL can compare with one above it."""
_LAST = select(logs.c.first + logs.c.lines - 1).where(_of_run).order_by(logs.c.first.desc()).limit(1)
_ADD = insert(logs)


def last_line(connection: Connection, run_id: int) -> int:
    """Return the number of the run's last stored line; 0 when there is none."""
    return int(connection.execute(_LAST, {"of_run": run_id}).scalar_one_or_none() or 0)


def append(connection: Connection, run_id: int, stage: str, lines: list[str], at: float) -> int:
    """Append lines; return the number of the last one."""
    first = last_line(connection, run_id) + 1
    data = "\n".join(line.replace("\n", " ") for line in lines).encode("utf-8", "replace")
    row = {"run_id": run_id, "first": first, "lines": len(lines), "stage": stage, "at": at, "text": data}
    connection.execute(_ADD, row)
    return first + len(lines) - 1


def read(
    connection: Connection, run_id: int, *, after: int = 0, stage: str = "", limit: int = MAX_LINES
) -> list[Line]:
    """Read up to `limit` lines with numbers above `after`; only an empty answer means that there are no more."""
    of_run, after = logs.c.run_id == run_id, min(after, _LAST_NUMBER)
    # The chunk to begin with is found by the index; readers that follow a long log ask several times a second.
    begin = select(func.max(logs.c.first)).where(of_run, logs.c.first <= after + 1).scalar_subquery()
    wanted = [of_run, logs.c.first >= func.coalesce(begin, 0), logs.c.first + logs.c.lines - 1 > after]
    if stage:
        wanted.append(logs.c.stage == stage)
    chunks = _chunks(connection, wanted, limit)
    if not chunks:
        return []
    rows = connection.execute(select(logs).where(of_run, logs.c.first.in_(chunks)).order_by(logs.c.first)).mappings()
    return [line for row in rows for line in _lines(row) if line.n > after][:limit]


def before_last(connection: Connection, run_id: int, count: int, stage: str = "") -> int:
    """Return the number of the line before the last `count` lines of a run, or of one of its stages."""
    wanted = [logs.c.run_id == run_id, *([logs.c.stage == stage] if stage else [])]
    sizes = select(logs.c.first, logs.c.lines).where(*wanted).order_by(logs.c.first.desc()).limit(count)
    before, left = 0, count
    for first, lines in connection.execute(sizes):
        before, left = int(first) - 1, left - int(lines)
        if left <= 0:
            break
    return before + max(0, -left)


def _chunks(connection: Connection, wanted: list[ColumnElement[bool]], limit: int) -> list[int]:
    """Choose, without reading their text, chunks with up to `limit` lines or `MAX_BYTES` together; at least one."""
    sizes = select(logs.c.first, logs.c.lines, func.length(logs.c.text)).where(*wanted)
    chosen: list[int] = []
    lines = size = 0
    for first, count_, length in connection.execute(sizes.order_by(logs.c.first).limit(MAX_CHUNKS)):
        if chosen and (lines >= limit or size + length > MAX_BYTES):
            break
        chosen.append(first)
        lines, size = lines + count_, size + length
    return chosen


def count(connection: Connection, run_id: int, stage: str) -> int:
    """Count the stored lines of a stage."""
    where = (logs.c.run_id == run_id) & (logs.c.stage == stage)
    return int(connection.execute(select(func.coalesce(func.sum(logs.c.lines), 0)).where(where)).scalar_one())


def _lines(row) -> Iterator[Line]:  # type: ignore[no-untyped-def]
    for offset, text in enumerate(bytes(row["text"]).decode("utf-8").split("\n")):
        yield Line(n=row["first"] + offset, stage=row["stage"], at=row["at"], text=text)
