"""What the log tells of a run as a whole, and that it tells nothing that is not durable."""

from pathlib import Path

import pytest

from orchestrator.domain.events import Delivery, Push, RefChange, RefKind, RepoNames
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control, ManualRun
from orchestrator.services.ingest import Ingest
from orchestrator.store.database import Database, after_commit
from tests.support.factories import make_settings
from tests.support.ingesting import accept
from tests.support.journals import Logged

REPO = RepoNames(full_name="acme/plate-web", urls=("https://git.example.com/acme/plate-web.git",))
MOVE = RefChange(
    ref="refs/heads/main", kind=RefKind.BRANCH, name="main", before="f" * 40, after="a" * 40, commit="a" * 40
)
PLACE = {"app": "plate-web", "env": "stg", "level": "info"}


def test_a_run_that_a_person_starts_and_ends(database: Database, tmp_path: Path, logged: Logged) -> None:
    control = Control(database, make_settings(str(tmp_path)), Bell(""))
    run_id = control.start(ManualRun(app="plate-web", environment="stg", commit="a" * 40, actor="mina"))
    control.cancel(run_id, "mina")

    (queued,), (over,) = logged.of("run queued"), logged.of("run over")
    assert queued == PLACE | {"event": "run queued", "run": run_id, "trigger": "manual", "commit": "a" * 40}
    assert isinstance(over.pop("duration_ms"), int)
    assert over == PLACE | {"event": "run over", "run": run_id, "outcome": "cancelled", "reason": "cancelled"}


def test_a_push_begins_its_runs_once(database: Database, tmp_path: Path, logged: Logged) -> None:
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    for key in ("first", "first", "second hook"):
        accept(inbox, Delivery(hook="github", key=key), Push(event="push", repo=REPO, changes=(MOVE,)))

    assert [(line["run"], line["trigger"]) for line in logged.of("run queued")] == [(1, "push")]


def test_what_was_not_written_down_is_not_told(database: Database) -> None:
    told: list[int] = []

    def fail() -> None:
        with database.write() as connection:
            after_commit(connection, lambda: told.append(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.write() as connection:
        after_commit(connection, lambda: told.append(2))
        assert told == []
    assert told == [2]
