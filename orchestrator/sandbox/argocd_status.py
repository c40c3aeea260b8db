"""How the controller of the stand-in edits an Application's status: plain edits of one object, no I/O."""

from orchestrator.sandbox import argocd_objects as objects
from orchestrator.sandbox.argocd_objects import REFRESH, REFRESH_TIME, Json, SandboxApplication, timestamp


def compared(app: SandboxApplication, found: Json, started: str, revision: str) -> None:
    """Write down a comparison that worked; whether something differs is evaluated in the same update."""
    status = found["status"]
    status["sync"] = {
        "status": status["sync"]["status"],
        "comparedTo": objects.compared_to(app),
        "revision": revision,
    }
    status["reconciledAt"] = started
    status["sourceType"] = "Helm"
    status["resourceHealthSource"] = "appTree"
    status["controllerNamespace"] = objects.NAMESPACE
    status["sourceHydrator"] = {}
    drop_condition(found, "ComparisonError")


def set_health(status: Json, health: str, cause: str) -> None:
    """Write down the health; its time moves only when it changes."""
    if status["health"].get("status") != health:
        status["health"] = {"status": health, "lastTransitionTime": timestamp()}
        if health in ("Progressing", "Degraded"):
            status["health"]["message"] = cause


def cannot_load(app: SandboxApplication, found: Json, started: str, message: str) -> None:
    """Say that the target state is unknown: the revision is then the branch's name, and the old pods run on."""
    status = found["status"]
    status["conditions"] = [objects.condition("ComparisonError", message, status.get("conditions", []))]
    status["sync"] = {"status": "Unknown", "comparedTo": objects.compared_to(app), "revision": app.branch}
    status["reconciledAt"] = started


def refreshed(found: Json, asked: str | None) -> None:
    """Take the refresh annotation away, unless it was set anew meanwhile."""
    annotations = found["metadata"].get("annotations", {})
    if annotations.get(REFRESH_TIME) == asked:
        annotations.pop(REFRESH, None)
        annotations.pop(REFRESH_TIME, None)
    if not annotations:
        found["metadata"].pop("annotations", None)


def drop_condition(found: Json, kind: str) -> None:
    """Take the condition of a type away."""
    left = [c for c in found["status"].pop("conditions", []) if c["type"] != kind]
    if left:
        found["status"]["conditions"] = left


def add_condition(found: Json, kind: str, message: str) -> None:
    """Put a condition beside those of other types."""
    others = [c for c in found["status"].get("conditions", []) if c["type"] != kind]
    found["status"]["conditions"] = [
        *others,
        objects.condition(kind, message, found["status"].get("conditions", [])),
    ]


def finish(app: SandboxApplication, found: Json, state: Json) -> None:
    """Write down the end of an operation; sync status and health stay as they were before it (the window)."""
    found.pop("operation", None)
    found["status"]["operationState"] = state
    if state["phase"] == "Succeeded" and not state["operation"]["sync"].get("dryRun"):
        history = found["status"].get("history", [])
        number = history[-1]["id"] + 1 if history else 0
        found["status"]["history"] = [*history, objects.history_entry(app, number, state)][-objects.HISTORY :]
