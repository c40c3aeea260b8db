"""Run a command with a Docker engine: the one that answers, or one of our own that is stopped afterwards.

Usage: with_engine.py COMMAND [ARGUMENT]...
"""

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from building import end_in_order, in_ci, run

from orchestrator.domain.errors import PilotageError
from orchestrator.sandbox.engine import ensure_engine


def main(command: list[str]) -> int:
    """Run the command and return its exit code; without any engine only where tests may skip: not in CI."""
    end_in_order()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="plt-", ignore_cleanup_errors=True))
        environ = dict(os.environ)
        try:
            environ["DOCKER_HOST"] = stack.enter_context(ensure_engine(Path(folder)))
        except PilotageError as error:
            if in_ci():
                sys.stderr.write(f"no Docker engine, and this is CI, where nothing may be skipped: {error}\n")
                return 1
            sys.stderr.write(f"no Docker engine, tests that need one are skipped: {error}\n")
        return run(command, environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
