"""A door hands connections on, in both directions, and knows whether it leads somewhere."""

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from orchestrator.cli import command, sandbox
from orchestrator.cli.errors import CliError, Code
from orchestrator.sandbox.door import Door


class Capitals(socketserver.StreamRequestHandler):
    """Answers each caller with what it said, once that has ended, in capitals."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


@pytest.fixture
def room() -> Iterator[socketserver.ThreadingTCPServer]:
    """What a door leads to."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Capitals) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def door(room: socketserver.ThreadingTCPServer) -> Iterator[Door]:
    opened = Door(("127.0.0.1", 0), room.server_address)
    opened.start()
    yield opened
    opened.stop()


def ask(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as caller:
        caller.sendall(words)
        caller.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: caller.recv(4096), b""))


def test_what_is_said_arrives_and_so_does_the_answer(door: Door) -> None:
    assert ask(door.port, b"hello" * 100_000) == b"HELLO" * 100_000


def test_callers_do_not_wait_for_each_other(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.port), 10) as silent:
        assert ask(door.port, b"second") == b"SECOND"
        silent.sendall(b"first")
        silent.shutdown(socket.SHUT_WR)
        assert silent.recv(4096) == b"FIRST"


def test_a_caller_of_nobody_is_sent_away(door: Door, room: socketserver.ThreadingTCPServer) -> None:
    room.shutdown()
    room.server_close()

    with socket.create_connection(("127.0.0.1", door.port), 10) as caller:
        assert caller.recv(1) == b""
    assert not door.leads_somewhere()


def test_it_leads_somewhere(door: Door) -> None:
    assert door.leads_somewhere()


def test_a_stopped_door_takes_nobody(room: socketserver.ThreadingTCPServer) -> None:
    opened = Door(("127.0.0.1", 0), room.server_address)
    opened.start()
    port = opened.port
    opened.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)


def test_a_door_to_nowhere_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LOOK", 0.01)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(CliError, match=f"::1:{port} cannot be reached") as caught:
        command().main(args=["sandbox", "door", str(port), "::1"], standalone_mode=False)
    assert caught.value.code is Code.UNREACHABLE
