"""Several processes that hear of the same push: each waits for the other, and one run comes of it (PostgreSQL)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.events import Delivery, Push, RefChange, RefKind, RepoNames
from orchestrator.domain.refs import repo_key
from orchestrator.services.bell import Bell
from orchestrator.services.ingest import Ingest
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import heads, runs
from orchestrator.store.database import Database
from tests.support.databases import postgres_database, postgres_url
from tests.support.factories import make_settings
from tests.support.ingesting import accept
from tests.support.meanwhile import meanwhile

__all__ = ["postgres_url"]

URL = "https://git.example.com/acme/plate-web.git"
COMMIT = "b" * 40


class Processes:
    """A database, and the connections of several processes to it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.settings = make_settings(str(folder))
        self._url = database.url
        self._made: list[Database] = []
        self._pool = ThreadPoolExecutor(1)

    def connect(self) -> Database:
        self._made.append(Database(self._url))
        return self._made[-1]

    def inbox(self, database: Database | None = None) -> Ingest:
        return Ingest(database or self.connect(), self.settings, Bell(""))

    def close(self) -> None:
        self._pool.shutdown()
        for one in self._made:
            one.close()

    def meanwhile(self, database: Database, before: str, do: Callable[[], Any]) -> Callable[[], Any]:
        """Have something done in another thread right before the first statement that begins with `before`."""
        return meanwhile(database, self.connect(), self._pool, lambda one, _: one.startswith(before), do)


@pytest.fixture
def processes(postgres_url: str, tmp_path: Path) -> Iterator[Processes]:
    with postgres_database(postgres_url) as database:
        made = Processes(database, tmp_path)
        yield made
        made.close()


def push() -> Push:
    names = RepoNames(full_name="acme/plate-web", urls=(URL,))
    change = RefChange(
        ref="refs/heads/main", kind=RefKind.BRANCH, name="main", before="f" * 40, after=COMMIT, commit=COMMIT
    )
    return Push(event="push", repo=names, changes=(change,))


def test_a_push_that_the_poll_sees_while_its_hook_is_written_down_leads_to_one_run(processes: Processes) -> None:
    database, app = processes.connect(), processes.settings.apps[0]
    reconcile = Reconcile(processes.connect(), processes.settings)
    with database.write() as connection:
        heads.remember(connection, repo_key(URL), "refs/heads/main", heads.LastSeen("a" * 40, 1.0))
    seen = processes.meanwhile(
        database, "INSERT INTO runs", lambda: reconcile.head_seen(app, "main", COMMIT, lambda _: push().changes[0])
    )

    told = accept(processes.inbox(database), Delivery(hook="github", key="d-1"), push())

    assert seen() == []
    with database.read() as connection:
        assert [run.id for run in runs.page(connection)] == told.body["runs"]


@pytest.mark.parametrize(("hook", "key"), [("github", "d-1"), ("gitlab", "d-2")], ids=["same hook", "another hook"])
def test_two_processes_that_are_told_of_a_push_at_once_make_one_run(
    processes: Processes, hook: str, key: str
) -> None:
    database, other = processes.connect(), processes.inbox()
    again = processes.meanwhile(
        database, "INSERT INTO runs", lambda: accept(other, Delivery(hook=hook, key=key), push())
    )

    told = accept(processes.inbox(database), Delivery(hook="github", key="d-1"), push())

    answer = again()
    assert (told.status, answer.status, answer.body.get("duplicate")) == (202, 200, True)
    assert answer.body["runs"] == told.body["runs"]
