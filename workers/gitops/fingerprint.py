"""Has an application changed since a run last looked at it? A digest of what a verdict depends on."""

import hashlib
import json
from typing import Any

from workers.gitops.application import REFRESH_ANNOTATIONS
from workers.shapes import Json, mapping, text, texts

LIST_FIELDS = (
    "items.metadata.name",
    "items.metadata.namespace",
    "items.metadata.annotations",
    "items.metadata.deletionTimestamp",
    "items.operation.sync",
    "items.status.health",
    "items.status.operationState.finishedAt",
    "items.status.operationState.phase",
    "items.status.operationState.startedAt",
    "items.status.sourceHydrator",
    "items.status.summary",
    "items.status.sync.status",
)
"""What to ask of the list (``fields=``, comma-separated) for `fingerprint`.

The server answers a fixed set of names here and drops others without a word; compared revision, ``reconciledAt``,
conditions and the operation's message are not among them (argo-cd, server/application/forwarder_overwrite.go).
"""


def fingerprint(application: Json) -> str:
    """Return 16 hex digits that are equal as long as nothing changed that a list can show.

    The same for the object of a GET, of the stream and of a list (whole or with `LIST_FIELDS`). What a list cannot
    show does not count: a compared revision that moves on without any other change, such as a commit that alters
    no manifest, is seen only by a look of its own, so a waiting run must look again now and then anyway.
    """
    facts = json.dumps(_facts(application), sort_keys=True, default=str)
    return hashlib.sha256(facts.encode("utf-8", "replace")).hexdigest()[:16]


def _facts(application: Json) -> list[Any]:
    meta, status = mapping(application.get("metadata")), mapping(application.get("status"))
    health, operation = mapping(status.get("health")), mapping(status.get("operationState"))
    hydrator, annotations = mapping(status.get("sourceHydrator")), mapping(meta.get("annotations"))
    current, done = mapping(hydrator.get("currentOperation")), mapping(hydrator.get("lastSuccessfulOperation"))
    return [
        text(meta.get("deletionTimestamp")),
        any(name in annotations for name in REFRESH_ANNOTATIONS),
        bool(application.get("operation")),
        text(mapping(status.get("sync")).get("status")),
        [text(health.get(key)) for key in ("status", "lastTransitionTime")],
        [text(operation.get(key)) for key in ("phase", "startedAt", "finishedAt")],
        [text(current.get(key)) for key in ("phase", "drySHA")],
        [text(done.get(key)) for key in ("drySHA", "hydratedSHA")],
        sorted(texts(mapping(status.get("summary")).get("images"))),
    ]
