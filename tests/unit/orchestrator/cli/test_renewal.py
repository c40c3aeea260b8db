"""What is said of a configuration that is taken anew."""

import fcntl
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli import renewal
from orchestrator.cli.claim import LOCK
from orchestrator.cli.errors import CliError
from orchestrator.cli.renewal import ANSWER, Renewal, ask, difference
from orchestrator.domain.apps import App, Secret, Settings
from tests.support.factories import make_app, make_settings

WEB, API, JOBS = (make_app(name=name) for name in ("plate-web", "plate-api", "plate-jobs"))


def settings(*apps: App, **others: object) -> Settings:
    return replace(make_settings("/state"), apps=apps, **others)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (settings(WEB, API), "nothing has changed"),
        (settings(API, WEB), "nothing has changed"),
        (settings(WEB, API, JOBS), "new: plate-jobs"),
        (settings(API), "gone: plate-web"),
        (settings(replace(WEB, image="other"), replace(API, image="other")), "changed: plate-web, plate-api"),
        (settings(JOBS, API), "new: plate-jobs; gone: plate-web"),
        (settings(replace(JOBS, former_names=("plate-web",)), API), "renamed: plate-web to plate-jobs"),
        (settings(replace(JOBS, former_names=("other",)), WEB, API), "new: plate-jobs"),
        (settings(WEB, API, concurrency=7), "other settings changed"),
        (settings(WEB, API, session_key=Secret("another")), "other settings changed"),
        (settings(WEB, API, warnings=("one",)), "nothing has changed"),
    ],
)
def test_the_difference_of_two_configurations(new: Settings, said: str) -> None:
    assert difference(settings(WEB, API), new) == said


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """Yield a state folder of which this process is the `pilotage up`; it knows no SIGHUP yet."""
    before = signal.getsignal(signal.SIGHUP)
    with (tmp_path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield tmp_path
    signal.signal(signal.SIGHUP, before)


def answer(state_dir: Path, problem: str) -> bytes:
    """Answer as one whose file has a problem; return what was written."""
    file = state_dir / "pilotage.yaml"
    file.write_text(f"{problem}: 1")
    Renewal(file, make_settings(str(state_dir)), lambda _: {}).renew()
    return (state_dir / ANSWER).read_bytes()


def test_the_answer_to_somebody_who_asked_earlier_is_not_ours(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = answer(here, "brunch")

    def finish_the_earlier(_number: int, _frame: object) -> None:
        (here / ANSWER).unlink()
        (here / ANSWER).write_bytes(earlier)

    signal.signal(signal.SIGHUP, finish_the_earlier)
    monkeypatch.setattr(renewal.time, "sleep", lambda _: answer(here, "lunch"))
    assert "lunch" in ask(here).told


def test_of_a_variable_that_is_new_a_restart_is_asked_for(here: Path) -> None:
    signal.signal(signal.SIGHUP, lambda *_: answer(here, "registry: {password: '${NO_SUCH}'}\nlunch"))
    told = ask(here).told
    assert "with the variables of its start, which only a restart reads anew: " in told
    assert "the environment variable NO_SUCH is not set" in told


def test_what_nobody_foresaw_leaves_all_as_it_is(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(renewal, "check", fail)
    signal.signal(signal.SIGHUP, lambda *_: answer(here, "brunch"))
    renewed = ask(here)
    assert (renewed.taken, renewed.told) == (False, "ZeroDivisionError, which is not foreseen; see its log")


def test_of_a_process_that_ends_meanwhile_no_answer_is_waited_for(here: Path) -> None:
    signal.signal(signal.SIGHUP, lambda *_: (here / LOCK).unlink())
    with pytest.raises(CliError) as ended:
        ask(here)
    assert str(ended.value) == f"Process {os.getpid()} has ended before it answered; see its log."


def test_a_user_who_may_not_ask_is_told_who_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / ANSWER))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(CliError) as refused:
        ask(tmp_path)
    who = f"This user may not ask the `pilotage up` of the state folder {tmp_path}"
    assert str(refused.value) == f"{who}; run this as the user of the service."
