"""Runs several processes as one: forked from a parent that has loaded everything, so that memory is shared."""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from orchestrator import journal
from orchestrator.cli.errors import ending
from orchestrator.cli.heaps import share_heaps
from orchestrator.domain.errors import PilotageError

log = journal.get(__name__)

GRACE = 30.0
"""Seconds that children get to finish before they are killed."""
_STEADY = 10.0
"""Seconds after which a child counts as well started; one that ends sooner is restarted with growing pauses."""


@dataclass(slots=True)
class _Child:
    name: str
    run: Callable[[], None]
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    due: float = 0.0


class _Stopped(BaseException):
    """A stop came while something else was waited for."""


class Hangups:
    """Hears SIGHUP from now on, which would end this process otherwise: it may come while we start.

    It asks us to take the configuration anew, or says that the terminal is gone from which we were started.
    """

    def __init__(self) -> None:
        self.asked = False
        self.when_gone = _end_by_hangup
        self._of_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()
        signal.signal(signal.SIGHUP, self._hear)

    def _hear(self, _signal: int, _frame: object) -> None:
        if self._of_terminal and not _has_terminal():
            self.when_gone()
        self.asked = True


@dataclass(slots=True)
class Supervisor:
    """Keeps children alive until it is told to stop.

    :param runs: name -> what the child does; it returns when it has got SIGTERM.
    :param tend: called a few times a second, for what is not a child of this kind.
    :param stopping: called once, before the children are told to end.
    :param renew: called after SIGHUP; returns what takes the place of `runs`, or None: all stays as it is.
    :param hangups: hears SIGHUP.
    """

    runs: Mapping[str, Callable[[], None]]
    tend: Callable[[], None] = lambda: None
    stopping: Callable[[], None] = lambda: None
    renew: Callable[[], Mapping[str, Callable[[], None]] | None] = lambda: None
    hangups: Hangups = field(default_factory=Hangups)
    _children: list[_Child] = field(default_factory=list)
    _leaving: list[_Child] = field(default_factory=list)
    _stopping: bool = False
    _renewing: bool = False
    _awake: "SimpleQueue[None]" = field(default_factory=SimpleQueue)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start everything and stay until SIGTERM or SIGINT; then stop everything. `ready` is called once started."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self.hangups.when_gone = self._stop
        share_heaps()
        self._start_all(self.runs)
        ready()
        while not self._stopping:
            self._tend()
        self.stopping()
        self._end_all()

    def _stop(self, *_: object) -> None:
        """Stop; handlers of signals call this in the midst of anything, also of what holds a lock: none is taken."""
        self._stopping = True
        self._awake.put(None)
        if self._renewing:
            self._renewing = False
            raise _Stopped

    def _start_all(self, runs: Mapping[str, Callable[[], None]]) -> None:
        gc.collect()
        gc.freeze()  # the children share what is loaded as long as nobody writes to it
        self._children = [_Child(name, run) for name, run in runs.items()]
        for child in self._children:
            self._start(child)

    def _renew(self) -> None:
        """Start new children, and have the old ones finish what they are at beside them, however long that takes."""
        self.hangups.asked = False
        runs = self._renewed()
        if runs is None or self._stopping:
            return
        old = [child for child in self._children if child.pid]
        self._start_all(runs)
        for child in old:
            _signal(child.pid, signal.SIGTERM)
        self._leaving += old

    def _renewed(self) -> Mapping[str, Callable[[], None]] | None:
        """Ask `renew`. It may wait for a database, for half a minute and more; a stop breaks that off."""
        try:
            try:
                self._renewing = True
                return self.renew()
            finally:
                self._renewing = False
        except _Stopped:
            return None

    def _tend(self) -> None:
        with contextlib.suppress(Empty):
            self._awake.get(timeout=0.2)
        self.tend()
        if self.hangups.asked and not self._stopping:
            self._renew()
        self._leaving = [child for child in self._leaving if not _ended(child.pid)]
        for child in self._children:
            if child.pid and _ended(child.pid):
                self._bury(child)
            if not child.pid and time.monotonic() >= child.due and not self._stopping:
                self._start(child)

    def _start(self, child: _Child) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        child.started = time.monotonic()
        us = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # in a child our handler would swallow it
        try:
            child.pid = os.fork()
            if child.pid == 0:
                _name_process(child.name)
                _be_child(child.run, us)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _bury(self, child: _Child) -> None:
        lived = time.monotonic() - child.started
        child.failures = 0 if lived > _STEADY else child.failures + 1
        child.due = time.monotonic() + min(30.0, 0.5 * 2.0**child.failures)
        log.error("process ended", process=child.name, pid=child.pid, duration_ms=round(lived * 1000))
        child.pid = 0

    def _end_all(self) -> None:
        deadline = time.monotonic() + GRACE
        everybody = [child for child in (*self._children, *self._leaving) if child.pid]
        for child in everybody:
            _signal(child.pid, signal.SIGTERM)
        while everybody and time.monotonic() < deadline:
            time.sleep(0.02)
            everybody = [child for child in everybody if not _ended(child.pid)]
        for child in everybody:
            _signal(child.pid, signal.SIGKILL)


def _be_child(run: Callable[[], None], parent: int) -> None:
    """Do the child's work and leave without the parent's clean-up."""
    code = 1
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        # A terminal sends these to the whole group; the parent tells us to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except PilotageError as error:  # a service that does not answer: its sentence says more than where we asked
        log.error("process broke", detail=str(ending(error)))
    except BaseException:
        log.exception("process broke")
    finally:
        sys.stdout.flush()
        os._exit(code)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent is killed (PR_SET_PDEATHSIG, Linux only); end if it was."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _name_process(name: str) -> None:
    """Have ``ps`` and ``top`` show which process this is (PR_SET_NAME, Linux only); its own children inherit it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(15, name.encode()[:15])


def _end_by_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGHUP)


def _has_terminal() -> bool:
    """Tell whether this process has a terminal that can hang up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _signal(pid: int, number: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
