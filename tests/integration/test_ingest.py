"""Deliveries that arrive together are written together, and the same push is told once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.events import Delivery, DeliveryOutcome, Push, RefChange, RefKind, RepoNames
from orchestrator.domain.inbox import Answer
from orchestrator.domain.metrics import DELIVERIES
from orchestrator.services.bell import Bell
from orchestrator.services.ingest import REFUSALS, Ingest
from orchestrator.store import deliveries, migrate, runs, tallies
from orchestrator.store.database import Connection, Database, sqlite_url
from tests.support.factories import make_settings
from tests.support.ingesting import LONGEST, accept, refuse
from tests.support.waiting import until

REPO = RepoNames(full_name="acme/plate-web", urls=("https://git.example.com/acme/plate-web.git",))


def push(commit: str) -> Push:
    change = RefChange(
        ref="refs/heads/main", kind=RefKind.BRANCH, name="main", before="f" * 40, after=commit, commit=commit
    )
    return Push(event="push", repo=REPO, changes=(change,))


def test_many_hooks_that_tell_of_few_pushes_make_one_run_for_each_push(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path)))
    migrate.upgrade(database)
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))

    def send(number: int) -> tuple[str, Answer]:
        commit = f"{number % 4:x}" * 39 + "a"
        return commit, accept(inbox, Delivery(hook="github", key=f"d-{number}"), push(commit))

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(send, range(64)))

    run_of = {commit: answer.body["runs"] for commit, answer in told if answer.status == 202}
    assert sum(answer.status == 202 for _, answer in told) == 4 == len(run_of)
    assert all(answer.body["runs"] == run_of[commit] for commit, answer in told)
    assert all(answer.body.get("duplicate") for _, answer in told if answer.status == 200)
    with database.read() as connection:
        assert len(runs.page(connection)) == 4
        written = {row["id"]: (row["runs"], row["detail"]) for row in deliveries.page(connection, limit=100)}
    for _, answer in told:
        again = (answer.body["runs"], "another delivery told of this push")
        assert written[answer.body["delivery"]] == (([], "") if answer.status == 202 else again)
    database.close()


def test_looking_for_earlier_deliveries_does_not_read_the_whole_table(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path)))
    migrate.upgrade(database)
    said: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: said.append((told[2], told[3])))
    with database.read() as connection:
        deliveries.seen(connection, [("github", "a"), ("gitlab", "b"), ("github", "c")])
        searched = [one for one in said if one[0].startswith("SELECT")]
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", values).all()) for one, values in searched
        ]
    assert len(plans) == 2
    assert all("SEARCH deliveries USING INDEX uq_deliveries_hook_key (hook=? AND key=?)" in plan for plan in plans)
    database.close()


def test_refused_deliveries_do_not_fill_the_disk(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path)))
    migrate.upgrade(database)
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    accept(inbox, Delivery(hook="github", key="genuine"), push("a" * 40))
    reasons = ("signature", "malformed", "too_large", "content_type", "forge")
    rows = [
        deliveries.row_of(
            Delivery(hook="github", key="same"), 1.0, DeliveryOutcome.REFUSED, reasons[number % len(reasons)]
        )
        for number in range(deliveries.KEEP_REFUSED + 50)
    ]
    with database.write() as connection:
        deliveries.add(connection, rows)
    refuse(inbox, Delivery(hook="gitlab", key="k" * 9999, size=2**31 - 1), "too_large", "d" * 9999)
    with database.read() as connection:
        kept = deliveries.page(connection, limit=2000)
    assert [row["outcome"] for row in kept].count("refused") == deliveries.KEEP_REFUSED
    assert (len(kept[0]["key"]), len(kept[0]["detail"])) == (200, 500)
    assert kept[-1]["key"] == "genuine"
    database.close()


def test_of_a_flood_of_refusals_the_first_are_recorded_and_all_are_counted(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path)))
    migrate.upgrade(database)
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    for number in range(5 * REFUSALS):
        refuse(inbox, Delivery(hook="github", key=f"{number}"), "signature", "")
    accept(inbox, Delivery(hook="github", key="genuine"), push("a" * 40))
    with database.read() as connection:
        newest = deliveries.page(connection, limit=2000)
        counted = tallies.read(connection)[DELIVERIES.name, ("github", "refused")]
    refused = [row for row in newest if row["outcome"] == "refused"]
    assert REFUSALS <= len(refused) < 4 * REFUSALS
    assert (newest[0]["key"], counted) == ("genuine", 5 * REFUSALS)
    database.close()


def test_what_could_not_be_written_down_is_said_to_all_who_wait_and_the_next_one_is_taken(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path)))
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    waiting = [inbox.accept(Delivery(hook="github", key=f"d-{number}"), push("a" * 40)) for number in range(2)]
    inbox.flush()
    for written in waiting:
        with pytest.raises(Unavailable, match="no such table"):
            written.result(LONGEST)
    migrate.upgrade(database)
    assert accept(inbox, Delivery(hook="github", key="d-0"), push("a" * 40)).status == 202
    database.close()


class SlowDisk(Database):
    """A database whose transactions begin late, and which has nothing on the disk before it is told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.begun = False
        self.disk = threading.Event()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            time.sleep(0.2)
            self.begun = True
            yield connection
            assert self.disk.wait(LONGEST)


