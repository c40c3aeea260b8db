"""What a command said."""

from collections.abc import Callable
from dataclasses import dataclass

RUN_URL = "https://pilotage.example.com/runs/42"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Pilotage = Callable[..., Said]
