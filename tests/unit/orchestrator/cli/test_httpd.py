"""What the HTTP server is told."""

import faulthandler
from types import SimpleNamespace
from typing import cast

import pytest

from orchestrator.cli import httpd
from orchestrator.cli.httpd import Httpd


def test_no_socket_is_opened_in_the_home_folder() -> None:
    """By default all servers of one account share one there, and a home that cannot be written ends the start."""
    assert Httpd(lambda: None, "127.0.0.1:0").cfg.control_socket_disable is True


def test_a_server_that_gets_no_thread_for_its_watch_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[float, bool]] = []

    def none_left(seconds: float, *, exit: bool) -> None:  # noqa: A002  # its name in the library
        calls.append((seconds, exit))
        raise RuntimeError("unable to start watchdog thread")

    monkeypatch.setattr(faulthandler, "dump_traceback_later", none_left)
    worker = SimpleNamespace(_again=0.0, timeout=120)
    for _ in range(3):
        httpd._Alone.notify(cast("httpd._Alone", worker))
    assert set(calls) == {(120, True)}