def test_whoever_hands_over_leaves_the_writer_its_turn_and_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.services.ingest.TURN", LONGEST)
    migrate.upgrade(Database(sqlite_url(str(tmp_path))))
    database = SlowDisk(sqlite_url(str(tmp_path)))
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    written = [inbox.accept(Delivery(hook="github", key=f"d-{number}"), push("a" * 40)) for number in range(2)]
    inbox.flush()
    assert (database.begun, [one.done() for one in written]) == (True, [False, False])
    database.disk.set()
    assert [one.result(LONGEST).status for one in written] == [202, 200]
    database.close()


def test_a_writer_that_waits_for_another_one_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look, with as much patience as a test has, finds that the interpreter is not what it waits for."""
    monkeypatch.setattr("orchestrator.services.ingest.TURN", 0.0)
    database, other = Database(sqlite_url(str(tmp_path))), Database(sqlite_url(str(tmp_path)))
    migrate.upgrade(database)
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    with other.write():
        first = inbox.accept(Delivery(hook="github", key="d-1"), push("a" * 40))
        inbox.flush()
        until(lambda: not inbox._waiting, "the writer to begin")
        inbox.flush()
        monkeypatch.setattr("orchestrator.services.ingest.TURN", LONGEST)
        second = inbox.accept(Delivery(hook="github", key="d-2"), push("b" * 40))
        inbox.flush()
        assert (first.done(), second.done()) == (False, False)
    assert [one.result(LONGEST).status for one in (first, second)] == [202, 202]
    database.close()
    other.close()


def test_a_database_that_takes_nothing_now_holds_up_the_writer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.services.ingest.TURN", 0.0)
    database, other = Database(sqlite_url(str(tmp_path))), Database(sqlite_url(str(tmp_path)))
    migrate.upgrade(database)
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    with other.write():
        written = inbox.accept(Delivery(hook="github", key="d-1"), push("a" * 40))
        inbox.flush()
        assert not written.done()
    assert written.result(LONGEST).status == 202
    database.close()
    other.close()


class NoThreads:
    """An executor on a machine that has no more threads."""

    def submit(self, _do: Any) -> None:
        raise RuntimeError("can't start new thread")


def test_what_no_thread_could_be_had_for_is_written_down_later(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path)))
    migrate.upgrade(database)
    inbox = Ingest(database, make_settings(str(tmp_path)), Bell(""))
    written, writer = inbox.accept(Delivery(hook="github", key="d-1"), push("a" * 40)), inbox._writer
    inbox._writer = NoThreads()  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        inbox.flush()
    inbox._writer = writer
    inbox.flush()
    assert written.result(LONGEST).status == 202
    database.close()
