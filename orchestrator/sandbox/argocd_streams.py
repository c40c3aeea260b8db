"""The watch streams of the stand-in: newline-delimited JSON, or server-sent events with keepalives.

No header leaves before the first event (or the first keepalive), there is no resume token, equal payloads in a row
are sent once, and a reader that is too slow loses events: all as in Argo CD.
"""

import json
from collections.abc import Callable, Iterator, Mapping

from flask import Request, Response

from orchestrator.sandbox.argocd_fields import trimmed
from orchestrator.sandbox.argocd_objects import Json
from orchestrator.sandbox.argocd_rollout import SandboxDeployment
from orchestrator.sandbox.argocd_store import Event, ObjectStore
from orchestrator.sandbox.argocd_tree import resource_tree

KEEPALIVE = 15.0
"""Seconds between two comment lines of an event stream."""


def stream_applications(store: ObjectStore, request: Request, hidden: Callable[[str], bool]) -> Response:
    """Answer ``GET /api/v1/stream/applications``: the state of now as ADDED, then every change.

    :param hidden: tells of an application by its name that the account may not see it; the stream is silent about it.
    """
    name, projects = request.args.get("name", ""), set(request.args.getlist("projects"))
    since = int(request.args.get("resourceVersion") or 0)
    start = store.version if not since or name else since
    first: list[Event] = [("ADDED", app) for app in store.all()] if not since or name else []
    fields = request.args.get("fields", "")

    def frames() -> Iterator[Json | None]:
        last: dict[str, Json] = {}
        for kind, app in _events(store, first, start):
            if app is None:
                yield None
                continue
            own = app["metadata"]["name"]
            if name not in ("", own) or hidden(own) or (projects and app["spec"]["project"] not in projects):
                continue
            frame = trimmed({"result": {"type": kind, "application": app}}, fields)
            if last.get(own) != frame:
                last[own] = frame
                yield frame

    return _response(frames(), request)


def stream_tree(
    store: ObjectStore, deployments: Mapping[str, SandboxDeployment], app: Json, request: Request
) -> Response:
    """Answer ``GET /api/v1/stream/applications/{name}/resource-tree``: the tree now and after every change."""
    name = app["metadata"]["name"]

    def frames() -> Iterator[Json | None]:
        for _, found in _events(store, [("ADDED", app)], store.version):
            if found is None or found["metadata"]["name"] == name:
                yield None if found is None else {"result": resource_tree(found, deployments[name])}

    return _response(frames(), request)


def _events(store: ObjectStore, first: list[Event], since: int) -> Iterator[tuple[str, Json | None]]:
    """Give out the first events, then those of the store as they come; ("", None) in silence, for a keepalive."""
    cut = store.cut
    yield from first
    while (found := store.follow(since, cut, KEEPALIVE)) is not None:
        since, events = found
        yield from events
        if not events:
            yield "", None


def _response(frames: Iterator[Json | None], request: Request) -> Response:
    sse = request.headers.get("Accept") == "text/event-stream"

    def lines() -> Iterator[bytes]:
        for frame in frames:
            text = "" if frame is None else json.dumps(frame, separators=(",", ":"))
            if sse:
                yield f"data: {text} \n\n".encode() if text else b":\n"
            elif text:
                yield f"{text}\n".encode()

    return Response(lines(), content_type="text/event-stream" if sse else "application/json")
