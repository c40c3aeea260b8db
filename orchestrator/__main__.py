"""Where ``pilotage`` begins: a probe that finds a heartbeat is answered at once, all else is the command line's.

Probes run every few seconds in every pod; loading the command line for each would cost a third of a second of CPU.
"""

import sys
from collections.abc import Sequence

from orchestrator import heartbeat


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``pilotage`` and exit. :param arguments: without the program's name; None: those of this process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["alive"] and heartbeat.found(given[1:]):
        sys.exit(0)
    from orchestrator.cli import main as command_line

    command_line(given)


if __name__ == "__main__":
    main()
