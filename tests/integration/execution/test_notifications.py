"""Which message is sent next and how often one is tried, on both databases."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.domain.masking import Mask
from orchestrator.domain.messages import KINDS
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.faults import HttpFault
from orchestrator.services import outbox
from orchestrator.services.outbox import ATTEMPTS, PAUSES, Outbox, Parcel
from orchestrator.store import clicks, notifications, runs
from orchestrator.store.database import Database
from orchestrator.store.runs import NewRun, Trigger
from orchestrator.store.schema import runs as runs_table
from tests.support.chats import chat
from tests.support.databases import postgres_database
from tests.support.executing import Workshop
from tests.support.messages import STARTED, channel_to
from workers.messenger import Messenger

__all__ = ["chat"]

NOW = 1_000_000.0
LONGEST_LEASE = max(notifications.LEASE, clicks.LEASE)
Takes = Callable[[Database, float], bool]


def queue(workshop: Workshop, *queued: tuple[int, str, float]) -> None:
    """Queue messages (run, type, seconds until it is due), for runs that are made as far as they are missing."""
    with workshop.database.write() as connection:
        for _ in range(max(run for run, _, _ in queued)):
            new = NewRun(app="plate-web", environment="stg", trigger=Trigger.MANUAL)
            runs.add(connection, [(new, None)], NOW)
        rows = [
            {"run_id": run, "channel": "ops", "type": kind, "message": asdict(STARTED), "state": "pending"}
            | {"due_at": NOW + later, "created_at": NOW}
            for run, kind, later in queued
        ]
        notifications.add(connection, rows)


def taken(workshop: Workshop) -> list[tuple[int, str]]:
    """Take what may be sent, each counted as sent at once: (run, type)."""
    found = []
    while True:
        with workshop.database.read() as connection:
            due = notifications.is_due(connection, "ops", NOW)
        with workshop.database.write() as connection:
            row = notifications.take_next(connection, "ops", NOW)
            assert due is (row is not None)
            if row is None:
                return found
            notifications.sent(connection, row, "", NOW)
        found.append((row["run_id"], row["type"]))


def test_messages_of_a_run_go_in_their_order(workshop: Workshop) -> None:
    queue(workshop, (1, "run.started", 0), (2, "run.started", -5), (1, "run.failed", -9))
    assert taken(workshop) == [(1, "run.started"), (2, "run.started"), (1, "run.failed")]


def test_a_message_waits_for_an_older_one_of_its_run_that_is_postponed_or_on_its_way(workshop: Workshop) -> None:
    queue(workshop, (1, "run.started", 600), (1, "run.failed", 0), (2, "run.started", 0), (2, "run.failed", 0))
    with workshop.database.write() as connection:
        row = notifications.take_next(connection, "ops", NOW)
        assert row is not None
        assert (row["run_id"], row["type"]) == (2, "run.started")
    assert taken(workshop) == []


def test_runs_whose_messages_wait_keep_no_other_run_silent(workshop: Workshop) -> None:
    postponed = [(run, "run.started", 600.0) for run in range(1, 61)]
    blocked = [(run, "run.failed", -60.0) for run in range(1, 61)]
    queue(workshop, *postponed, *blocked, (61, "run.failed", 0.0))
    assert taken(workshop) == [(61, "run.failed")]


def test_of_the_runs_of_one_commit_in_a_place_only_the_newest_speaks_where_the_last_word_counts(
    workshop: Workshop,
) -> None:
    queue(workshop, *((run, "run.failed", 0.0) for run in (1, 2, 3, 4)))
    with workshop.database.write() as connection:
        for run, commit, place in ((1, "a", "stg"), (2, "a", "prod"), (3, "b", "stg"), (4, "a", "stg")):
            where = {"commit": commit * 40, "environment": place}
            connection.execute(runs_table.update().where(runs_table.c.id == run).values(**where))
    outbox, told = Outbox(workshop.database), []
    while parcel := outbox.next("ops", KINDS["github-status"]):
        told.append(parcel.row["run_id"])
        outbox.sent(parcel, "")
    assert told == [2, 3, 4]
    with workshop.database.read() as connection:
        assert notifications.of_run(connection, 1)[0]["state"] == "merged"


def test_a_run_of_which_people_have_just_been_told_is_left_alone_and_no_other_one_is(workshop: Workshop) -> None:
    queue(workshop, (1, "run.started", 0), (1, "run.progressed", 0), (2, "run.started", 0))
    with workshop.database.write() as connection:
        first = notifications.take_next(connection, "ops", NOW, 3.0)
        assert first is not None
        notifications.sent(connection, first, "", NOW)
        order = []
        for at in (NOW + 1, NOW + 1, NOW + 2.9, NOW + 3):
            row = notifications.take_next(connection, "ops", at, 3.0)
            order.append((row["run_id"], row["type"]) if row else None)
    assert order == [(2, "run.started"), None, None, (1, "run.progressed")]


def test_a_clock_that_was_set_back_silences_nobody(workshop: Workshop) -> None:
    queue(workshop, (1, "run.started", 0), (1, "run.succeeded", 0))
    with workshop.database.write() as connection:
        first = notifications.take_next(connection, "ops", NOW)
        assert first is not None
        notifications.sent(connection, first, "", NOW + 3600)
        after = notifications.take_next(connection, "ops", NOW, 3.0)
    assert after is not None
    assert after["type"] == "run.succeeded"


def takes_message(database: Database, at: float) -> bool:
    with database.write() as connection:
        return notifications.take_next(connection, "ops", at) is not None


def takes_click(database: Database, at: float) -> bool:
    with database.write() as connection:
        return clicks.take_next(connection, "ops", at) is not None


def queue_both(workshop: Workshop) -> None:
    queue(workshop, (1, "run.started", -NOW))
    with workshop.database.write() as connection:
        clicks.add(connection, "ops", {}, NOW)


@pytest.mark.parametrize("wrong", [-600.0, 600.0])
@pytest.mark.parametrize("takes", [takes_message, takes_click])
def test_what_a_machine_with_a_wrong_clock_has_taken_is_not_taken_twice(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: Takes, wrong: float
) -> None:
    with postgres_database(postgres_url) as database:
        queue_both(Workshop(database, tmp_path))
        with monkeypatch.context() as there:
            clocks = SimpleNamespace(time=lambda: time.time() + wrong, monotonic=time.monotonic)
            there.setattr("orchestrator.store.database.time", clocks)
            assert takes(database, time.time() + wrong)
        assert not takes(database, time.time())
        assert takes(database, time.time() + LONGEST_LEASE + 1), "nor does it keep it for longer"


@pytest.mark.parametrize("takes", [takes_message, takes_click])
def test_what_was_taken_when_the_clock_was_ahead_is_taken_again(workshop: Workshop, takes: Takes) -> None:
    queue_both(workshop)
    assert takes(workshop.database, NOW + 3600)
    assert takes(workshop.database, NOW)
    assert not takes(workshop.database, NOW)


class Clock:
    """A time that a test sets."""

    at = NOW

    def __call__(self) -> float:
        return self.at


class Sender:
    """Tries the one message of a channel again as soon as that is due, and notes the pauses."""

    def __init__(self, workshop: Workshop, clock: Clock) -> None:
        queue(workshop, (1, "run.started", 0))
        self.workshop, self.clock, self.outbox = workshop, clock, Outbox(workshop.database)

    def take(self) -> Parcel:
        parcel = self.outbox.next("ops", KINDS["slack"])
        assert parcel is not None
        return parcel

    def pause(self, retry_after: float | None = None, *, limited: bool = False, lost: bool = False) -> float:
        """Fail once; return the seconds until the next try."""
        self.outbox.postpone(self.take(), "HTTP 503", retry_after, limited=limited, lost=lost)
        pause = float(self.row["due_at"]) - self.clock.at
        self.clock.at += pause
        return pause

    @property
    def row(self) -> dict[str, object]:
        with self.workshop.database.read() as connection:
            return notifications.of_run(connection, 1)[0]


@pytest.fixture
def sender(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Sender:
    clock = Clock()
    monkeypatch.setattr(outbox, "clock", clock)
    monkeypatch.setattr(outbox, "JITTER", 0.0)
    return Sender(workshop, clock)


def test_a_service_in_trouble_that_asks_for_a_short_pause_is_tried_for_most_of_a_day(sender: Sender) -> None:
    assert [sender.pause(5.0) for _ in PAUSES] == list(PAUSES)
    assert sender.clock.at - NOW > 15 * 3600
    sender.outbox.postpone(sender.take(), "HTTP 503", 5.0)
    assert (sender.row["state"], sender.row["detail"]) == ("failed", f"given up after {ATTEMPTS} attempts: HTTP 503")


def test_pauses_differ_a_little_so_that_not_all_come_back_at_once(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "JITTER", 0.2)
    pauses = [sender.pause() for _ in PAUSES]
    assert all(least <= pause <= 1.2 * least for least, pause in zip(PAUSES, pauses, strict=True))
    assert pauses != list(PAUSES)
    assert sender.pause(30.0, limited=True) == 30.0, "a rate limit is kept as it says"


def test_a_service_in_trouble_may_ask_for_more_but_not_for_ever(sender: Sender) -> None:
    assert [sender.pause(60.0), sender.pause(float("inf")), sender.pause(None)] == [60.0, PAUSES[-1], PAUSES[2]]


def test_a_rate_limit_is_waited_for_as_it_says_and_is_no_attempt(sender: Sender) -> None:
    assert [sender.pause(30.0, limited=True) for _ in range(30)] == [30.0] * 30
    assert sender.pause(0.0, limited=True) == 1.0, "nobody is asked without a pause"
    assert sender.row["attempt"] == 0
    assert sender.pause() == PAUSES[0], "the first failure"


def test_a_rate_limit_that_lasts_for_a_day_is_a_failure(sender: Sender) -> None:
    sender.clock.at += 24 * 3600
    assert [sender.pause(1.0, limited=True) for _ in PAUSES] == list(PAUSES)
    sender.outbox.postpone(sender.take(), "HTTP 429", 1.0, limited=True)
    assert sender.row["state"] == "failed"


def test_a_rate_limit_at_the_last_attempt_does_not_give_the_message_up(sender: Sender) -> None:
    for _ in PAUSES:
        sender.pause(5.0)
    assert sender.pause(30.0, limited=True) == 30.0
    assert sender.row["state"] == "pending"


def test_a_message_that_may_be_there_already_is_sent_once_more_only(sender: Sender) -> None:
    assert sender.pause() == PAUSES[0], "this one did not arrive"
    assert sender.pause(lost=True) == PAUSES[1]
    assert [sender.pause(), sender.pause(1.0, limited=True)] == [PAUSES[2], 1.0], "nor did these"
    sender.outbox.postpone(sender.take(), "no answer in time", None, lost=True)
    said = "given up after 4 attempts; it may have arrived: no answer in time"
    assert (sender.row["state"], sender.row["detail"]) == ("failed", said)


@pytest.mark.parametrize("kind", ["slack", "slack-api"])
def test_of_answers_that_are_always_lost_come_two_copies(sender: Sender, chat: SandboxChat, kind: str) -> None:
    chat.faults.add(HttpFault(drop="after", times=20))
    messenger = Messenger(replace(channel_to(chat, kind), name="ops"), sender.outbox, Mask(()))
    for _ in range(ATTEMPTS + 1):
        messenger.once(threading.Event())
        sender.clock.at += PAUSES[-1]
    assert len(chat.slack.shown) == 2
    assert sender.row["state"] == "failed"
