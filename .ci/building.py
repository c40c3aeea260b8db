"""What the programs here share: whether this is the build server, and an end in order."""

import os
import signal
import sys


def in_ci() -> bool:
    """Tell whether CI is set, and not to a no; ``.ci/run`` sets it. There nothing that is missing may be skipped."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")


def end_in_order() -> None:
    """Leave nothing behind when somebody ends this process, or its terminal hangs up (unless nohup ignores that)."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
