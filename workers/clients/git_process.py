"""Run one Git command: fixed arguments, clean environment, deadline, bound, and no child left behind.

The only importer of GitPython. ``Git.execute`` starts every process; its own time limit is not used, because it finds
children through ``ps`` (absent in slim images) and cannot be interrupted by a checkpoint.
"""

import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO, cast

from git.cmd import Git as GitCommand
from git.exc import GitCommandNotFound

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason

MAX_OUTPUT = 64 * 1024 * 1024
"""Bytes of standard output that are kept in memory; more is an error."""
MAX_COMPLAINT = 64 * 1024
"""Bytes of standard error that are kept, the last ones."""
CHECK_SECONDS = 1.0
"""Seconds between two calls of the checkpoint while a command runs."""
_CHUNK = 65536
_FIRST_PAUSE, _LONGEST_PAUSE = 0.00005, 0.05
"""Seconds between two looks whether a command whose pipes are closed is over: it nearly is, and ``Popen.wait`` with a
time limit would sleep a millisecond at first."""
_GUARD = (
    # the shell gives a background command no input of its own accord, hence the 3
    'exec 3<&0; { read -r _; kill -KILL 0; } <&3 3<&- >&- 2>&- & guard=$!; "$@" </dev/null 3<&-; code=$?; '
    'kill "$guard"; wait "$guard" 2>&-; exit "$code"'
)
"""Runs a command in a process group that ends with this worker, however that went: then our end of its standard input
closes. Git's helpers (``git-remote-https``, ``ssh``) are grandchildren, which no signal to Git itself would reach.
(Linux can tell a child that its parent died, but only one that was made by a whole fork, which takes a large worker
several milliseconds; this way it is a vfork.)"""
_GUARDED = ("/bin/sh", "-c", _GUARD, "git")

Checkpoint = Callable[[], None]


