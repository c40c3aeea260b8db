"""How often and how long each stage is tried: data, not code."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.runs import StageName

_MOST_DOUBLED = 64
"""Doublings of a pause, more than any cap leaves: where tries have no bound, they come to more than a float holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a stage is tried.

    :param attempts: tries when a service does not answer; 0: until the deadline. Nine are two minutes: a service that
        is restarted is back by then, and nothing starts a failed push again.
    :param first: seconds before the second try; each further pause doubles, up to `cap`.
    :param crashes: how often a worker may vanish while at this stage before the run is given up (a poison run
        would otherwise kill workers for ever).
    """

    attempts: int = 9
    first: float = 1.0
    cap: float = 30.0
    crashes: int = 5

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after try number `attempt` (from 1)."""
        return min(self.cap, self.first * 2.0 ** min(attempt - 1, _MOST_DOUBLED))


POLICIES: Mapping[StageName, RetryPolicy] = {
    StageName.CHECK: RetryPolicy(),
    StageName.BUILD: RetryPolicy(),
    StageName.PUSH: RetryPolicy(),
    StageName.SCAN: RetryPolicy(attempts=0, cap=15),
    StageName.COMMIT: RetryPolicy(),
    StageName.SYNC: RetryPolicy(attempts=0, cap=15),
    StageName.HEALTH: RetryPolicy(attempts=0, cap=15),
}
TIMEOUTS: Mapping[StageName, float] = {
    StageName.CHECK: 300.0,
    StageName.PUSH: 1800.0,
    StageName.COMMIT: 900.0,
}
"""Seconds from a stage's first look to its end, where nobody configures them."""
