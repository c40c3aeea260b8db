"""The ``fields`` parameter of Argo CD: a fixed set of names for LIST, any path for streams."""

from collections.abc import Iterable

from orchestrator.sandbox.argocd_objects import Json

LIST_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.annotations",
    "metadata.labels",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "spec",
    "status.sourceHydrator",
    "status.sync.status",
    "status.health",
    "status.summary",
    "status.operationState.startedAt",
    "status.operationState.finishedAt",
    "status.operationState.phase",
    "status.resources",
    "operation.sync",
)
"""The names that LIST knows; every other one is dropped without a word (so no revision and no reconciledAt)."""


def listed(app: Json, fields: str) -> Json:
    """Return an application as LIST shows it.

    :param fields: the parameter: ``items.metadata.name,...``, or ``-items.spec,...`` for all known ones but these.
    """
    status = dict(app["status"])
    status["resources"] = [{k: v for k, v in r.items() if k != "health"} for r in status.get("resources", [])]
    if not status["resources"]:
        del status["resources"]
    shown = {**app, "status": status}
    if not fields:
        return shown
    named = {name.removeprefix("items.") for name in fields.removeprefix("-").split(",")}
    return picked(shown, [name for name in LIST_FIELDS if (name in named) != fields.startswith("-")])


def trimmed(frame: Json, fields: str) -> Json:
    """Return a frame of a stream with the named paths only, or without them when the list begins with a dash."""
    if not fields:
        return frame
    paths = fields.removeprefix("-").split(",")
    return _without(frame, {tuple(path.split(".")) for path in paths}) if fields[0] == "-" else picked(frame, paths)


def picked(found: Json, paths: Iterable[str]) -> Json:
    """Return an object that holds just these dotted paths, as far as they exist."""
    result: Json = {}
    for path in paths:
        value: object = found
        parts = path.split(".")
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            continue
        inner = result
        for part in parts[:-1]:
            inner = inner.setdefault(part, {})
        inner[parts[-1]] = value
    return result


def _without(found: Json, paths: set[tuple[str, ...]], at: tuple[str, ...] = ()) -> Json:
    return {
        key: _without(value, paths, (*at, key)) if isinstance(value, dict) else value
        for key, value in found.items()
        if (*at, key) not in paths
    }
