"""Whether the resources of one rendering fit together: what no schema sees and only a cluster would tell."""

from collections.abc import Iterator
from typing import Any

from tests.support.charts import Document, name_of
from tests.support.pod_rules import containers, pods


def dangling(documents: list[Document]) -> list[str]:
    """Say which names lead nowhere, which selectors select nothing, and which names are taken twice."""
    return [*_twice(documents), *_selectors(documents), *_targets(documents), *_mounts(documents)]


def _named(documents: list[Document], kind: str) -> dict[str, Document]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def _labels(documents: list[Document]) -> list[dict[str, str]]:
    return [pod.get("metadata", {}).get("labels", {}) for _, pod in pods(documents)]


def _selects(selector: dict[str, str], several: list[dict[str, str]]) -> bool:
    return any(selector.items() <= labels.items() for labels in several)


def _twice(documents: list[Document]) -> Iterator[str]:
    seen: set[tuple[str, str, str]] = set()
    for document in documents:
        key = (document["apiVersion"], name_of(document), document["metadata"].get("namespace", ""))
        if key in seen:
            yield f"{name_of(document)}: there are two"
        seen.add(key)


def _selectors(documents: list[Document]) -> Iterator[str]:
    labels = _labels(documents)
    services = [document["metadata"].get("labels", {}) for document in _named(documents, "Service").values()]
    for document in documents:
        spec = document.get("spec", {})
        kind = document["kind"]
        if kind in {"Deployment", "StatefulSet", "DaemonSet"}:
            own = [spec["template"]["metadata"]["labels"]]
            fits = _selects(spec["selector"]["matchLabels"], own)
        elif kind == "Service":
            fits = not spec.get("selector") or _selects(spec["selector"], labels)
        elif kind == "PodDisruptionBudget":
            fits = _selects(spec["selector"]["matchLabels"], labels)
        elif kind == "NetworkPolicy":
            fits = _selects(spec["podSelector"].get("matchLabels", {}), labels)
        elif kind == "ServiceMonitor":
            fits = _selects(spec["selector"]["matchLabels"], services)
        else:
            fits = True
        if not fits:
            yield f"{name_of(document)}: its selector selects nothing"


def _targets(documents: list[Document]) -> Iterator[str]:
    services = _named(documents, "Service")
    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        if kind in {"HorizontalPodAutoscaler", "ScaledObject"}:
            target = spec["scaleTargetRef"]
            if target["name"] not in _named(documents, target.get("kind", "Deployment")):
                yield f"{name_of(document)}: nothing is called {target['name']}"
        if kind == "Ingress":
            yield from (f"{name_of(document)}: {said}" for said in _backends(spec, services))
        if kind == "Service" and spec.get("selector"):
            for port in spec["ports"]:
                if not _is_port(port.get("targetPort", port["port"]), spec["selector"], documents):
                    yield f"{name_of(document)}: no container has the port {port.get('targetPort')}"
        if kind == "ServiceMonitor":
            ports = {port["name"] for service in services.values() for port in service["spec"]["ports"]}
            for endpoint in spec["endpoints"]:
                if endpoint["port"] not in ports:
                    yield f"{name_of(document)}: no service has the port {endpoint['port']}"


def _backends(spec: Document, services: dict[str, Document]) -> Iterator[str]:
    for rule in spec.get("rules", []):
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            ports = services.get(backend["name"], {}).get("spec", {}).get("ports", [])
            wanted = set(backend["port"].values())
            if not any(wanted & {port.get("name"), port["port"]} for port in ports):
                yield f"no service {backend['name']} with the port {backend['port']}"


def _is_port(wanted: Any, selector: dict[str, str], documents: list[Document]) -> bool:
    for _, pod in pods(documents):
        if selector.items() <= pod.get("metadata", {}).get("labels", {}).items():
            for container in containers(pod):
                for port in container.get("ports", []):
                    if wanted in (port.get("name"), port["containerPort"]):
                        return True
    return False


def _mounts(documents: list[Document]) -> Iterator[str]:
    for owner, pod in pods(documents):
        spec = pod["spec"]
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        mounted = {mount["name"] for one in containers(pod) for mount in one.get("volumeMounts", [])}
        for name in mounted ^ volumes.keys():
            yield f"{name_of(owner)}: the volume {name} is not both there and mounted"
        account = spec.get("serviceAccountName", "default")
        if account not in {"default", *_named(documents, "ServiceAccount")}:
            yield f"{name_of(owner)}: there is no service account {account}"
