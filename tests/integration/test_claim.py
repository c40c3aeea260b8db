"""The claims on a state folder and an address."""

import errno
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from orchestrator.cli import assembly
from orchestrator.cli.assembly import Parts
from orchestrator.cli.broker import Broker
from orchestrator.cli.claim import LOCK, claimed, holder, listen, make_state_folder
from orchestrator.cli.errors import CliError, Code
from tests.support.factories import make_settings


@pytest.mark.parametrize(
    ("bind", "family", "host"),
    [
        ("127.0.0.1:0", socket.AF_INET, "127.0.0.1"),
        ("localhost:0", socket.AF_INET, "127.0.0.1"),
        ("[::1]:0", socket.AF_INET6, "::1"),
    ],
)
def test_an_address_is_taken_as_it_is_written(bind: str, family: socket.AddressFamily, host: str) -> None:
    with listen(bind) as listener:
        assert (listener.family, listener.getsockname()[0]) == (family, host)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def test_an_address_that_cannot_be_taken_is_explained() -> None:
    sentence = r"Cannot answer on 192\.0\.2\.1:8480: it is no address of this machine; correct server\.bind\."
    with pytest.raises(CliError, match=sentence) as refused:
        listen("192.0.2.1:8480")
    assert refused.value.code == Code.USAGE


def test_both_claims_end_with_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.claim._PATIENCE", 0.1)
    with claimed(tmp_path, "127.0.0.1:0") as claims:
        address = "{}:{}".format(*claims.listener.getsockname())
        other = claimed(tmp_path, "127.0.0.1:0")
        with pytest.raises(CliError, match=r"Another `pilotage up` \(process \d+\)"):
            other.__enter__()
    with claimed(tmp_path, address):
        pass


def test_who_holds_a_folder_can_be_read_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int | None] = []

    def looked_at(do: Callable[..., Any]) -> Callable[..., None]:
        def look(*arguments: Any) -> None:
            seen.append(holder(tmp_path))
            do(*arguments)
            seen.append(holder(tmp_path))

        return look

    for call in (os.pwrite, os.ftruncate):
        monkeypatch.setattr(os, call.__name__, looked_at(call))
    with claimed(tmp_path, "127.0.0.1:0"):
        assert set(seen) == {None, os.getpid()}
    (tmp_path / LOCK).write_text("123456789\n")  # of an earlier one
    seen.clear()
    with claimed(tmp_path, "127.0.0.1:0"):
        assert set(seen) == {123456789, os.getpid()}
    assert holder(tmp_path) is None


def test_a_state_folder_that_may_not_be_written_is_named_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere

    make_state_folder(tmp_path, written=False)
    with pytest.raises(CliError, match=r"This user \(uid \d+\) may not write the state folder .*; make the user its"):
        make_state_folder(tmp_path, written=True)


def test_a_state_folder_on_a_read_only_disk_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=os.ST_NODEV | os.ST_RDONLY))

    with pytest.raises(CliError, match="is on a disk that is read-only; have that writable again, or set another"):
        make_state_folder(tmp_path, written=True)


def test_a_state_folder_on_a_full_disk_is_named_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr("os.pwrite", Mock(side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
        sentence = f"The state folder {tmp_path} cannot be written (No space left on device); make room there, or "
        with pytest.raises(CliError, match=re.escape(sentence)):
            claimed(tmp_path, "127.0.0.1:0").__enter__()
    with claimed(tmp_path, "127.0.0.1:0"):
        assert holder(tmp_path) == os.getpid()


@pytest.mark.parametrize("make", [assembly.relay, lambda parts: assembly.worker_app(parts, {"deploy": 1})])
def test_who_keeps_mirrors_does_not_start_without_a_place_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Parts], object]
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    settings = make_settings(str(tmp_path), database="postgresql://pilotage@db.example.com/pilotage")

    with pytest.raises(CliError, match="may not write the state folder"):
        make(Parts(settings, Broker("")))
