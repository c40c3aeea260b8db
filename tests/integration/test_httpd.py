"""The web under the real HTTP server: log streams arrive at once, and a stop does not wait for them."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import pytest
import requests

from orchestrator.domain.runs import RunState
from orchestrator.web.answers import ProblemView
from orchestrator.web.streams import HEARTBEAT
from tests.support.databases import sqlite_database
from tests.support.servers import serving
from tests.support.waiting import until
from tests.support.web import Web, make_web

SERVE = """
import signal
import sys
from pathlib import Path
from orchestrator import journal
from orchestrator.cli.httpd import Httpd
from orchestrator.store.database import Database
from tests.support.web import make_web

journal.configure("web")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it runs in the background ignore it
folder = Path(sys.argv[1])
Httpd(lambda: make_web(Database(sys.argv[2]), folder).app, "127.0.0.1:0").run()
"""
ONE_STREAM = f"""
from orchestrator.web import streams
from tests.support import web

streams.RECHECK = 0.1
web.Streams = lambda: streams.Streams(limit=1)
{SERVE}
"""
HANG = """
import ctypes
import os
import signal
import socket
import sys
import time
from orchestrator.at_once import AT_ONCE
from orchestrator.cli.httpd import Httpd

class App:
    paths = ("/hang",)

    def __init__(self):
        self.extensions = {AT_ONCE: self}

    def begin(self, environ):
        time.sleep(600)

    def flush(self):
        pass

listener = socket.create_server(("127.0.0.1", 0))
if sys.argv[1] == "first":
    NEW_USERS, NEW_PROCESSES, PARENT_DIED = 0x10000000, 0x20000000, 1
    libc = ctypes.CDLL(None)
    libc.unshare(NEW_PROCESSES if os.getuid() == 0 else NEW_PROCESSES | NEW_USERS)
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    libc.prctl(PARENT_DIED, signal.SIGKILL)
server = Httpd(App, f"fd://{listener.detach()}")
server.cfg.set("timeout", 2)
server.run()
"""
FEW_THREADS = """
import threading
from orchestrator.cli.httpd import Httpd

start, most = threading.Thread.start, threading.active_count() + 3

def start_one(thread):
    if threading.active_count() >= most:
        raise RuntimeError("can't start new thread")
    start(thread)

threading.Thread.start = start_one
def app(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        held.wait(60)
    if environ["PATH_INFO"] == "/healthz":
        held.set()
    start_response("200 OK", [("Content-Length", "0")])
    return []

held = threading.Event()
Httpd(lambda: app, "127.0.0.1:0").run()
"""
"""A system that has three more threads, and one of them is a probe's."""
HANGS_EARLY = """
import threading
from orchestrator.cli.httpd import Httpd

def make():
    threading.Event().wait()

server = Httpd(make, "127.0.0.1:0")
server.cfg.set("timeout", 4)
server.run()
"""
STUCK = """
import threading
from orchestrator.cli import httpd

def app(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    threading.Event().wait()

httpd.LEAVE = 0.5
server = httpd.Httpd(lambda: app, "127.0.0.1:0")
server.cfg.set("graceful_timeout", 1)
server.run()
"""
ECHO = """
import json
from orchestrator.cli.httpd import Httpd

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    names = ("SCRIPT_NAME", "PATH_INFO", "wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_FOR")
    return [json.dumps([environ.get(name) for name in names]).encode()]

Httpd(lambda: app, "127.0.0.1:0").run()
"""
STARTED = """
import os, signal, socket
from orchestrator.cli.httpd import Httpd

def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]

listener = socket.create_server(("127.0.0.1", 0))
if os.fork():
    signal.pause()
Httpd(lambda: app, f"fd://{listener.detach()}").run()
"""
STOPPED = 10.0
"""Seconds in which the server must have stopped; its grace for requests at work is 20."""


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, int, Path]]:
    """A server that nobody stops: its web, the port it listens on, and its log."""
    folder = tmp_path_factory.mktemp("site")
    web, log = make_web(sqlite_database(folder), folder), folder / "log"
    with serving(SERVE, str(folder), web.database.url, log=log) as (_, port):
        yield web, port, log


