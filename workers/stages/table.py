"""Every stage there is: what runs it. Retries and timeouts are in `orchestrator.engine.policy`."""

from collections.abc import Callable, Mapping

from orchestrator.domain.runs import Outcome, StageName
from workers.stages import build, check, commit, health, push, scan, sync
from workers.stages.order import Order, Tools

STAGES: Mapping[StageName, Callable[[Order, Tools], Outcome]] = {
    StageName.CHECK: check.run,
    StageName.BUILD: build.run,
    StageName.PUSH: push.run,
    StageName.SCAN: scan.run,
    StageName.COMMIT: commit.run,
    StageName.SYNC: sync.run,
    StageName.HEALTH: health.run,
}
