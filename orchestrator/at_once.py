"""Requests that are answered without a thread of their own: what server and application promise each other.

A thread for each request that waits for the database costs more than the request, as soon as there are fifty: they
take the interpreter from each other. So one thread judges what has arrived as a whole, one after the other, and words
each answer when what belongs to it is written down.
"""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

AT_ONCE = "pilotage.at_once"
"""Where a Flask application keeps its `AtOnce`, among its extensions."""


class Reply(Protocol):
    """An answer, as werkzeug's."""

    @property
    def status(self) -> str:
        """Code and phrase."""
        ...

    @property
    def status_code(self) -> int:
        """The code alone."""
        ...

    @property
    def headers(self) -> Any:
        """Pairs of name and value, as its ``items()``."""
        ...

    def get_data(self) -> bytes:
        """Return the body."""
        ...


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that has been judged.

    ``written``: what is to be done before it can be answered. ``word``: makes the answer; it waits where that is not
    done yet.
    """

    written: Future[Any]
    word: Callable[[], Reply]


class AtOnce(Protocol):
    """An application's part for requests whose judging waits for nobody, once their body is there."""

    @property
    def paths(self) -> Collection[str]:
        """The paths that it answers, to the letter."""
        ...

    def begin(self, environ: dict[str, Any]) -> Pending:
        """Judge a WSGI request."""
        ...

    def flush(self) -> None:
        """Do what is to be done before the requests that were judged so far can be answered."""
        ...


def nothing_to_write() -> Future[Any]:
    """Return what is done already."""
    done: Future[Any] = Future()
    done.set_result(None)
    return done
