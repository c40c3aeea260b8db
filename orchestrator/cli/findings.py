"""What `pilotage doctor` asks, and what it says of the answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One question to a service. ``ask`` returns a few words if all is well, or raises a `PilotageError` or `Doubt`.

    ``section``: where the configuration has the credentials for it, such as ``argocd``; "" = none are needed.
    ``needs``: sections whose own check must have passed; its failure would only be repeated.
    """

    name: str
    ask: Callable[[], str]
    section: str = ""
    needs: tuple[str, ...] = ()


class Doubt(Exception):
    """What answers well is perhaps not what is meant. :param next_step: what to do then."""

    def __init__(self, said: str, next_step: str) -> None:
        super().__init__(said)
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer to one check.

    ``result``: ``ok``, ``fail``, ``note`` (a doubt) or ``hook`` (what to enter at a forge).
    """

    result: Literal["ok", "fail", "note", "hook"]
    name: str
    detail: str
    next_steps: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Format it for people."""
        mark = "FAIL" if self.result == "fail" else self.result
        yield f"{mark:<4}  {f'{self.name}: ' if self.name else ''}{self.detail}"
        yield from (f"      {step}" for step in self.next_steps)
