"""What a test needs of the machine. Where CI runs, a part that is missing fails the test; elsewhere it skips it."""

import os
import shutil

import pytest


def in_ci() -> bool:
    """Tell whether CI is set, and not to a no; `.ci/run` sets it."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")


def require(there: object, missing: str) -> None:
    """Go on when the part is there. :param missing: what is to be said when it is not."""
    if not there:
        (pytest.fail if in_ci() else pytest.skip)(missing)


def require_program(name: str, package: str = "") -> None:
    """Go on when a program is installed. :param package: Debian's name of its package, if it is another."""
    require(shutil.which(name), f"no {name} (package {package or name})")
