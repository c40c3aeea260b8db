"""The supervisor, and signals that come at the worst moment."""

import subprocess
import sys

import pytest

IN_THE_WAIT = """
import os, signal, sys
from orchestrator.cli.supervise import Supervisor
looks = []
def tend():
    looks.append(None)
    if len(looks) == 3:
        os.kill(os.getpid(), signal.NUMBER)
def trace(frame, event, argument):
    if frame.f_code.co_qualname == "Condition.wait":
        os.kill(os.getpid(), signal.NUMBER)
sys.settrace(trace)
Supervisor({}, tend).run()
"""
"""Is told to stop while it holds the lock of whatever it waits for, if there is one, and else a little later."""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_counts_in_the_midst_of_a_wait(name: str) -> None:
    run(IN_THE_WAIT.replace("NUMBER", name))


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
