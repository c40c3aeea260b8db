"""The JSON objects of Argo CD's API, built from plain values: shapes and field presence as the real server's.

Empty nested objects are really sent (``"summary": {}``), absent ones are really absent; timestamps have seconds.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

NAMESPACE = "argocd"
"""The control plane's namespace, where all applications of the stand-in live."""
REFRESH = "argocd.argoproj.io/refresh"
"""The annotation by which a comparison is asked for."""
REFRESH_TIME = "argocd.argoproj.io/refresh-timestamp"
SERVER = "https://kubernetes.default.svc"
HISTORY = 10
"""Entries of ``status.history`` (``spec.revisionHistoryLimit``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxApplication:
    """One application as it is declared to the stand-in.

    :param path: the chart's folder in the repository; ``value_files`` as in ``spec.source.helm.valueFiles``.
    :param automated: whether the stand-in syncs by itself.
    :param namespace: of the destination.
    """

    name: str
    repo: str
    path: str
    project: str = "default"
    branch: str = "main"
    value_files: tuple[str, ...] = ()
    automated: bool = True
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)

    def source(self) -> Json:
        """Return ``spec.source``."""
        helm: Json = {"valueFiles": list(self.value_files)} if self.value_files else {}
        found: Json = {"repoURL": self.repo, "path": self.path, "targetRevision": self.branch}
        return found | ({"helm": helm} if helm else {})


def timestamp() -> str:
    """Write the time as Kubernetes does: UTC, seconds, ``Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def application(app: SandboxApplication) -> Json:
    """Return a new Application object before its first comparison."""
    metadata: Json = {
        "name": app.name,
        "namespace": NAMESPACE,
        "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{app.repo}#{app.name}")),
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": timestamp(),
        "finalizers": ["resources-finalizer.argocd.argoproj.io"],
    }
    spec: Json = {
        "source": app.source(),
        "destination": {"server": SERVER, "namespace": app.namespace},
        "project": app.project,
    }
    if app.labels:
        metadata["labels"] = dict(app.labels)
    if app.automated:
        spec["syncPolicy"] = {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["CreateNamespace=true"],
        }
    status: Json = {"sync": {"status": "Unknown"}, "health": {"status": "Unknown"}, "summary": {}}
    return {"metadata": metadata, "spec": spec, "status": status}


def operation(app: SandboxApplication, revision: str, initiated_by: Json, body: Json | None = None) -> Json:
    """Return what ``.operation`` holds; `body` is that of POST sync."""
    asked = body or {}
    sync: Json = {"revision": revision, "source": app.source()}
    if app.automated if body is None else asked.get("prune"):
        sync["prune"] = True
    retry: Json = {"limit": 5} if body is None else (asked.get("retryStrategy") or {})
    found: Json = {"sync": sync, "initiatedBy": initiated_by, "retry": retry}
    return found | ({"info": asked["infos"]} if asked.get("infos") else {})


def compared_to(app: SandboxApplication) -> Json:
    """Return ``status.sync.comparedTo``."""
    return {"source": app.source(), "destination": {"server": SERVER, "namespace": app.namespace}}


CUSTOM: Json = {"group": "example.com", "kind": "Shop"}
"""What the workload is where it is to be a custom resource."""


def resources(app: SandboxApplication, sync: str, health: str, *, judged: bool = True) -> list[Json]:
    """Return ``status.resources``: a Service and a Deployment, or a custom resource without a health."""
    common: Json = {"version": "v1", "namespace": app.namespace, "name": app.name, "status": sync}
    service: Json = {
        "kind": "Service",
        **common,
        "health": {"status": "Missing" if health == "Missing" else "Healthy"},
    }
    if not judged:
        return [service, {**CUSTOM, **common}]
    return [service, {"group": "apps", "kind": "Deployment", **common, "health": {"status": health}}]


def sync_result(app: SandboxApplication, revision: str, image: str, error: str = "") -> Json:
    """Return ``operationState.syncResult`` of an operation that applied the image (or failed to)."""
    common: Json = {"version": "v1", "namespace": app.namespace, "name": app.name, "syncPhase": "Sync"}
    message = f"service/{app.name} unchanged"
    service: Json = {**common, "group": "", "kind": "Service", "status": "Synced", "message": message}
    deployment: Json = {**common, "group": "apps", "kind": "Deployment"}
    if error:
        deployment |= {"status": "SyncFailed", "message": error, "hookPhase": "Failed"}
    else:
        message = f"deployment.apps/{app.name} configured"
        deployment |= {"status": "Synced", "message": message, "hookPhase": "Running", "images": [image]}
    return {
        "resources": [service | {"hookPhase": "Running"}, deployment],
        "revision": revision,
        "source": app.source(),
    }


def history_entry(app: SandboxApplication, number: int, state: Json) -> Json:
    """Return one entry of ``status.history`` for an operation that succeeded."""
    return {
        "revision": state["syncResult"]["revision"],
        "deployedAt": state["finishedAt"],
        "id": number,
        "source": app.source(),
        "deployStartedAt": state["startedAt"],
        "initiatedBy": state["operation"]["initiatedBy"],
    }


def condition(kind: str, message: str, old: Sequence[Json]) -> Json:
    """Return a condition; its time moves only when type or message change."""
    same = [c for c in old if c["type"] == kind and c["message"] == message]
    since = same[0]["lastTransitionTime"] if same else timestamp()
    return {"type": kind, "message": message, "lastTransitionTime": since}


def event(kind: str, name: str, namespace: str, uid: str, reason: str, message: str, *, warning: bool) -> Json:
    """Return one Kubernetes event of an object."""
    now = timestamp()
    return {
        "metadata": {"name": f"{name}.{uuid.uuid4().hex[:16]}", "namespace": namespace, "creationTimestamp": now},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name, "uid": uid},
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet" if kind == "Pod" else "argocd-application-controller"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "type": "Warning" if warning else "Normal",
    }