@pytest.fixture
def server(web: Web, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server's process and the port it listens on."""
    with serving(SERVE, str(tmp_path), web.database.url, log=tmp_path / "log") as server:
        yield server


def test_a_header_does_not_move_the_path_and_what_a_proxy_says_is_still_heard(tmp_path: Path) -> None:
    headers = {"SCRIPT_NAME": "/webhooks", "PATH_INFO": "/metrics", "X_FORWARDED_FOR": "192.0.2.9"}
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    with serving(ECHO, log=tmp_path / "log") as (_, port):
        told = requests.get(f"http://127.0.0.1:{port}/webhooks/metrics", headers=headers | forwarded, timeout=20)
    assert told.json() == ["", "/webhooks/metrics", "https", "https", "192.0.2.1"]


def test_a_variable_of_whoever_starts_it_does_not_move_the_path(tmp_path: Path) -> None:
    with serving(f"import os\nos.environ['SCRIPT_NAME'] = '/stray'\n{ECHO}", log=tmp_path / "log") as (_, port):
        told = [requests.get(f"http://127.0.0.1:{port}{path}", timeout=20) for path in ("/runs", "/stray/runs")]
    assert [one.status_code for one in told] == [200, 200]
    assert [one.json()[:2] for one in told] == [["", "/runs"], ["", "/stray/runs"]]


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        ("hello", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: x\r\nNo Name: 1", 400, "bad-request"),
        (f"GET /{'x' * 9000} HTTP/1.1\r\nHost: x", 414, "uri-too-long"),
        (f"GET / HTTP/1.1\r\nHost: x\r\nCookie: {'x' * 9000}", 431, "request-header-fields-too-large"),
    ],
    ids=["no request", "no header", "long address", "long header"],
)
def test_what_reaches_no_application_is_answered_with_a_problem_too(
    site: tuple[Web, int, Path], sent: str, status: int, kind: str
) -> None:
    _, port, log = site
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(f"{sent}\r\n\r\n".encode())
        answer = HTTPResponse(peer)
        answer.begin()
        body = json.loads(answer.read())
    ProblemView.model_validate(body)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (body["status"], body["type"]) == (status, f"urn:pilotage:problem:{kind}")
    assert body["request_id"] == answer.headers["X-Request-Id"]
    until(lambda: f'"request_id":"{body["request_id"]}"' in log.read_text(), "a line of the log about it", 20)


@pytest.mark.parametrize(
    ("path", "media_type"), [("/login", "x-www-form-urlencoded"), ("/api/v1/runs", "json")], ids=["page", "call"]
)
@pytest.mark.parametrize(
    "chunks",
    ["-2\r\n", "\r\n{}\r\n", "2\r\n{}XX0\r\n\r\n", "2\r\n{}\r\n0\r\nNo Name: 1\r\n\r\n"],
    ids=["a size", "no size", "an end", "a trailer"],
)
def test_chunks_that_are_not_as_http_says_are_no_mistake_of_ours(
    site: tuple[Web, int, Path], path: str, media_type: str, chunks: str
) -> None:
    web, port, _ = site
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nAuthorization: Bearer {web.tokens['deployer']}\r\n"
        f"Content-Type: application/{media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(f"{head}{chunks}".encode())
        answer = HTTPResponse(peer)
        answer.begin()
        body = ProblemView.model_validate(json.loads(answer.read()))
    assert (answer.status, body.detail) == (400, "The body did not come as a whole; send the request again.")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_is_live_and_does_not_delay_a_stop(
    how: signal.Signals, web: Web, server: tuple[subprocess.Popen[bytes], int]
) -> None:
    process, port = server
    run = web.run(RunState.RUNNING)
    web.log(run, "one")
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {web.tokens['viewer']}"}
    url = f"http://127.0.0.1:{port}/api/v1/runs/{run}/logs"
    with requests.get(url, headers=headers, stream=True, timeout=20) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(line for line in lines if line.startswith(b"id:")) == b"id: 1"
        web.log(run, "two")
        stored = time.monotonic()
        assert next(line for line in lines if line.startswith(b"id:")) == b"id: 2"
        assert time.monotonic() - stored < HEARTBEAT
        process.send_signal(how)
        asked = time.monotonic()
        rest = list(lines)
    assert process.wait(STOPPED) == 0
    assert time.monotonic() - asked < STOPPED
    assert b"event: end" not in rest  # the reader comes back


