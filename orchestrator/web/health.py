"""Whether we are alive, whether we can work, and a few figures."""

from flask import Response
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from orchestrator.domain.runs import RunState
from orchestrator.web.calls import Asked, to_json
from orchestrator.web.problems import Problem

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OUTCOMES = ("accepted", "ignored", "pinged", "refused")
_NOTIFICATIONS = ("pending", "sent", "failed", "merged")


def get_health(asked: Asked) -> Response:
    """Answer that the process answers; nothing else is looked at, so that nothing else can get us restarted."""
    return to_json({"status": "ok"})


def get_readiness(asked: Asked) -> Response:
    """Answer whether database, schema, broker and workers are there. :raises Problem: 503, with each part missing."""
    missing = asked.site.queries.missing(asked.site.bell)
    if missing:
        errors = [{"in": "service", "field": part, "message": text} for part, text in missing.items()]
        raise Problem(503, "not-ready", f"Not ready: {', '.join(missing)}.", errors=errors)
    return to_json({"status": "ready"})


def get_metrics(asked: Asked) -> Response:
    """Answer with gauges that are read from the tables, so that a restart does not reset them."""
    figures = asked.site.queries.figures()
    registry = CollectorRegistry()
    for name, help_, label, values, counted in (
        ("pilotage_runs", "Runs by state", "state", tuple(RunState), figures.runs),
        ("pilotage_deliveries", "Deliveries kept, by outcome", "outcome", _OUTCOMES, figures.deliveries),
        ("pilotage_notifications", "Notifications by state", "state", _NOTIFICATIONS, figures.notifications),
    ):
        gauge = Gauge(name, help_, [label], registry=registry)
        for value in values:
            gauge.labels(str(value)).set(counted.get(str(value), 0))
    due = Gauge("pilotage_queue_due", "Runs that are due to be looked at", registry=registry)
    due.set(figures.queue.due)
    oldest = Gauge("pilotage_queue_oldest_seconds", "Age of the oldest due wake-up", registry=registry)
    oldest.set(figures.queue.oldest)
    return Response(generate_latest(registry), content_type=METRICS_TYPE)
