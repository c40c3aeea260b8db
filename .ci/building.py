"""What the programs here share: whether this is the build server, and an end in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence


def in_ci() -> bool:
    """Tell whether CI is set, and not to a no; ``.ci/run`` sets it. There nothing that is missing may be skipped."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")


def end_in_order() -> None:
    """Leave nothing behind when somebody ends this process, or its terminal hangs up (unless nohup ignores that)."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if _is_heard(number):
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run a command and return its exit code; 128 and more where a signal has ended it.

    Who ends this process ends the command, and we wait for its end: it may have to clear up, and so may we
    (`subprocess.run` kills it after a quarter of a second). A terminal tells all its programs of Ctrl-C by itself.
    """
    heard = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _is_heard(number)]
    child = subprocess.Popen(command, env=environ)
    before = {number: signal.signal(number, lambda number, _: _pass_on(child, number)) for number in heard}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _is_heard(number: int) -> bool:
    return signal.getsignal(number) is not signal.SIG_IGN


def _pass_on(child: "subprocess.Popen[bytes]", number: int) -> None:
    if number != signal.SIGINT:
        child.send_signal(number)
