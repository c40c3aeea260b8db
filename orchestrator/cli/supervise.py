"""Runs several processes as one: forked from a parent that has loaded everything, so that memory is shared."""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Supervisor:
    """Keeps children alive until it is told to stop.

    :param runs: name -> what the child does; it returns when it has got SIGTERM.
    :param tend: called a few times a second, for what is not a child of this kind.
    :param stopping: called once, before the children are told to end.
    """

    runs: Mapping[str, Callable[[], None]]
    tend: Callable[[], None] = lambda: None
    stopping: Callable[[], None] = lambda: None
    _children: list[_Child] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start everything and stay until SIGTERM or SIGINT; then stop everything. `ready` is called once started."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        share_heaps()
        gc.collect()
        gc.freeze()  # the children share what is loaded as long as nobody writes to it
        self._children = [_Child(name, run) for name, run in self.runs.items()]
        for child in self._children:
            self._start(child)
        ready()
        while not self._stopping.is_set():
            self._tend()
        self.stopping()
        self._end_all()

    def _stop(self, _signal: int, _frame: object) -> None:
        self._stopping.set()

    def _tend(self) -> None:
        self._stopping.wait(0.2)
        self.tend()
        for child in self._children:
            if child.pid and _ended(child.pid):
                self._bury(child)
            if not child.pid and time.monotonic() >= child.due and not self._stopping.is_set():
                self._start(child)

    def _start(self, child: _Child) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        child.started = time.monotonic()
        child.pid = os.fork()
        if child.pid == 0:
            _name_process(child.name)
            _be_child(child.run)

    def _bury(self, child: _Child) -> None:
        lived = time.monotonic() - child.started
        child.failures = 0 if lived > _STEADY else child.failures + 1
        child.due = time.monotonic() + min(30.0, 0.5 * 2.0**child.failures)
        log.error("process ended", process=child.name, pid=child.pid, duration_ms=round(lived * 1000))
        child.pid = 0

    def _end_all(self) -> None:
        deadline = time.monotonic() + GRACE
        for child in self._children:
            _signal(child.pid, signal.SIGTERM)
        while any(child.pid for child in self._children) and time.monotonic() < deadline:
            time.sleep(0.02)
            for child in self._children:
                if child.pid and _ended(child.pid):
                    child.pid = 0
        for child in self._children:
            _signal(child.pid, signal.SIGKILL)


def _be_child(run: Callable[[], None]) -> None:
    """Do the child's work and leave without the parent's clean-up."""
    code = 1
    try:
        die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent tells us to stop
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


def die_with_parent() -> None:
    """Have the kernel end this process when its parent is killed (PR_SET_PDEATHSIG, Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _name_process(name: str) -> None:
    """Have ``ps`` and ``top`` show which process this is (PR_SET_NAME, Linux only); its own children inherit it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(15, name.encode()[:15])


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _signal(pid: int, number: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
