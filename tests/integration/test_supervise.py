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

IN_A_RENEWAL = """
import os, signal, time
from orchestrator.cli.supervise import Supervisor
def renew():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
supervisor = Supervisor({}, renew=renew)
supervisor.hangups.asked = True
supervisor.run()
"""
"""Is told to stop while a renewal waits for a database."""

AFTER_THE_END = """
import os
from orchestrator.cli.supervise import die_with_parent
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent:
        os.sched_yield()
    die_with_parent(parent)
    os.write(2, b"it went on")
os._exit(0)
"""
"""A child whose parent is killed before it has asked the kernel to end with it."""

IN_THE_FORK = """
import os, signal
from orchestrator.cli import supervise
supervise._name_process = lambda _: os.kill(os.getpid(), signal.SIGTERM)
supervisor = supervise.Supervisor({"web": lambda: os.write(2, b"it went on")}, lambda: supervisor.hangups.when_gone())
supervisor.run()
"""
"""A child is told to stop before it has made its own arrangements."""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_counts_in_the_midst_of_a_wait(name: str) -> None:
    run(IN_THE_WAIT.replace("NUMBER", name))


def test_a_stop_counts_for_a_child_that_has_just_begun() -> None:
    run(IN_THE_FORK)


def test_a_stop_does_not_wait_for_a_renewal() -> None:
    run(IN_A_RENEWAL)


def test_a_child_ends_whose_parent_ended_first() -> None:
    run(AFTER_THE_END)


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
