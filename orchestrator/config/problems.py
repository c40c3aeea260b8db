"""What is wrong with a configuration, named by key and line so that one look at the file is enough."""

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where a value is in the file: keys and list positions from the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One thing that is wrong (or, as a warning, doubtful) at one place of the file.

    :param path: the key as people write it, ``apps[0].environments[1].values``; "" for the file as a whole.
    :param line: line of the file, counted from 1; 0 when the file could not be read.
    :param message: what is wrong and what would be right; never holds a value of the file that may be secret.
    """

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.line}: {self.path}: {self.message}" if self.path else f"{self.line}: {self.message}"

    def located(self, file: object) -> str:
        """Name the file as well, as compilers do: ``pilotage.yaml:7: apps[0].name: ...``."""
        return f"{file}:{self}" if self.line else f"{file}: {self.message}"


class ConfigInvalid(Exception):
    """The configuration cannot be used; `problems` names everything that is wrong, in the order of the file."""

    def __init__(self, problems: Iterable[ConfigProblem], file: str = "pilotage.yaml") -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__("\n".join(problem.located(file) for problem in self.problems))


def dotted(path: Path) -> str:
    """Write a path as people read it: ``("apps", 0, "name")`` becomes ``apps[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
