"""Which message is sent next, on both databases."""

from orchestrator.store import notifications, runs
from orchestrator.store.runs import NewRun, Trigger
from tests.support.executing import World

NOW = 1_000_000.0


def queue(world: World, *queued: tuple[int, str, float]) -> None:
    """Queue messages (run, type, seconds until it is due), for runs that are made as far as they are missing."""
    with world.database.write() as connection:
        for _ in range(max(run for run, _, _ in queued)):
            new = NewRun(app="plate-web", environment="stg", trigger=Trigger.MANUAL)
            runs.add(connection, [(new, None)], NOW)
        rows = [
            {"run_id": run, "channel": "ops", "type": kind, "message": {}, "state": "pending"}
            | {"due_at": NOW + later, "created_at": NOW}
            for run, kind, later in queued
        ]
        notifications.add(connection, rows)


def taken(world: World) -> list[tuple[int, str]]:
    """Take what may be sent, each counted as sent at once: (run, type)."""
    found = []
    while True:
        with world.database.read() as connection:
            due = notifications.is_due(connection, "ops", NOW)
        with world.database.write() as connection:
            row = notifications.take_next(connection, "ops", NOW)
            assert due is (row is not None)
            if row is None:
                return found
            notifications.sent(connection, row, "", NOW)
        found.append((row["run_id"], row["type"]))


def test_messages_of_a_run_go_in_their_order(world: World) -> None:
    queue(world, (1, "run.started", 0), (2, "run.started", -5), (1, "run.failed", -9))
    assert taken(world) == [(1, "run.started"), (2, "run.started"), (1, "run.failed")]


def test_a_message_waits_for_an_older_one_of_its_run_that_is_postponed_or_on_its_way(world: World) -> None:
    queue(world, (1, "run.started", 600), (1, "run.failed", 0), (2, "run.started", 0), (2, "run.failed", 0))
    with world.database.write() as connection:
        row = notifications.take_next(connection, "ops", NOW)
        assert row is not None
        assert (row["run_id"], row["type"]) == (2, "run.started")
    assert taken(world) == []


def test_runs_whose_messages_wait_keep_no_other_run_silent(world: World) -> None:
    postponed = [(run, "run.started", 600.0) for run in range(1, 61)]
    blocked = [(run, "run.failed", -60.0) for run in range(1, 61)]
    queue(world, *postponed, *blocked, (61, "run.failed", 0.0))
    assert taken(world) == [(61, "run.failed")]
