"""Deliveries at the real HTTP server: what has arrived as a whole needs no thread, and is answered as by a thread."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hooks import Case, cases, own_case
from tests.support.servers import serving
from tests.support.waiting import until

SERVE = """
import threading
from concurrent.futures import Future
from orchestrator import journal
from orchestrator.cli.httpd import Httpd
from tests.support.hooks import FakeInbox, make_app

journal.configure("webhooks")
held = threading.Event()

rounds = []

class Inbox(FakeInbox):
    written = 0

    def flush(self):
        if len(self.accepted) > self.written:
            rounds.append(len(self.accepted) - self.written)
            self.written = len(self.accepted)

    def accept(self, delivery, parsed):
        if delivery.key == "broken":
            raise ZeroDivisionError("a bug of ours")
        done = super().accept(delivery, parsed)
        if not delivery.key.startswith("late"):
            return done
        late = Future()
        threading.Timer(1.0, lambda: late.set_result(done.result())).start()
        return late

class App:
    def __init__(self):
        self.hooks = make_app(Inbox())
        self.extensions = self.hooks.extensions

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/rounds":
            body = repr(rounds).encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        if environ["PATH_INFO"] != "/hold":
            return self.hooks(environ, start_response)
        held.wait(60)
        start_response("200 OK", [("Content-Length", "0")])
        return []

Httpd(App, "127.0.0.1:0").run()
"""
UNDER_PATHS = SERVE.replace("make_app(Inbox())", 'make_app(Inbox(), roots=("/ci", "/pilotage"))')
THREADS = 128
STOPPED = 10.0
"""Seconds in which the server must have stopped; its grace for requests at work is 20."""
CASES = cases()
PUSH = own_case("github", "push-branch")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "log"


@pytest.fixture(scope="module")
def port(log: Path) -> Iterator[int]:
    with serving(SERVE, log=log) as (_, port):
        yield port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with serving(SERVE, log=tmp_path / "log") as server:
        yield server


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def post(case: Case = PUSH, body: bytes | None = None, *, root: str = "", **more: str) -> bytes:
    """A delivery as bytes; headers by name, with underscores for dashes."""
    body = case.body if body is None else body
    headers = {"Host": "x", **case.headers(), "Content-Length": str(len(body)), "X-Request-Id": "1"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {root}/webhooks/{case.forge} HTTP/1.1\r\n{lines}\r\n".encode() + body


def read(peer: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Read one answer: its status, its headers but for the date, its body."""
    with peer.makefile("rb", buffering=0) as answer:  # and nothing of the next one
        status = answer.readline().decode().strip()
        lines = iter(lambda: answer.readline().decode().strip(), "")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = answer.read(int(headers["content-length"]))
    headers.pop("date", "")
    return status, headers, body


def ask(port: int, *pieces: bytes) -> tuple[str, dict[str, str], bytes]:
    with connect(port) as peer:
        for piece in pieces:
            peer.sendall(piece)
        return read(peer)


def told(log: Path, request_id: str, last: str) -> list[dict[str, Any]]:
    """Wait for the `last` event of a request in the log, which comes after its answer; return its lines."""

    def look() -> list[dict[str, Any]] | None:
        lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        mine = [line for line in lines if line.get("request_id") == request_id]
        return mine if last in [line["event"] for line in mine] else None

    return until(look, f"{last} of {request_id}", 10)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_with_and_without_a_thread_the_answer_is_the_same(case: Case, port: int) -> None:
    for body in (case.body, case.body + b" "):
        at_once = ask(port, post(case, body))
        assert at_once[0].split()[1] in ("200", "202", "401", "400")
        assert at_once == ask(port, post(case, body, TE="trailers"))


def test_a_delivery_is_answered_while_all_threads_are_held(server: tuple[subprocess.Popen[bytes], int]) -> None:
    _, port = server
    crowd = [connect(port) for _ in range(THREADS)]
    for peer in crowd:
        peer.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    with connect(port) as pieces:
        pieces.sendall(post()[:-100])
        assert ask(port, post())[0] == "HTTP/1.1 202 ACCEPTED"
        pieces.sendall(post()[-100:])
        assert read(pieces)[0] == "HTTP/1.1 202 ACCEPTED"
    for peer in crowd:
        peer.close()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?only=database"])
