"""Which part of a run's log its page shows: the end, or what surrounds a line that was named or found."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from orchestrator.domain.runs import StageName
from orchestrator.services.queries import Excerpt, Queries
from orchestrator.web.page_query import number, texts

TAIL = 200
"""Log lines on the page of a run; with more elements a browser becomes slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What the address of a page asks for.

    :param stage: only its lines; "" = all. :param find: a text that lines hold. :param line: one that is to be seen.
    :param after: where to look for the next line that holds the text. :param listed: all that hold it, one by one.
    """

    stage: str = ""
    find: str = ""
    line: int = 0
    after: int = 0
    listed: bool = False

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Sought":
        """Read the query of an address; what makes no sense counts as not asked for."""
        asked = texts(query, "stage", "find", "list")
        return cls(
            stage=asked["stage"] if asked["stage"] in tuple(StageName) else "",
            find=asked["find"],
            line=number(query, "line") or 0,
            after=number(query, "after") or 0,
            listed=bool(asked["list"]),
        )

    def address(self, *, line: int = 0, listed: bool = False) -> str:
        """Return the address of another part with the same stage and text, as a link within the page."""
        asked = {"stage": self.stage, "find": self.find, "list": "1" if listed else "", "line": line or ""}
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"?{query}#{f'L{line}' if line else 'log'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Lines to show. ``found``: the numbers of all lines of the log that hold the text that is looked for."""

    sought: Sought
    excerpt: Excerpt
    found: tuple[int, ...] = ()

    @property
    def place(self) -> int:
        """Which of those that were found is shown, from 1."""
        return bisect_left(self.found, self.sought.line) + 1

    @property
    def following(self) -> int:
        """The line that was found after the one that is shown; behind the last one comes the first."""
        return self.found[self.place % len(self.found)]

    @property
    def preceding(self) -> int:
        """The line that was found before the one that is shown; before the first one comes the last."""
        return self.found[self.place - 2]


def part_of(queries: Queries, run_id: int, sought: Sought) -> LogPart:
    """Read a part of a log; its ``sought.line`` is where the text that is looked for was found.

    :raises Unavailable: the database does not answer.
    """
    if not sought.find:
        return LogPart(sought=sought, excerpt=_around(queries, run_id, sought))
    found = queries.find(run_id, sought.find, TAIL, stage=sought.stage)
    if sought.listed or not found.numbers:
        listed = Excerpt(lines=found.first, last=0, earlier=False)
        return LogPart(sought=sought, excerpt=listed, found=found.numbers)
    at = bisect_left(found.numbers, sought.after or sought.line)
    there = replace(sought, line=found.numbers[at % len(found.numbers)], after=0)
    return LogPart(sought=there, excerpt=_around(queries, run_id, there), found=found.numbers)


def _around(queries: Queries, run_id: int, sought: Sought) -> Excerpt:
    return queries.excerpt(run_id, TAIL, line=sought.line, stage=sought.stage)
