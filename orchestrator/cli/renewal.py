"""``pilotage up`` takes its configuration anew while it runs, and tells whoever asked for it what came of it.

Whoever asks sends SIGHUP and waits for the answer, a file in the state folder: a signal carries no words.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from orchestrator import journal
from orchestrator.cli import assembly
from orchestrator.cli.claim import holder
from orchestrator.cli.errors import CliError, Code, ending
from orchestrator.config import Checked, check
from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import PilotageError

ANSWER = "renewal.json"
WAIT = 30.0
"""Seconds to wait for the answer of a running process."""

_FIXED = ("bind", "state_dir", "database", "broker")
"""What the processes share from their start to their end: keys of `server`."""

log = journal.get(__name__)
Runs = Mapping[str, Callable[[], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What came of it. ``taken``: the processes work by the file now; ``told``: what has changed, or why not."""

    file: str
    taken: bool
    told: str


class Renewal:
    """Reads the file again where it is asked to.

    :param file: of the configuration. :param settings: what was read from it at the start.
    :param make: makes the processes for other settings.
    """

    def __init__(self, file: Path, settings: Settings, make: Callable[[Settings], Runs]) -> None:
        self._file = file.absolute()
        self._settings = settings
        self._make = make

    def renew(self) -> Runs | None:
        """Return the processes that take the place of those that run; None: nothing is to change."""
        begun = time.monotonic()
        try:
            checked = check(self._file, os.environ)
            new, why_not = checked.settings, self._why_not(checked)
        except Exception as error:  # nobody foresaw it: what runs is to run on
            log.exception("configuration not taken")
            self._answer(begun, taken=False, told=f"{type(error).__name__}, which is not foreseen; see its log")
            return None
        if new is None or why_not:
            log.error("configuration not taken", detail=why_not)
            self._answer(begun, taken=False, told=why_not)
            return None
        told, self._settings = difference(self._settings, new), new
        assembly.set_up_log("up", new)
        log.info("configuration taken", detail=told)
        self._answer(begun, taken=True, told=told)
        return self._make(new)

    def _why_not(self, checked: Checked) -> str:
        """Say why it cannot be taken; "": it can, and names that are new have their history."""
        new = checked.settings
        if new is None:
            known = "with the variables of its start, which only a restart reads anew"
            return f"it has problems, {known}: {problems(self._file, checked)}"
        fixed = [f"server.{name}" for name in _FIXED if getattr(new, name) != getattr(self._settings, name)]
        if fixed:
            return f"{' and '.join(fixed)} can only change with a restart"
        try:
            with contextlib.closing(assembly.open_database(new)) as database:
                assembly.adopt_names(new, database)
        except PilotageError as error:
            return str(ending(error)).rstrip(".")
        return ""

    def _answer(self, begun: float, *, taken: bool, told: str) -> None:
        said = Renewed(file=str(self._file), taken=taken, told=told)
        answer = Path(self._settings.state_dir) / ANSWER
        with contextlib.suppress(OSError):  # the log has it, too
            beside = answer.with_suffix(".new")
            beside.write_text(json.dumps({"begun": begun, "renewed": asdict(said)}), encoding="utf-8")
            beside.replace(answer)


def problems(file: Path, checked: Checked) -> str:
    """Say in one line what is wrong with a file."""
    return "; ".join(problem.located(file) for problem in checked.problems)


def difference(old: Settings, new: Settings) -> str:
    """Say in one line which apps came, went, got another name or changed, and whether anything else did."""
    before, after = ({app.name: app for app in settings.apps} for settings in (old, new))
    renamed = {
        former: name
        for name, app in after.items()
        for former in app.former_names
        if name not in before and former in before and former not in after
    }
    parts = [
        _named("new", (name for name in after if name not in before and name not in renamed.values())),
        _named("gone", (name for name in before if name not in after and name not in renamed)),
        _named("renamed", (f"{former} to {name}" for former, name in renamed.items())),
        _named("changed", (name for name in after if name in before and after[name] != before[name])),
        "other settings changed" if _rest(old) != _rest(new) else "",
    ]
    return "; ".join(filter(None, parts)) or "nothing has changed"


def _named(what: str, names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f"{what}: {listed}" if listed else ""


def _rest(settings: Settings) -> Settings:
    return replace(settings, apps=(), warnings=())


def ask(state_dir: Path) -> Renewed:
    """Have the `pilotage up` of a state folder take its configuration anew, and wait for what comes of it.

    :raises CliError: none runs there, this user may not ask it, or it does not answer.
    """
    nobody = f"No `pilotage up` works in the state folder {state_dir}; the file counts from its next start."
    try:
        before, owner = _stamp(state_dir), holder(state_dir)
        if owner is None:
            raise CliError(nobody, Code.UNREACHABLE)
        asked = time.monotonic()
        os.kill(owner, signal.SIGHUP)
    except ProcessLookupError:
        raise CliError(nobody, Code.UNREACHABLE) from None
    except PermissionError as error:
        said = f"This user may not ask the `pilotage up` of the state folder {state_dir}"
        raise CliError(f"{said}; run this as the user of the service.", Code.FAILED) from error
    deadline = asked + WAIT
    while (renewed := _answered(state_dir, before, asked)) is None:
        if holder(state_dir) != owner:
            raise CliError(f"Process {owner} has ended before it answered; see its log.", Code.UNREACHABLE)
        if time.monotonic() > deadline:
            raise CliError(f"Process {owner} has not answered for {WAIT:.0f} s; see its log.", Code.UNREACHABLE)
        time.sleep(0.05)  # there is no event for "another process has written a file"
    return renewed


def _answered(state_dir: Path, before: tuple[int, int] | None, asked: float) -> Renewed | None:
    """Return the answer; None: none has come yet, or that to somebody who asked earlier, of an earlier file."""
    if _stamp(state_dir) in (None, before):
        return None
    answer = json.loads((state_dir / ANSWER).read_text(encoding="utf-8"))
    return Renewed(**answer["renewed"]) if answer["begun"] >= asked else None


def _stamp(state_dir: Path) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        found = (state_dir / ANSWER).stat()
        return found.st_mtime_ns, found.st_ino
    return None
