"""The values of all metrics, read in one consistent look at the tables: every process reports the same."""

from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.domain import metrics
from orchestrator.domain.apps import Settings
from orchestrator.domain.metrics import METRICS, Labels, MetricKind
from orchestrator.domain.reasons import CATALOGUE, Actor
from orchestrator.services.ledger import queue_at
from orchestrator.store import figures, processes, tallies, unread
from orchestrator.store.database import Connection
from orchestrator.store.figures import ActiveRun
from orchestrator.store.tallies import Sums
from orchestrator.version import version

ALIVE = 60.0
"""Seconds for which a process counts as alive after it was last seen."""

Values = Mapping[Labels, float]


def measure(connection: Connection, settings: Settings, now: float) -> Sums:
    """Return every value of every metric, those that are 0 so far included."""
    known = configured(settings)
    sums: Sums = {}
    for metric in METRICS:
        end = ("+Inf",) if metric.kind is MetricKind.HISTOGRAM else ()
        sums.update({(metric.name, (*labels, *end)): 0.0 for labels in metric.initial(known)})
    sums.update(tallies.read(connection))
    for name, values in _gauges(connection, now).items():
        sums.update({(name, labels): value for labels, value in values.items()})
    blind = unread.of_apps(connection).keys() & {app.name for app in settings.apps}
    sums[metrics.UNREAD.name, ()] = float(len(blind))
    return sums


def configured(settings: Settings) -> dict[str, Sequence[Labels]]:
    """Return the label values that the configuration and the code know."""
    return {
        "app": [(app.name, environment.name) for app in settings.apps for environment in app.environments],
        "forge": [(hook.forge,) for hook in settings.hooks],
        "channel": [(channel.name,) for channel in settings.channels],
        "reason": [
            (reason.value, known.actor) for reason, known in CATALOGUE.items() if known.actor is not Actor.NOBODY
        ],
        "version": [(version(),)],
    }


def _gauges(connection: Connection, now: float) -> dict[str, Values]:
    active = figures.active(connection, now)
    alive = processes.alive(connection, now - ALIVE)
    return {
        metrics.QUEUE_RUNS.name: Counter((queue_at(run.stage), _turn(run, now)) for run in active),
        metrics.QUEUE_OLDEST.name: _oldest(active, now),
        metrics.ACTIVE.name: Counter((run.app, run.environment, run.state) for run in active),
        metrics.AT_STAGE.name: Counter((run.stage.value, run.state) for run in active),
        metrics.DEPLOY_AGE.name: _ages(active, now),
        metrics.HELD.name: dict.fromkeys(figures.holds(connection), 1.0),
        metrics.PENDING.name: {(name,): number for name, number in figures.pending_notifications(connection).items()},
        metrics.WORKERS.name: Counter((str(row["facts"].get("queue")),) for row in alive if row["kind"] == "worker"),
        metrics.RELAYS.name: {(): sum(row["kind"] == "relay" for row in alive)},
        metrics.BUILD_INFO.name: {(version(),): 1.0},
    }


def _turn(run: ActiveRun, now: float) -> str:
    """Say whether a worker has the run, or the run waits for one, or for something else."""
    if run.leased_until is not None and run.leased_until >= now:
        return "running"
    return "ready" if run.due_at is not None else "waiting"


def _oldest(active: Sequence[ActiveRun], now: float) -> Values:
    oldest: dict[Labels, float] = {}
    for run in active:
        if run.due_at is not None and _turn(run, now) == "ready":
            queue = (queue_at(run.stage),)
            oldest[queue] = max(oldest.get(queue, 0.0), now - run.due_at)
    return oldest


def _ages(active: Sequence[ActiveRun], now: float) -> Values:
    ages: dict[Labels, float] = {}
    for run in active:
        if run.landed_at is not None:
            where = (run.app, run.environment)
            ages[where] = max(ages.get(where, 0.0), now - run.landed_at)
    return ages