def unchecked() -> None:
    """Be the checkpoint of work that nobody can cancel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a finished command left: its exit code and what it wrote."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode("utf-8", "replace")


class GitTimeout(Exception):
    """The command did not end before its deadline and was killed."""


class TooMuch(Exception):
    """The command wrote more than the bound and was killed."""


def run(
    folder: Path | None,
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    timeout: float,
    stdin: bytes = b"",
    checkpoint: Checkpoint = unchecked,
    guarded: bool = False,
    program: Sequence[str] = ("git",),
    most: int = 0,
) -> Output:
    """Run ``git <arguments>`` to its end.

    :param folder: the bare repository, or None for a command without one.
    :param timeout: seconds. :param stdin: what the command reads.
    :param checkpoint: called about every second; whatever it raises ends the command.
    :param guarded: the command speaks to a server or runs for long, so it must not outlive this worker, and reads
        nothing; a short local command ends by itself (its pipes break) and is spared the price of the guard.
    :param program: what is run in place of ``git``: ``ssh`` and its options.
    :param most: bytes that it may write; 0: `MAX_OUTPUT`.
    :raises GitTimeout: :raises TooMuch: the bounds were hit; no process is left in either case.
    """
    with start(folder, arguments, env=env, guarded=guarded, program=program) as process:
        return _Exchange(process, None if guarded else stdin, most).finish(time.monotonic() + timeout, checkpoint)


@contextmanager
def start(
    folder: Path | None,
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    guarded: bool = False,
    program: Sequence[str] = ("git",),
) -> Iterator["Popen[bytes]"]:
    """Start ``git <arguments>`` with pipes on all three streams; at the end the whole process group is gone.

    :param guarded: the group ends with this worker as well; the command has nothing to read then.
    """
    command = [*(_GUARDED if guarded else ()), *_without_foreign_variables(env), *program]
    if folder is not None:
        command.append(f"--git-dir={folder}")
    try:
        handle = GitCommand(os.sep).execute(
            [*command, *arguments], as_process=True, istream=PIPE, env=env, start_new_session=True
        )
    except GitCommandNotFound as error:
        raise Refused(Reason.INTERNAL, f"the program {program[0]} is not installed where this worker runs") from error
    except OSError as error:
        raise Unavailable(Reason.INTERNAL, f"{program[0]} cannot be started: {error.strerror}") from error
    process = cast("Popen[bytes]", handle.proc)
    try:
        yield process
    finally:
        kill_group(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            _close(stream)


def kill_group(process: "Popen[bytes]") -> None:
    """Kill a command and everything that it started, and reap it."""
    # PermissionError: macOS says so for a group of which only a zombie is left
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def watchdog(process: "Popen[bytes]", timeout: float) -> Iterator[threading.Event]:
    """Kill a streaming command after `timeout` seconds; the event tells that this happened."""
    fired = threading.Event()

    def bark() -> None:
        fired.set()
        kill_group(process)

    timer = threading.Timer(timeout, bark)
    timer.daemon = True
    timer.start()
    try:
        yield fired
    finally:
        timer.cancel()


class _Exchange:
    """Feeds a process and reads it at the same time, within the bounds. No ``stdin``: its input is left open."""

    def __init__(self, process: "Popen[bytes]", stdin: bytes | None, most: int) -> None:
        self._process = process
        self._most = most or MAX_OUTPUT
        self._unsent = memoryview(stdin or b"")
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._selector = selectors.DefaultSelector()
        feeding = [] if stdin is None else [(process.stdin, selectors.EVENT_WRITE)]
        for stream, events in (
            *feeding,
            (process.stdout, selectors.EVENT_READ),
            (process.stderr, selectors.EVENT_READ),
        ):
            descriptor = cast("IO[bytes]", stream).fileno()
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, events, stream)

    def finish(self, deadline: float, checkpoint: Checkpoint) -> Output:
        """Exchange until the process has ended."""
        due = time.monotonic() + CHECK_SECONDS
        with self._selector:
            while self._selector.get_map():
                now = time.monotonic()
                if now >= deadline:
                    raise GitTimeout
                if now >= due:
                    checkpoint()
                    due = now + CHECK_SECONDS
                ready = self._selector.select(min(deadline, due) - now)
                for key, _ in ready:
                    self._move(key)
                if not ready and self._process.poll() is not None:
                    # a grandchild holds the pipes open though the command itself is done
                    break
        return self._output(deadline)

    def _output(self, deadline: float) -> Output:
        pause = _FIRST_PAUSE
        while self._process.poll() is None:
            if time.monotonic() >= deadline:
                raise GitTimeout
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        stderr = self._stderr.decode("utf-8", "replace")
        return Output(code=self._process.wait(), stdout=bytes(self._stdout), stderr=stderr)

    def _move(self, key: selectors.SelectorKey) -> None:
        """Move one piece of data."""
        stream = cast("IO[bytes]", key.data)
        if stream is self._process.stdin:
            self._feed(key.fd, stream)
            return
        part = os.read(key.fd, _CHUNK)
        if not part:
            self._selector.unregister(key.fd)
        elif stream is self._process.stdout:
            self._stdout += part
            if len(self._stdout) > self._most:
                raise TooMuch
        else:
            self._stderr += part
            del self._stderr[:-MAX_COMPLAINT]

    def _feed(self, descriptor: int, stream: IO[bytes]) -> None:
        try:
            sent = os.write(descriptor, self._unsent[:_CHUNK]) if self._unsent else 0
        except BrokenPipeError:
            sent = len(self._unsent)  # it stopped reading; its exit code says why
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._selector.unregister(descriptor)
            _close(stream)


def _close(stream: IO[bytes] | None) -> None:
    """Close a pipe whose other end may be gone."""
    if stream is not None:
        with suppress(BrokenPipeError):
            stream.close()


def _without_foreign_variables(env: Mapping[str, str]) -> list[str]:
    """Return the start of a command line that drops inherited ``GIT_*`` variables (GitPython can only add some).

    Such variables are there when we were started from a hook, and would point Git to another repository.
    """
    foreign = sorted(name for name in os.environ if name.startswith("GIT_") and name not in env)
    return ["env", *(word for name in foreign for word in ("-u", name))] if foreign else []
