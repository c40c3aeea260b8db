"""Whatever a process says, it says in lines of the table: each scenario is a process of its own."""

import json
import os
import re
import select
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest

from tests.support.journals import ROOT, bad_lines

BEGIN = """
import logging, sys, threading, warnings
from orchestrator import journal

journal.configure("web", lambda text: text.replace("s3cret", "***"), LEVEL)
log = journal.get("workers.shell")
"""


def said(script: str, level: str = "info") -> list[dict[str, Any]]:
    """Run a script after the set-up of the log; return its lines. All it writes must be lines."""
    source = f"LEVEL = {level!r}\n{BEGIN}\n{script}"
    ended = subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert bad_lines(lines) == []
    return lines


def test_a_line_has_the_fields_of_its_call_and_of_what_is_around_it() -> None:
    (line,) = said(
        "with journal.about(run=7, app='plate-web'): log.info('stage looked at', outcome='done', status=None)"
    )

    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "service": "web",
        "logger": "workers.shell",
        "event": "stage looked at",
        "run": 7,
        "app": "plate-web",
        "outcome": "done",
    }


def test_no_sign_in_a_line_ends_it_or_moves_the_cursor_of_a_terminal() -> None:
    """`said` takes each end of a line that any reader knows for one."""
    hostile = "a\nb\u2028c\x85d\x9b31m\u202e\x1b[2J"
    (line,) = said(f"log.info('stage looked at', detail={hostile!r})")

    assert line["detail"] == hostile


