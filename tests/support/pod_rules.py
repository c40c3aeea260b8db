"""What is asked of every pod: the restricted pod security standard, and some rules of our own."""

from collections.abc import Iterator
from typing import Any

from tests.support.charts import Document, name_of

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
"""Kinds of volumes of the restricted standard (https://kubernetes.io/docs/concepts/security/pod-security-standards/)."""


def pods(documents: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Yield each resource that makes pods, with the pod's template."""
    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        if kind == "Pod":
            yield document, document
        elif kind == "CronJob":
            yield document, spec["jobTemplate"]["spec"]["template"]
        elif kind in {"Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"}:
            yield document, spec["template"]


def containers(pod: Document) -> list[Document]:
    """List all containers of a pod's template."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec.get("containers", []), *spec.get("ephemeralContainers", [])]


def unrestricted(documents: list[Document]) -> list[str]:
    """Say what the restricted pod security standard would refuse."""
    return [f"{name_of(owner)}: {said}" for owner, pod in pods(documents) for said in _unrestricted(pod["spec"])]


def _unrestricted(spec: Document) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield key
    context = spec.get("securityContext", {})
    if context.get("sysctls"):
        yield "sysctls"
    for volume in spec.get("volumes", []):
        for kind in volume.keys() - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {kind}"
    for container in containers({"spec": spec}):
        for said in _container(container, context):
            yield f"container {container['name']}: {said}"


def _container(container: Document, pod: Document) -> Iterator[str]:
    own = container.get("securityContext", {})
    both: dict[str, Any] = {**pod, **own}
    capabilities = own.get("capabilities", {})
    rules = {
        "privileged": not own.get("privileged"),
        "allowPrivilegeEscalation is not false": own.get("allowPrivilegeEscalation") is False,
        "runAsNonRoot is not true": both.get("runAsNonRoot") is True,
        "runs as root": both.get("runAsUser", 1) != 0,
        "no seccomp profile": both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
        "does not drop ALL": "ALL" in capabilities.get("drop", []),
        "adds capabilities": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
        "procMount": own.get("procMount", "Default") == "Default",
        "host port": not any(port.get("hostPort") for port in container.get("ports", [])),
    }
    yield from (said for said, holds in rules.items() if not holds)


def careless(documents: list[Document]) -> list[str]:
    """Say what our own rules ask for beyond the standard."""
    return [f"{name_of(owner)}: {said}" for owner, pod in pods(documents) for said in _careless(owner, pod["spec"])]


def _careless(owner: Document, spec: Document) -> Iterator[str]:
    if spec.get("automountServiceAccountToken") is not False:
        yield "gives the pod a service account token"
    for container in containers({"spec": spec}):
        resources = container.get("resources", {})
        rules = {
            "root file system can be written": container.get("securityContext", {}).get("readOnlyRootFilesystem")
            is True,
            "no requests of CPU and memory": {"cpu", "memory"} <= resources.get("requests", {}).keys(),
            "no limit of memory": "memory" in resources.get("limits", {}),
            "image without a fixed tag": _is_fixed(container["image"]),
        }
        yield from (f"container {container['name']}: {said}" for said, holds in rules.items() if not holds)
    if owner["kind"] in {"Deployment", "StatefulSet", "DaemonSet"}:
        for container in spec["containers"]:
            for probe in {"livenessProbe", "readinessProbe"} - container.keys():
                yield f"container {container['name']}: no {probe}"


def _is_fixed(image: str) -> bool:
    name = image.rpartition("/")[2]
    return "@sha256:" in image or (":" in name and not name.endswith(":latest"))
