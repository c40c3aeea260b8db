"""Argo CD applications of our own making, in the shape of the API, and what a run expects of them."""

from copy import deepcopy
from datetime import UTC, datetime

from workers.gitops.readiness import Expected

OLD, OURS, LATER = "1b" * 20, "75" * 20, "d0" * 20
REPO = "https://git.example.com/platform/gitops.git"
IMAGE, OLD_IMAGE = "harbor.example.com/shop/api:sha-2", "harbor.example.com/shop/api:sha-1"
PUSHED = datetime(2026, 8, 22, 3, 10, 0, 500_000, tzinfo=UTC)
NOW = datetime(2026, 8, 22, 3, 14, tzinfo=UTC)

_SOURCE = {"repoURL": REPO, "path": "helm/shop-api", "targetRevision": "main"}
_HEALTHY = {
    "metadata": {"name": "shop-api", "namespace": "argocd"},
    "spec": {"project": "shop", "source": _SOURCE, "syncPolicy": {"automated": {"prune": True}}},
    "status": {
        "sync": {"status": "Synced", "revision": OURS, "comparedTo": {"source": _SOURCE}},
        "health": {"status": "Healthy", "lastTransitionTime": "2026-08-22T03:12:00Z"},
        "operationState": {
            "phase": "Succeeded",
            "message": "successfully synced (all tasks run)",
            "operation": {"sync": {"revision": OURS}, "retry": {"limit": 5}},
            "syncResult": {"revision": OURS, "source": _SOURCE, "resources": []},
            "startedAt": "2026-08-22T03:11:02Z",
            "finishedAt": "2026-08-22T03:11:08Z",
        },
        "reconciledAt": "2026-08-22T03:12:01Z",
        "resources": [{"group": "apps", "kind": "Deployment", "namespace": "p", "name": "api", "status": "Synced"}],
        "summary": {"images": [IMAGE]},
    },
}


def healthy(changes=None):
    """Return an application that is live with our commit, changed at dotted paths; the value None drops a field."""
    application = deepcopy(_HEALTHY)
    for path, value in (changes or {}).items():
        *way, last = path.split(".")
        here = application
        for step in way:
            here = here.setdefault(step, {})
        if value is None:
            here.pop(last, None)
        else:
            here[last] = value
    return application


def expected(**changes):
    """Return what our run expects: `LATER` contains our commit, `OLD` does not."""
    values = {
        "commit": OURS,
        "image": IMAGE,
        "pushed_at": PUSHED,
        "addresses": (REPO,),
        "branch": "main",
        "contains": lambda revision: revision == LATER,
    }
    return Expected(**(values | changes))


def condition(kind, message="it went wrong", at="2026-08-22T03:11:00Z"):
    """Return one entry of ``status.conditions``."""
    return {"type": kind, "message": message, "lastTransitionTime": at}