def test_a_probe_is_answered_although_all_threads_wait(
    server: tuple[subprocess.Popen[bytes], int], path: str
) -> None:
    _, port = server
    crowd = [connect(port) for _ in range(THREADS)]
    for peer in crowd:
        peer.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    probe = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with connect(port) as kept:
        for _ in range(20):
            kept.sendall(probe)
            assert read(kept)[0] == "HTTP/1.1 200 OK"
    assert ask(port, probe.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[1]["connection"] == "close"
    for peer in crowd:
        peer.close()


def test_under_a_path_what_needs_no_thread_needs_none_either(tmp_path: Path) -> None:
    with serving(UNDER_PATHS, log=tmp_path / "log") as (_, port):
        by_a_thread = [ask(port, post(root=root, TE="trailers")) for root in ("", "/ci", "/pilotage")]
        crowd = [connect(port) for _ in range(THREADS)]
        for peer in crowd:
            peer.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        for root in ("", "/ci", "/pilotage"):
            assert ask(port, post(root=root)) in by_a_thread
            assert ask(port, f"GET {root}/readyz HTTP/1.1\r\nHost: x\r\n\r\n".encode())[0] == "HTTP/1.1 200 OK"
        refused = ask(port, post(body=b"{}", root="/pilotage", X_Request_Id="refused"))
        for peer in crowd:
            peer.close()
        line = told(tmp_path / "log", "refused", "request answered")[-1]
    assert {answer[0] for answer in by_a_thread} == {"HTTP/1.1 202 ACCEPTED"}
    assert json.loads(refused[2])["instance"] == "/pilotage/webhooks/github"
    assert line["path"] == "/webhooks/github"


def test_deliveries_that_come_over_new_connections_are_written_down_together(
    server: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = server
    process.send_signal(signal.SIGSTOP)
    crowd = [connect(port) for _ in range(20)]
    for number, peer in enumerate(crowd):
        peer.sendall(post(X_GitHub_Delivery=f"new-{number}"))
    process.send_signal(signal.SIGCONT)
    assert {read(peer)[0] for peer in crowd} == {"HTTP/1.1 202 ACCEPTED"}
    assert ask(port, b"GET /rounds HTTP/1.1\r\nHost: x\r\n\r\n")[2] == b"[20]"
    for peer in crowd:
        peer.close()


def test_more_connections_than_files_can_be_open_wait_and_end_nothing(tmp_path: Path) -> None:
    few = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))\n"
    with serving(few + SERVE, log=tmp_path / "log") as (process, port):
        crowd = [connect(port) for _ in range(100)]
        until(lambda: "New connections wait" in (tmp_path / "log").read_text(), "a line about it", 10)
        for peer in crowd:
            peer.close()
        assert ask(port, post())[0] == "HTTP/1.1 202 ACCEPTED"
        assert process.poll() is None


def test_the_end_of_a_connection_ends_the_wait_for_its_rest(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(post()[:-100])
        peer.shutdown(socket.SHUT_WR)
        status, _, body = read(peer)
    assert (status, json.loads(body)["reason"]) == ("HTTP/1.1 400 BAD REQUEST", "malformed")


def test_requests_that_come_in_one_piece_are_answered_one_after_the_other(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(post(X_GitHub_Delivery="late-1", X_Request_Id="first") + post(X_Request_Id="second"))
        assert [read(peer)[1]["x-request-id"] for _ in range(2)] == ["first", "second"]


def test_a_connection_is_closed_when_its_peer_asks_for_it(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(post(Connection="close"))
        assert read(peer)[1]["connection"] == "close"
        assert peer.recv(1) == b""


def test_a_peer_that_went_away_harms_nobody(port: int) -> None:
    with connect(port) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        peer.sendall(post(X_GitHub_Delivery="late-2"))
    with connect(port) as peer:
        peer.sendall(post(X_GitHub_Delivery="late-3"))
        assert read(peer)[0] == "HTTP/1.1 202 ACCEPTED"


@pytest.mark.parametrize("more", [{}, {"TE": "trailers"}], ids=["at once", "by a thread"])
def test_a_bug_of_ours_is_answered_and_the_server_goes_on(more: dict[str, str], port: int, log: Path) -> None:
    request_id = f"broken-{len(more)}"
    with connect(port) as peer:
        peer.sendall(post(X_GitHub_Delivery="broken", X_Request_Id=request_id, **more))
        status, headers = read(peer)[:2]
    assert (status, headers["content-type"]) == ("HTTP/1.1 500 Internal Server Error", "application/problem+json")
    assert headers["x-request-id"] == request_id
    assert ask(port, post())[0] == "HTTP/1.1 202 ACCEPTED"
    broken = [line["err_msg"] for line in told(log, request_id, "request answered") if "err_msg" in line]
    assert broken == ["a bug of ours"]


def test_a_connection_that_says_nothing_does_not_hold_up_a_stop(server: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = server
    with connect(port), connect(port) as peer:
        peer.sendall(post(Connection="close"))
        read(peer)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPPED) == 0


def test_a_log_that_nobody_reads_stops_nobody(tmp_path: Path) -> None:
    unread = "import os\nunread, full = os.pipe()\nos.dup2(full, 1)\n"
    with serving(unread + SERVE, log=tmp_path / "log") as (_, port), connect(port) as peer:
        for _ in range(300):  # a pipe holds some 200 lines
            peer.sendall(post())
            assert read(peer)[0] == "HTTP/1.1 202 ACCEPTED"
        assert ask(port, post(TE="trailers"))[0] == "HTTP/1.1 202 ACCEPTED"


def test_a_stop_lets_what_is_at_work_be_answered_and_told(
    server: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, port = server
    with connect(port) as peer:
        peer.sendall(post(X_GitHub_Delivery="late-4", X_Request_Id="late"))
        ask(port, post())  # which came later: the one before is at work
        process.send_signal(signal.SIGTERM)
        status, headers, _ = read(peer)
    assert (status, headers["connection"]) == ("HTTP/1.1 202 ACCEPTED", "close")
    assert process.wait(20) == 0
    assert told(tmp_path / "log", "late", "request answered")[0]["delivery"] == "late-4"


def test_the_request_is_one_line_in_the_log(port: int, log: Path) -> None:
    ask(port, post(X_Request_Id="logged"))
    (line,) = told(log, "logged", "request answered")
    assert (line["status"], line["path"], line["remote"]) == (202, "/webhooks/github", "127.0.0.1")
    assert (line["forge"], line["outcome"]) == ("github", "runs")
