"""What is asked again and again, or while others wait for the write lock, reads no history, however long that is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from orchestrator.domain.glances import Witness
from orchestrator.domain.runs import Trigger
from orchestrator.store import (
    changes,
    claims,
    clicks,
    deliveries,
    deployments,
    environments,
    figures,
    glances,
    idempotency,
    images,
    landings,
    logs,
    names,
    notifications,
    polls,
    pushes,
    retention,
    runs,
    tallies,
    unread,
    waits,
    wakes,
)
from orchestrator.store.database import Database
from orchestrator.store.deployments import Deployment
from orchestrator.store.runs import NewRun
from tests.support import history
from tests.support.databases import postgres_database, postgres_url, sqlite_database
from tests.support.factories import make_run
from tests.support.history import RUNS

__all__ = ["postgres_url"]

NOW = 1_000_000.0
STG = ("plate-web", "stg")
PLACES = [STG, *((f"app-{number}", "stg") for number in range(9))]
HEAD = NewRun(app="plate-web", environment="stg", trigger=Trigger.POLL, ref="refs/heads/main", commit="new")
NEXT = make_run(id=RUNS + 1)
MAKER = make_run(id=RUNS + 1, image="h/p:sha-1")
AGAIN = make_run(id=RUNS + 1, digest="sha256:1")
BAD = Deployment(
    app="plate-web", environment="stg", commit="new", result="failed", run_id=RUNS, committed_at=None, at=NOW
)
QUESTIONS: dict[str, Callable[[Connection], object]] = {
    # What a delivery and a moved head ask.
    "delivery seen before": lambda c: deliveries.seen(c, [("github", "key-7"), ("github", "new")]),
    "refused deliveries too many": deliveries.prune_refused,
    "the same push by another hook": lambda c: pushes.recent_twin(c, ["move-7", "new"], 0.0),
    "runs of deliveries": lambda c: runs.of_deliveries(c, [1, 2, RUNS]),
    "run of a head": lambda c: pushes.covering(c, HEAD),
    "run of a head that hooks are behind": lambda c: pushes.covering(c, HEAD, checked=True),
    "commit that was there": lambda c: pushes.has_run(c, HEAD),
    "new run": lambda c: runs.add(c, [(NewRun(app="plate-web", environment="stg", trigger=Trigger.PUSH), None)], NOW),
    # What a run asks on its way.
    "one run": lambda c: runs.load(c, 77),
    "claim": lambda c: claims.claim(c, 77, "worker", NOW),
    "heartbeat": lambda c: claims.renew(c, 77, 1, NOW),
    "occupancy": lambda c: environments.occupancy(c, NEXT, NOW),
    "rivals": lambda c: runs.rivals(c, NEXT),
    "number of a landing": lambda c: landings.number(c, make_run(id=77)),
    "what landed later": lambda c: landings.later(c, make_run(id=RUNS - 50)),
    "another image proven since": lambda c: runs.is_other_proven(c, AGAIN, 77),
    "last in Git": lambda c: runs.landed(c, *STG),
    "rollback under way": lambda c: runs.going_back(c, *STG),
    "runs that wait for a place": lambda c: runs.waiting_in(c, *STG),
    "older promotions": lambda c: runs.older_promotions(c, NEXT),
    "runs of older commits": lambda c: runs.overtaken(c, NEXT),
    "who makes an image": lambda c: images.maker(c, MAKER),
    "who waits for an image": lambda c: images.waiting_for(c, MAKER),
    "where a run is": lambda c: names.of_run(c, 77),
    "where a history is": lambda c: names.home(c, STG),
    "whether a history is left": lambda c: names.is_left(c, STG, ("web", "stg")),
    "attempts": lambda c: runs.attempts_of(c, NEXT),
    "change queued": lambda c: changes.submit(c, 77, "gitops main", {}, NOW),
    "changes to write": lambda c: changes.take_batch(c, "gitops main"),
    "changes answered": lambda c: changes.finish(c, [(77, "landed", {}), (78, "rejected", {})]),
    "oldest change": lambda c: changes.oldest_waiting(c, "gitops main"),
    "time of a commit": lambda c: deployments.commit_time(c, "plate-web", "new"),
    "new deployment": lambda c: deployments.add(c, BAD),
    "which of some landed last": lambda c: landings.last_of(c, [RUNS - one for one in range(landings.LATE)]),
    "last in Git before": lambda c: runs.landed_before(c, NEXT),
    "bad deployment": lambda c: deployments.fail(c, *STG, "commit-77", NOW),
    "failures over": lambda c: deployments.restore(c, *STG, NOW),
    "messages merged": lambda c: notifications.merge_older(c, 77, "ops"),
    "message due": lambda c: notifications.is_due(c, "ops", NOW, 3.0),
    "next message": lambda c: notifications.take_next(c, "ops", NOW, 3.0),
    "message of an older run": lambda c: notifications.is_outdated(c, {"run_id": 77, "channel": "ops"}),
    "new click": lambda c: clicks.add(c, "ops", {}, NOW),
    "click due": lambda c: clicks.is_due(c, "ops", NOW),
    "next click": lambda c: clicks.take_next(c, "ops", NOW),
    "click over": lambda c: clicks.forget(c, 77),
    "clicks that nobody takes": lambda c: clicks.forget_older(c, NOW - 3600),
    "end of a log": lambda c: logs.before_last(c, 77, 20, "build"),
    "messages of a channel with another name": lambda c: notifications.readdress(c, "ops", "team"),
    "messages of a run": lambda c: notifications.of_run(c, 77),
    # What the relay and the reconciler ask.
    "wake-ups due": lambda c: wakes.take_due(c, NOW),
    "next wake-up": wakes.next_due,
    "runs without a wake-up": lambda c: wakes.without(c, NOW),
    "leases that are too long": lambda c: claims.are_ahead(c, NOW),
    "wake-ups that are too far": lambda c: wakes.too_far(c, NOW, 3600.0),
    "runs whose worker vanished": lambda c: claims.expired(c, NOW),
    "runs at one application": lambda c: waits.at_now(c, ("sync", "health"), ["plate-web"]),
    "runs that wait for Argo CD": lambda c: waits.waiting_at(c, ("sync", "health")),
    "counts added up": lambda c: tallies.fold(c, [7, 77]),
    "run with records": lambda c: retention.next_run(c, 0),
    "records dropped": lambda c: retention.drop_records(c, 77),
    "deliveries dropped": lambda c: retention.drop_deliveries(c, 150.0),
    # What a client, a page or a scrape asks.
    "new idempotency key": lambda c: idempotency.claim(c, "new", "", idempotency.KEY_LIFETIME + 50.0),
    "newest runs": runs.page,
    "newest runs of an app": lambda c: runs.page(c, app="plate-web"),
    "newest runs of a place": lambda c: runs.page(c, app="plate-web", environment="stg"),
    "newest runs of a commit": lambda c: runs.page(c, commit="abcd"),
    "newest runs of a commit in a place": lambda c: runs.page(c, app="plate-web", environment="stg", commit="abcd"),
    "runs of environments that are new": lambda c: runs.page(c, environment="qa"),
    "runs that failed": lambda c: runs.page(c, state="failed", limit=100),
    "runs that failed in an environment": lambda c: runs.page(c, state="failed", environment="qa"),
    "runs at work": lambda c: runs.page(c, state="running"),
    "runs at work in a place": lambda c: runs.page(c, app="plate-web", environment="stg", state="running"),
    "newest deliveries": deliveries.page,
    "newest deliveries of an outcome": lambda c: deliveries.page(c, outcome="ignored"),
    "newest deliveries of a forge": lambda c: deliveries.page(c, hook="github"),
    "newest deliveries of a forge that sends none": lambda c: deliveries.page(c, hook="gogs"),
    "newest deliveries of a forge and an outcome": lambda c: deliveries.page(c, hook="github", outcome="pinged"),
    "how an environment stands": lambda c: figures.standings(c, [STG]),
    "how environments stand": lambda c: figures.standings(c, PLACES),
    "polls that are asked for": polls.waiting,
    "last polls": polls.last,
    "poll asked for": lambda c: polls.ask(c, "plate-web", "mina", NOW),
    "apps that could not be read": unread.of_apps,
    "app that could not be read": lambda c: unread.note(c, "plate-web", "The forge is away.", NOW),
    "app that could be read": lambda c: unread.note(c, "plate-web", "", NOW),
    "last looks": glances.last_looks,
    "glances at an app": lambda c: glances.of_apps(c, ["plate-web"]),
    "glances of a witness": lambda c: glances.of_witness(c, Witness.GIT),
    "new glance": lambda c: glances.write(c, Witness.GIT, {STG: {"value": "sha-2"}}),
    "look noted": lambda c: glances.looked(c, Witness.GIT, glances.LastLook(seen_at=NOW)),
    "runs that are not over": lambda c: figures.active(c, NOW),
    "why runs are not over": figures.reasons_of_active,
    "messages that wait": figures.pending_notifications,
    "deployments of late": lambda c: list(deployments.since(c, NOW)),
    "the first of a year's deployments": lambda c: next(deployments.since(c, 0.0)),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def long_used(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite":
        database = sqlite_database(Path(tmp_path_factory.mktemp("long-used")))
        history.fill(database.engine)
        yield database
        database.close()
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as database:
            history.fill(database.engine)
            yield database


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_history_is_read(long_used: Database, question: str) -> None:
    with long_used.engine.connect() as connection:
        assert history.cost(connection, QUESTIONS[question]) < history.COST
        connection.rollback()
