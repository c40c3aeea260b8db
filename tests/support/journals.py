"""What the code under test logs: kept for the test, and held against the table of fields."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from orchestrator import journal
from orchestrator.log_fields import FIELDS, faults

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "workers", "webhooks")
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_BINDERS = frozenset({"bind", "about", "bind_only"})
_OURS = frozenset({"exc_info", "stack_info"})
"""What the log takes beside fields."""


@dataclass
class Logged:
    """The lines of one test. ``faults``: what is wrong with them."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, _logger: Any, _name: str, event: Any) -> Any:
        """Be a structlog processor: keep a line, and hand it to the standard library as a text."""
        line = {key: value for key, value in event.items() if key not in _OURS and value is not None}
        self.lines.append(line)
        self.faults += [f"{event['event']!r}: {fault}" for fault in faults(line)]
        error = event.get("exc_info")
        return (" ".join(f"{key}={value}" for key, value in line.items()).replace("%", "%%"),), {"exc_info": error}

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of an event."""
        return [line for line in self.lines if line["event"] == event]

    def clear(self) -> None:
        """Begin anew."""
        self.lines.clear()
        self.faults.clear()


logged = Logged()
"""There is one log, as there is in the product."""


def install() -> None:
    """Send the log of this test process through `logged`."""
    structlog.configure(
        processors=[journal.with_bound, structlog.stdlib.add_log_level, logged.take],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def bad_lines(lines: list[Mapping[str, Any]]) -> list[str]:
    """Say what is wrong with whole lines of a process: missing fields, unknown ones, values of another type."""
    always = {name for name, known in FIELDS.items() if known.always}
    found = [f"{line}: has no {', '.join(sorted(missing))}" for line in lines if (missing := always - line.keys())]
    return found + [f"{line}: {fault}" for line in lines for fault in faults(dict(line))]


@dataclass(frozen=True)
class LogCall:
    """A call that logs, or that gives fields to later ones, somewhere in the source."""

    place: str
    name: str
    node: ast.Call

    @property
    def says(self) -> str | None:
        """The event's text; None when it is not written down as it is."""
        first = self.node.args[0] if self.node.args else None
        return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None

    @property
    def fields(self) -> list[str | None]:
        """The names of the fields; None stands for ``**something``."""
        return [keyword.arg for keyword in self.node.keywords if keyword.arg not in _OURS]


def log_calls() -> Iterator[LogCall]:
    """Find every call of a log method, and of what binds fields, in the packages."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _logs(node.func):
                    place = f"{file.relative_to(ROOT)}:{node.lineno}"
                    yield LogCall(place, node.func.attr, node)


def _logs(function: ast.Attribute) -> bool:
    """Tell whether this is a method of something that is called a log (or of a log that was given fields)."""
    if function.attr in _BINDERS:
        return True
    return function.attr in LEVELS and isinstance(function.value, ast.Name) and "log" in function.value.id.lower()