ENDS = {
    "an exception that is logged": "try: 1 / 0\nexcept ZeroDivisionError: log.exception('duty broke')",
    "an exception that is handed on": "log.error('duty broke', exc_info=ZeroDivisionError('division by zero'))",
    "a library's": "try: 1 / 0\nexcept ZeroDivisionError: logging.getLogger('celery').exception('x')",
    "of the process": "1 / 0",
    "of a thread": "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()",
    "of a destructor": "class A:\n  def __del__(self): 1 / 0\na = A()\ndel a",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_traceback_is_one_field_wherever_it_comes_from(name: str) -> None:
    (line,) = said(ENDS[name])

    assert (line["err_type"], line["err_msg"]) == ("ZeroDivisionError", "division by zero")
    assert line["err_stack"].endswith("ZeroDivisionError: division by zero\n")


def test_what_libraries_say_is_in_the_same_form() -> None:
    lines = said(
        """
logging.getLogger("celery.worker").warning("lost %s", "redis")
logging.getLogger("kombu").error("%d", "no number")
warnings.warn("old")
"""
    )

    assert [line["logger"] for line in lines] == ["celery.worker", "kombu", "py.warnings"]
    assert {line["event"] for line in lines} == {"library message"}
    assert [line["detail"].splitlines()[0] for line in lines] == [
        "lost redis", "%d ('no number',)", "<string>:12: UserWarning: old"
    ]  # fmt: skip


def test_secrets_are_masked_wherever_they_stand() -> None:
    lines = said(
        """
log.info("duty failed", detail="token s3cret")
log.info("duty failed", detail=ValueError("token s3cret"))
logging.getLogger("git").warning("clone https://x:s3cret@forge/")
raise RuntimeError("s3cret")
"""
    )

    assert "s3cret" not in json.dumps(lines)
    assert [lines[0]["detail"], lines[1]["detail"], lines[2]["detail"], lines[3]["err_msg"]] == [
        "token ***", "token ***", "clone https://x:***@forge/", "***"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_for_our_lines_and_never_opens_those_of_libraries(level: str, heard: list[str]) -> None:
    lines = said(
        """
for level in ("debug", "info", "warning", "error"):
    getattr(log, level)("duty failed")
    getattr(logging.getLogger("urllib3"), level)("GET /secret-address")
""",
        level,
    )

    assert [line["level"] for line in lines if line["logger"] == "workers.shell"] == heard
    assert [line["level"] for line in lines if line["logger"] == "urllib3"] == [
        one for one in heard if one in ("warning", "error")
    ]


def test_a_process_that_was_forked_from_another_has_its_own_name() -> None:
    lines = said("log.info('duty failed'); journal.configure('relay'); log.info('duty failed')")

    assert [line["service"] for line in lines] == ["web", "relay"]


def test_a_line_is_written_at_once_however_long_it_is() -> None:
    """Processes of a pool share one output: what is written in two parts may have another line between them."""
    script = """
log.error("duty broke", detail="x" * 5000, exc_info=ValueError("y" * 20000))
log.info("duty failed")
"""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, its:
        ours.settimeout(30)
        command = [sys.executable, "-c", f"LEVEL = 'info'\n{BEGIN}\n{script}"]
        subprocess.run(command, cwd=ROOT, stdout=its, timeout=60, check=True)
        first, second = ours.recv(65536), ours.recv(65536)

    assert 10_000 < len(first) < 16 * 1024
    assert [json.loads(one)["event"] for one in (first, second)] == ["duty broke", "duty failed"]


def test_a_log_that_nobody_reads_any_more_harms_nothing() -> None:
    assert said("import os; os.close(1); log.info('duty failed'); sys.stdout = None") == []


def test_a_thread_does_not_wait_for_another_one_that_writes_and_no_line_is_lost() -> None:
    lines = said(
        """
import os
writer = journal._process.writer
held, go, seen = threading.Event(), threading.Event(), threading.Semaphore(0)
put = writer._put

def slow(chunk):
    if not held.is_set():
        held.set()
        go.wait(20)
    put(chunk)

writer._put = slow
first = threading.Thread(target=log.info, args=("stage looked at",), kwargs={"run": 0})
first.start()
held.wait(20)
for number in range(1, 4):
    log.info("stage looked at", run=number)  # returns while the first one is still being written
go.set()
first.join(20)
"""
    )

    assert [line["run"] for line in lines] == [0, 1, 2, 3]


def test_a_child_writes_its_own_lines_only() -> None:
    lines = said(
        """
import os
writer = journal._process.writer
writer._waiting.append(b"the parent's to write\\n")
writer._writing.acquire()
child = os.fork()
if child == 0:
    log.info("stage looked at", run=1)
    os._exit(0)
os.waitpid(child, 0)
writer._waiting.clear()
"""
    )

    assert [line["run"] for line in lines] == [1]


@pytest.mark.parametrize("pause", [0, 0.003, 0.02])
def test_the_end_of_a_process_does_not_wait_for_a_reader(pause: float) -> None:
    """What a thread that must not wait has said is with its helper, or on the way to it."""
    script = f"""
import time
from orchestrator import log_writer
log_writer.never_wait()
log.info("duty failed")
time.sleep({pause})
journal.flush()
"""
    unread, its = os.pipe()
    os.set_blocking(its, False)
    with suppress(BlockingIOError):
        while True:
            os.write(its, b"x" * select.PIPE_BUF)
    os.set_blocking(its, True)
    try:
        command = [sys.executable, "-c", f"LEVEL = 'info'\n{BEGIN}\n{script}"]
        assert subprocess.run(command, cwd=ROOT, stdout=its, timeout=20, check=False).returncode == 0
    finally:
        os.close(its)
        os.close(unread)


def test_the_end_of_a_process_leaves_no_line_to_its_helper() -> None:
    """The helper may take the next piece as soon as who ends has looked for one that it is writing."""
    lines = said(
        """
import os, time
from orchestrator import log_writer
writer = journal._process.writer
lock, put = writer._writing, writer._put

class Yielding:
    def acquire(self, *args, **kwargs):
        return lock.acquire(*args, **kwargs)

    def release(self):
        lock.release()
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.03)

def slow(chunk):
    time.sleep(0.02)
    put(chunk)

writer._writing, writer._put = Yielding(), slow
log_writer.never_wait()
for number in range(20):
    log.info("stage looked at", run=number, detail="x" * 1500)
journal.flush()
os._exit(0)
"""
    )

    assert [line["run"] for line in lines] == list(range(20))


def test_the_lines_of_a_run_are_found_as_the_documents_say() -> None:
    (pattern,) = re.findall(r"grep -E '(.+)'", (ROOT / "docs/how-to/troubleshoot.md").read_text())
    found = [line for line in ('{"run":42,"app":"a"}', '{"run": 42}', '{"run":421}') if re.search(pattern, line)]
    assert len(found) == 2
    script = f"LEVEL = 'info'\n{BEGIN}\nlog.info('stage looked at', run=42)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(pattern, ended.stdout)
