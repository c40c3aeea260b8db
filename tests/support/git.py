"""Plain Git, as nobody has configured it."""

import os
import subprocess
from pathlib import Path

from orchestrator.sandbox.githttp import GITCONFIG

TIMEOUT = 60
"""Seconds that a command may take on a busy machine."""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run Git in a repository, bare or not, and return what it prints, without the spaces around it."""
    return raw_git(folder, *arguments, stdin=stdin).decode().strip()


def raw_git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run Git in a repository, bare or not, and return what it prints; the error says what Git complains of."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, input=stdin, env=environ(), check=True, capture_output=True, timeout=TIMEOUT)
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr.decode(errors="replace"))
        raise
    return done.stdout


def environ() -> dict[str, str]:
    """Return this process's environment with an author for Git and the stand-ins' configuration of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(GITCONFIG),
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@example.com",
        "LC_ALL": "C",
    }
