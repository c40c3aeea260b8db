"""Paths of files on this machine, as keys name them."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, ValidationInfo

from orchestrator.config.types import ValueType

FOLDER = "folder"
"""What the folder of ``pilotage.yaml`` is called in the context of a validation."""


def placed(path: str, info: ValidationInfo) -> str:
    """Let a relative path start at the folder of ``pilotage.yaml``: Git runs in a folder of its own.

    One in somebody's home (``~``) stays as it is written.
    """
    if not path or path.startswith("~") or not info.context:
        return path
    return str((Path(info.context[FOLDER]) / path).absolute())


FilePath = Annotated[
    str, StringConstraints(max_length=4096), AfterValidator(placed), ValueType("path of a file on this machine")
]
