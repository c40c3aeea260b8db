"""How the demo ends when it is told to, and the command that it names."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import demo
from orchestrator.cli.errors import Code
from orchestrator.sandbox import platform


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_also_where_a_shell_had_it_ignored(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signal.signal(number, signal.SIG_IGN)
    monkeypatch.setattr(platform, "Platform", lambda *_, **__: os.kill(os.getpid(), number))

    assert demo.run(stay=True) == Code.DETACHED
    assert capsys.readouterr().out.endswith("Stopped.\n")


def test_the_command_is_named_so_that_a_shell_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["my tools/pilotage", "demo"])
    assert (demo.called(), demo.typed()) == ("pilotage", "'my tools/pilotage'")
    monkeypatch.setattr(sys, "argv", ["/somewhere/orchestrator/cli/__main__.py", "demo"])
    assert demo.called() == demo.typed() == f"{shlex.quote(sys.executable)} -m orchestrator.cli"


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_is_impatient_does_not_break_off_the_tidying_up(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = []

    def remove(folder: Path, **_: object) -> None:
        os.kill(os.getpid(), number)
        removed.append(folder)

    monkeypatch.setattr(platform, "Platform", lambda *_, **__: os.kill(os.getpid(), number))
    monkeypatch.setattr(demo.shutil, "rmtree", remove)

    assert demo.run(stay=False) == Code.DETACHED
    assert len(removed) == 1
    removed[0].rmdir()
