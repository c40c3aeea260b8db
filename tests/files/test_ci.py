"""What is missing on a machine fails the run in CI and is skipped elsewhere: wherever that is asked."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import needs
from tests.support.contracts import ROOT

SET = ("true", "1", "TRUE", "yes", "woodpecker")
UNSET = ("", "0", "false", "False")
CLEARS_UP = """
import signal, time

ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
signal.pthread_sigmask(signal.SIG_BLOCK, ends)
print("begun", flush=True)
signal.sigwait(ends)
time.sleep(0.5)  # Python itself waits for 0.25 before it kills what it runs
print("cleared up", flush=True)
raise SystemExit(3)
"""
TABLE = [(value, True) for value in SET] + [(value, False) for value in UNSET]


@pytest.mark.parametrize(("value", "fails"), TABLE)
def test_a_test_that_needs_what_is_missing(monkeypatch: pytest.MonkeyPatch, value: str, fails: bool) -> None:
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.fail.Exception if fails else pytest.skip.Exception, match="no such-program"):
        needs.require_program("such-program")
    needs.require_program("sh")


@pytest.mark.parametrize(("value", "fails"), TABLE)
def test_a_command_that_gets_no_engine(tmp_path: Path, value: str, fails: bool) -> None:
    host = "unix:///nonexistent/docker.sock"
    command = [sys.executable, ".ci/with_engine.py", sys.executable, "-c", "print('ran')"]
    environ = {"PATH": str(tmp_path), "CI": value, "DOCKER_HOST": host}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == ((1, "") if fails else (0, "ran\n"))
    assert done.stderr.startswith("no Docker engine, ")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_a_run_lets_all_of_it_clear_up(tmp_path: Path, how: signal.Signals) -> None:
    python = sys.executable
    command = [python, ".ci/in_memory.py", python, ".ci/with_engine.py", python, "-c", CLEARS_UP]
    environ = {"PATH": "", "DOCKER_HOST": "unix:///nonexistent/docker.sock", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        if how is signal.SIGINT:  # as a terminal does
            os.killpg(running.pid, how)
        else:
            running.send_signal(how)
        said = running.stdout.read()
    assert (said, running.returncode) == (b"cleared up\n", 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("value", "fails"), TABLE)
def test_a_command_that_gets_no_compose(tmp_path: Path, value: str, fails: bool) -> None:
    environ = {"PATH": str(tmp_path), "CI": value}
    command = [sys.executable, ".ci/with_compose.py", "never"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == int(fails)
    assert done.stderr.startswith("not tried: needs docker, ")


def in_memory(environ: dict[str, str]) -> Path:
    """Return the folder that a command has for its temporary files."""
    show = "import sys, tempfile; print(tempfile.gettempdir()); sys.exit(7)"
    command = [sys.executable, ".ci/in_memory.py", sys.executable, "-c", show]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (7, "")
    return Path(done.stdout.strip())


def test_temporary_files_are_in_memory_and_gone_afterwards_or_on_the_disk() -> None:
    folder = in_memory({name: value for name, value in os.environ.items() if name != "TMPDIR"})
    assert folder == Path("/tmp") or not folder.exists()


def test_temporary_files_are_where_somebody_wants_them(tmp_path: Path) -> None:
    assert in_memory({**os.environ, "TMPDIR": str(tmp_path)}) == tmp_path


def run_setup(folder: Path, value: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Set up as somebody who may install nothing, where hardly any program is."""
    for name in ("sh", "dirname", "ls", "ldd", "cksum", "cat"):
        (folder / name).symlink_to(str(shutil.which(name)))
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "id").chmod(0o755)
    environ = {**os.environ, "PATH": str(folder), "CI": value}
    command = [str(ROOT / ".ci/setup"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("value", SET)
def test_a_setup_that_may_not_install(tmp_path: Path, value: str) -> None:
    done = run_setup(tmp_path, value)
    assert done.returncode == 1
    assert "git" in done.stderr
    assert "install them" in done.stderr


@pytest.mark.parametrize(("arguments", "tests_too"), [((), True), (("demo",), False), (("wrk",), True)])
def test_a_setup_for_the_demo_wants_no_more_than_that_uses(
    tmp_path: Path, arguments: tuple[str, ...], tests_too: bool
) -> None:
    named = {word.rstrip(";") for word in run_setup(tmp_path, "", *arguments).stderr.split()}
    assert {"git", "docker.io"} <= named
    assert ("chromium-headless-shell" in named, "wrk" in named) == (tests_too, arguments == ("wrk",))
