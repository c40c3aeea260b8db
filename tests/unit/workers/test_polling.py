"""Polling and tidying: one app or one copy that cannot be looked at is left for the next round, alone."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from orchestrator.domain.apps import App, GitAccess, Settings
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import sentence
from orchestrator.services.bell import Bell
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.retention import Retention
from orchestrator.store import polls, unread
from orchestrator.store.database import Database
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.journals import Logged
from workers.clients.git import Mirror, mirror_folder
from workers.clients.git_keep import KeptCopy
from workers.polling import Polling, Tidying

NAMES = ("first", "bad", "last")
STOP = threading.Event()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Three apps; the one in the middle goes over ssh and has no host keys."""
    ssh = GitAccess(url="git@git.example.com:acme/bad.git", known_hosts=str(tmp_path / "missing"))
    apps = (make_app("first"), make_app("bad", source=ssh), make_app("last"))
    return make_settings(str(tmp_path), apps=apps, poll_interval=123.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the repositories whose heads were read: each has one."""
    found: list[str] = []

    def ls_remote(mirror: Mirror, refs: Sequence[str]) -> dict[str, str]:
        found.append(mirror.where.rsplit("/", 1)[1].removesuffix(".git"))
        return dict.fromkeys(refs, "1" * 40)

    monkeypatch.setattr(Mirror, "ls_remote", ls_remote)
    return found


def test_an_app_without_its_ssh_files_disturbs_neither_the_others_nor_the_pace(
    database: Database, settings: Settings, asked: list[str], logged: Logged
) -> None:
    polling = Polling(settings, Reconcile(database, settings), Bell(""))
    assert polling.once(STOP) > 0
    assert asked == ["first", "last"]
    polling.once(STOP)
    assert asked == ["first", "last"], "the next round is in two minutes"
    (line,) = logged.of("heads not compared")
    assert (line["app"], line["reason"]) == ("bad", Reason.SOURCE_REFUSED.value)


def test_a_head_that_cannot_be_written_down_is_one_of_the_next_round(
    database: Database, settings: Settings, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def head_seen(*_: object) -> list[int]:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "the connection was lost")

    monkeypatch.setattr(Reconcile, "head_seen", head_seen)
    assert Polling(settings, Reconcile(database, settings), Bell("")).once(STOP) > 0
    assert asked == ["first", "last"]


def test_a_branch_that_cannot_be_read_is_named_with_why_and_hides_no_other_one(
    database: Database, settings: Settings, asked: list[str], monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    said = {"broken": "1111111", "old": "1111111", "other": "2222222"}

    def head_seen(_: Reconcile, app: App, branch: str, *__: object) -> list[int]:
        if branch in said:
            raise Refused(Reason.COMMIT_NOT_FOUND, said[branch])
        return [7]

    monkeypatch.setattr(Reconcile, "head_seen", head_seen)
    places = tuple(make_environment(name, branch=name) for name in ("broken", "main", "old", "other"))
    settings = replace(settings, apps=(make_app("web", environments=places),))
    with database.write() as connection:
        polls.ask(connection, "web", "mina", 1.0)
    Polling(settings, Reconcile(database, settings), Bell("")).once(STOP)
    with database.read() as connection:
        facts = polls.last(connection)["web"].facts
    assert (facts["branches"], facts["missing"], facts["runs"]) == (["main"], [], [7])
    assert facts["problem"] == (
        f"Branches `broken`, `old`: {sentence(Reason.COMMIT_NOT_FOUND, '1111111')}"
        f" Branch `other`: {sentence(Reason.COMMIT_NOT_FOUND, '2222222')}"
    )
    assert [(line["branch"], line["reason"]) for line in logged.of("heads not compared")] == [
        (branch, Reason.COMMIT_NOT_FOUND.value) for branch in said
    ]


def test_an_app_that_cannot_be_read_is_noted_since_when_and_why_until_it_can(
    database: Database, settings: Settings, asked: list[str]
) -> None:
    reconcile = Reconcile(database, settings)

    def looked(new: Settings) -> dict[str, unread.Unread]:
        Polling(new, reconcile, Bell("")).once(STOP)
        with database.read() as connection:
            return unread.of_apps(connection)

    (app, first), *others = looked(settings).items()
    assert (app, others) == ("bad", [])
    assert first.problem.startswith("The source repository refused our access")
    other = replace(settings.apps[1], source=replace(settings.apps[1].source, known_hosts="/elsewhere"))
    then = looked(replace(settings, apps=(*settings.apps[:1], other, *settings.apps[2:])))["bad"]
    assert "/elsewhere" in then.problem, "why may change, and since when does not"
    assert then.since == first.since
    assert looked(replace(settings, apps=tuple(make_app(name) for name in NAMES))) == {}


def test_what_is_as_before_is_not_written_again(database: Database, settings: Settings, asked: list[str]) -> None:
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2].split()[0]))
    reconcile = Reconcile(database, settings)
    for _ in range(2):
        reconcile.looked({"bad": "The forge is away.", "first": ""})
    assert statements.count("INSERT") == 1
    assert "DELETE" not in statements


def test_an_app_for_which_somebody_asks_is_polled_between_two_rounds(
    database: Database, settings: Settings, asked: list[str]
) -> None:
    polling = Polling(settings, Reconcile(database, settings), Bell(""))
    polling.once(STOP)
    asked.clear()
    with database.write() as connection:
        for app in ("last", "bad", "gone"):
            polls.ask(connection, app, "mina", 1.0)
    polling.once(STOP)
    with database.read() as connection:
        found, waiting = polls.last(connection), polls.waiting(connection)
    assert asked == ["last"]
    assert found["last"].facts == {"branches": ["main"], "missing": [], "runs": []}
    assert found["bad"].facts["problem"].startswith("The source repository refused our access")
    assert list(waiting) == ["gone"], "which another process may have in its configuration"
    polling.once(STOP)
    assert asked == ["last"]


@pytest.mark.parametrize("trouble", [Unavailable(Reason.SOURCE_UNAVAILABLE, "busy"), PermissionError(13, "denied")])
def test_a_copy_that_cannot_be_tidied_does_not_keep_the_next_one_from_it(
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    logged: Logged,
    trouble: Exception,
) -> None:
    root, tidied = Path(settings.state_dir), []
    bad = mirror_folder(root, settings.apps[0].source.url)

    def tidy(mirror: Mirror) -> bool:
        if mirror.folder == bad:
            raise trouble
        tidied.append(mirror.folder)
        return True

    monkeypatch.setattr(Mirror, "tidy", tidy)
    assert Tidying(settings, Retention(database, settings.keep)).once(_Impatient()) == Tidying._EVERY
    assert tidied == [mirror_folder(root, access.url) for access in (settings.gitops.access, settings.apps[2].source)]
    assert len(logged.of("mirror not tidied")) == 2, "that one, and the one without its ssh files"


def test_copies_that_no_configuration_names_are_tidied_too(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of submodules."""
    root, tidied = Path(settings.state_dir), []
    lib = mirror_folder(root, "https://git.example.com/acme/lib.git")
    for folder in (lib, mirror_folder(root, settings.gitops.access.url)):
        folder.mkdir(parents=True)
    monkeypatch.setattr(KeptCopy, "tidy", lambda copy: tidied.append(copy.folder) or True)
    Tidying(settings, Retention(database, settings.keep)).once(_Impatient())
    assert tidied[-1] == lib
    assert len(tidied) == len(set(tidied))


class _Impatient(threading.Event):
    """An event that nobody sets and nobody has to wait for."""

    def wait(self, timeout: float | None = None) -> bool:
        return False
