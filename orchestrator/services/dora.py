"""The four figures of DORA for each environment, from the deployments themselves."""

from collections.abc import Sequence
from statistics import median

from orchestrator.services.views import View
from orchestrator.store import deployments
from orchestrator.store.database import Connection
from orchestrator.store.deployments import Deployment

DAY = 86400.0


def dora(connection: Connection, now: float, days: int, *, app: str = "", environment: str = "") -> View:
    """Summarize the last `days`, each environment by itself; medians and rates without a value are None."""
    by_environment: dict[tuple[str, str], list[Deployment]] = {}
    for one in deployments.since(connection, now - days * DAY, app=app, environment=environment):
        by_environment.setdefault((one.app, one.environment), []).append(one)
    return {"days": days, "items": [_summary(where, found, days) for where, found in sorted(by_environment.items())]}


def _summary(where: tuple[str, str], found: Sequence[Deployment], days: int) -> View:
    good = [one for one in found if one.result == "succeeded"]
    failures = sum(one.failed_at is not None for one in found)
    leads = [max(0.0, one.at - one.committed_at) for one in good if one.committed_at is not None]
    return {
        "app": where[0],
        "environment": where[1],
        "deployments": len(found),
        "succeeded": len(good),
        "deployments_per_day": round(len(found) / days, 3),
        "change_failures": failures,
        "change_failure_rate": round(failures / len(found), 3),
        "lead_time_seconds": _median(leads),
        "restore_seconds": _median(_outages(found)),
    }


def _outages(found: Sequence[Deployment]) -> list[float]:
    """Return how long each outage lasted: from its first failure to the success that ended it."""
    began: dict[float, float] = {}
    for one in found:
        if one.failed_at is not None and one.restored_at is not None:
            began[one.restored_at] = min(one.failed_at, began.get(one.restored_at, one.failed_at))
    return [end - begin for end, begin in began.items()]


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 3) if values else None