def test_who_has_gone_follows_no_log_any_more(web: Web, tmp_path: Path) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, "one")
    headers = {"Accept": "text/plain", "Authorization": f"Bearer {web.tokens['viewer']}"}
    with serving(ONE_STREAM, str(tmp_path), web.database.url, log=tmp_path / "log") as (_, port):
        url = f"http://127.0.0.1:{port}/api/v1/runs/{run}/logs?follow=1"

        def status() -> int:
            with requests.get(url, headers=headers, stream=True, timeout=20) as answer:
                return answer.status_code

        with requests.get(url, headers=headers, stream=True, timeout=20) as answer:
            assert any(b"one" in line for line in answer.iter_lines(chunk_size=1))
            assert status() == 503
        until(lambda: status() == 200, "a place for somebody else")


def test_it_goes_on_when_whoever_started_it_has_ended(tmp_path: Path) -> None:
    with serving(STARTED, log=tmp_path / "log") as (starter, port):
        pid = int(requests.get(f"http://127.0.0.1:{port}/", timeout=20).text)
        starter.kill()
        starter.wait(20)
        told = [requests.get(f"http://127.0.0.1:{port}/", timeout=20).text for _ in range(3)]
        os.kill(pid, signal.SIGTERM)
    assert told == [str(pid)] * 3


@pytest.mark.parametrize("who", ["any", "first"])
def test_one_that_hangs_says_where_and_ends(who: str, tmp_path: Path) -> None:
    """Also as the first process of a container, which signals do not end that it does not handle."""
    with serving(HANG, who, log=tmp_path / "log") as (process, port):
        with pytest.raises(requests.ConnectionError):
            requests.post(f"http://127.0.0.1:{port}/hang", data=b"x", timeout=60)
        assert process.wait(60) == 1
    assert re.search(r'File "<string>", line \d+ in begin', (tmp_path / "log").read_text())


def test_one_that_hangs_before_it_serves_says_where_and_ends(tmp_path: Path) -> None:
    with serving(HANGS_EARLY, log=tmp_path / "log") as (process, _):
        assert process.wait(60) == 1
    assert re.search(r'File "<string>", line \d+ in make', (tmp_path / "log").read_text())


def test_a_request_that_does_not_end_keeps_no_process_after_the_grace(tmp_path: Path) -> None:
    with (
        serving(STUCK, log=tmp_path / "log") as (process, port),
        requests.get(f"http://127.0.0.1:{port}/", stream=True, timeout=20) as answer,
    ):
        assert next(answer.iter_content(5)) == b"begun"
        process.terminate()
        assert process.wait(60) == 1
    assert re.search(r'File "<string>", line \d+ in app', (tmp_path / "log").read_text())


def test_where_no_more_threads_are_to_be_had_requests_wait_for_those_that_are_there(tmp_path: Path) -> None:
    with ExitStack() as open_, serving(FEW_THREADS, log=tmp_path / "log") as (server, port):
        asking = [open_.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(6)]
        for peer in asking:
            peer.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=20).ok
        assert [peer.recv(15) for peer in asking] == [b"HTTP/1.1 200 OK"] * 6
        assert server.poll() is None
        server.terminate()
        assert server.wait(20) == 0
