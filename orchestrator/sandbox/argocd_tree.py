"""The live side of an application as the API shows it: resource tree, events and logs of its pods."""

import uuid

from orchestrator.sandbox import argocd_objects as objects
from orchestrator.sandbox.argocd_objects import Json
from orchestrator.sandbox.argocd_rollout import Pod, SandboxDeployment


def resource_tree(app: Json, deployment: SandboxDeployment, *, judged: bool = True) -> Json:
    """Return the tree of an application: Service, Deployment, its ReplicaSets and their Pods.

    :param judged: else the Deployment is a custom resource, which has no health, and neither have the sets below it.
    """
    namespace, name = app["spec"]["destination"]["namespace"], app["metadata"]["name"]
    if deployment.applied is None:
        return {"nodes": []}
    common: Json = {"version": "v1", "namespace": namespace, "name": name, "createdAt": deployment.created}
    rollout, pods = deployment.rollout(), deployment.pods()
    health: Json = {"status": rollout.health} | ({"message": rollout.message} if rollout.message else {})
    info = [{"name": "Revision", "value": f"Rev:{deployment.revision}"}]
    nodes: list[Json] = [
        common | {"kind": "Service", "uid": _uid(app, "Service"), "health": {"status": "Healthy"}},
        common
        | {"group": "apps", "kind": "Deployment", "uid": _uid(app, "Deployment"), "info": info, "health": health},
    ]
    for replica_set in sorted({pod.replica_set for pod in pods}):
        owned = [pod for pod in pods if pod.replica_set == replica_set]
        nodes.append(_replica_set(app, namespace, replica_set, owned))
        nodes += [_pod(app, namespace, pod) for pod in owned]
    return {"nodes": nodes if judged else [_unjudged(node) for node in nodes], "hosts": []}


def _unjudged(node: Json) -> Json:
    custom = objects.CUSTOM if node["kind"] == "Deployment" else {}
    kept = node if node["kind"] in ("Pod", "Service") else {key: node[key] for key in node if key != "health"}
    return kept | custom


def events_of(app: Json, deployment: SandboxDeployment, own: list[Json], uid: str, name: str) -> list[Json]:
    """Return the events of a resource by uid or name; without either those of the application itself."""
    if not uid and not name:
        return own
    found = [*own, *deployment.events()]
    if uid == _uid(app, "Deployment") or (name == app["metadata"]["name"] and not uid):
        return [event for event in found if event["involvedObject"]["kind"] != "Pod"]
    return [
        e for e in found if e["involvedObject"]["uid"] == uid or (not uid and e["involvedObject"]["name"] == name)
    ]


def log_entries(
    deployment: SandboxDeployment, pod_name: str, container: str, lines: int, *, previous: bool
) -> list[Json]:
    """Return the last lines of one pod (or of all, for "") as log entries, then the entry that ends them.

    Nothing at all for a pod that is not there; what Kubernetes has no log of is a line without a pod and a time.
    """
    pods = [pod for pod in deployment.pods() if pod_name in ("", pod.name)]
    entries: list[Json] = []
    for pod in pods:
        error = _no_log(pod, container, previous=previous)
        if error:
            entries.append(_entry(error, "0001-01-01T00:00:00Z", ""))
        else:
            entries += [_entry(line, objects.timestamp(), pod.name) for line in pod.logs(lines)]
    end = _entry("", objects.timestamp(), pod_name) | {"last": True}
    return [*entries, end] if pods else []


def _entry(content: str, at: str, pod: str) -> Json:
    return {"content": content, "timeStamp": at, "last": False, "timeStampStr": at, "podName": pod}


def _no_log(pod: Pod, container: str, *, previous: bool) -> str:
    """Say why there is no log, in the words of Kubernetes; "" when there is one."""
    if container not in ("", pod.container_name):
        return f"container {container} is not valid for pod {pod.name}"
    if previous and not pod.state.restarts:
        return f'previous terminated container "{pod.container_name}" in pod "{pod.name}" not found'
    return ""


def _replica_set(app: Json, namespace: str, name: str, pods: list[Pod]) -> Json:
    parent = {"group": "apps", "kind": "Deployment", "namespace": namespace, "name": app["metadata"]["name"]}
    return {
        "group": "apps",
        "version": "v1",
        "kind": "ReplicaSet",
        "namespace": namespace,
        "name": name,
        "uid": _uid(app, name),
        "parentRefs": [parent | {"uid": _uid(app, "Deployment")}],
        "health": {"status": "Healthy" if all(pod.state.ready for pod in pods) else "Progressing"},
        "createdAt": pods[0].created,
    }


def _pod(app: Json, namespace: str, pod: Pod) -> Json:
    state = pod.state
    info = [
        {"name": "Status Reason", "value": state.reason},
        {"name": "Containers", "value": f"{int(state.ready)}/1"},
    ]
    if state.restarts:
        info.append({"name": "Restart Count", "value": str(state.restarts)})
    parent = {"group": "apps", "kind": "ReplicaSet", "namespace": namespace, "name": pod.replica_set}
    return {
        "version": "v1",
        "kind": "Pod",
        "namespace": namespace,
        "name": pod.name,
        "uid": pod.uid,
        "parentRefs": [parent | {"uid": _uid(app, pod.replica_set)}],
        "info": info,
        "images": [pod.workload.image],
        "health": {"status": state.health} | ({"message": state.message} if state.message else {}),
        "createdAt": pod.created,
    }


def _uid(app: Json, what: str) -> str:
    return str(uuid.uuid5(uuid.UUID(app["metadata"]["uid"]), what))
