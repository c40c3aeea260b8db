"""The four figures of DORA for each environment, from the deployments themselves."""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

from orchestrator.services.views import View
from orchestrator.store import deployments
from orchestrator.store.database import Connection
from orchestrator.store.deployments import DoraRow

DAY = 86400.0


@dataclass(slots=True)
class _Totals:
    """What is added up of one environment. ``outages``: when each ended -> when its first failure was."""

    deployments: int = 0
    succeeded: int = 0
    failures: int = 0
    leads: list[float] = field(default_factory=list)
    outages: dict[float, float] = field(default_factory=dict)

    def add(self, one: DoraRow) -> None:
        """Add a deployment."""
        self.deployments += 1
        if one.result == "succeeded":
            self.succeeded += 1
            if one.committed_at is not None:
                self.leads.append(max(0.0, one.at - one.committed_at))
        if one.failed_at is not None:
            self.failures += 1
            if one.restored_at is not None:
                self.outages[one.restored_at] = min(one.failed_at, self.outages.get(one.restored_at, one.failed_at))


def dora(connection: Connection, now: float, days: int, *, app: str = "", environment: str = "") -> View:
    """Summarize the last `days`, each environment by itself; medians and rates without a value are None."""
    by_environment: dict[tuple[str, str], _Totals] = defaultdict(_Totals)
    for one in deployments.since(connection, now - days * DAY, app=app, environment=environment):
        by_environment[one.app, one.environment].add(one)
    return {"days": days, "items": [_summary(where, found, days) for where, found in sorted(by_environment.items())]}


def _summary(where: tuple[str, str], found: _Totals, days: int) -> View:
    return {
        "app": where[0],
        "environment": where[1],
        "deployments": found.deployments,
        "succeeded": found.succeeded,
        "deployments_per_day": round(found.deployments / days, 3),
        "change_failures": found.failures,
        "change_failure_rate": round(found.failures / found.deployments, 3),
        "lead_time_seconds": _median(found.leads),
        "restore_seconds": _median([end - began for end, began in found.outages.items()]),
    }


def _median(values: list[float]) -> float | None:
    return round(median(values), 3) if values else None
