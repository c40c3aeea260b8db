"""Situations of an application, as changes to a healthy one, and two looks at it."""

from datetime import timedelta

from tests.support.applications import NOW
from workers.gitops.readiness import judge


def seconds(count):
    """Return a span of time."""
    return timedelta(seconds=count)


def watched(application, wanted, lasting, memory=None):
    """Look twice, `lasting` seconds apart, and return both verdicts."""
    first = judge(application, wanted, NOW, memory)
    return first, judge(application, wanted, NOW + seconds(lasting), first.memory)


ARGO = "argocd.argoproj.io"
RESULT = "status.operationState.syncResult.resources"
OUT_OF_SYNC = {"status.sync.status": "OutOfSync"}
NO_OPERATION = {"status.operationState": None}
RUNNING = {"status.operationState.phase": "Running", "status.operationState.finishedAt": None}
FAILED = {"status.operationState.phase": "Failed", "status.operationState.message": "a hook failed"}
