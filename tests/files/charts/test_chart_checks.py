"""The checks of the charts see what is wrong: each is shown a resource with one mistake."""

import copy
from typing import Any

import pytest

from tests.support import kube_schemas, pod_rules, references
from tests.support.charts import Document

LABELS = {"app": "plate"}
CONTAINER: Document = {
    "name": "plate",
    "image": "harbor.example.com/plate/plate-web:1.0",
    "ports": [{"name": "http", "containerPort": 8080}],
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
    "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
}
POD: Document = {
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}
DEPLOYMENT: Document = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "plate"},
    "spec": {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": POD}},
}
SERVICE: Document = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "plate", "labels": LABELS},
    "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}
BACKEND = {"service": {"name": "plate", "port": {"name": "http"}}}
INGRESS: Document = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "plate"},
    "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]},
}
SCALER: Document = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "plate"},
    "spec": {"scaleTargetRef": {"name": "plate"}, "triggers": [{"type": "cron", "metadata": {}}]},
}
APPLICATION: Document = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "plate"},
    "spec": {
        "project": "plate",
        "source": {
            "repoURL": "https://git.example.com/x.git",
            "path": "x",
            "helm": {"valuesObject": {"any": {"key": 1}}},
        },
        "destination": {"name": "in-cluster", "namespace": "plate"},
    },
}
WATCH: Document = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "ServiceMonitor",
    "metadata": {"name": "plate"},
    "spec": {"selector": {"matchLabels": LABELS}, "endpoints": [{"port": "http"}]},
}
GOOD = [DEPLOYMENT, SERVICE, INGRESS, SCALER, APPLICATION, WATCH]
POD_PATH = "Deployment/spec/template/spec"


def changed(path: str, value: Any) -> list[Document]:
    """Return the good resources with one change: the path begins with the kind."""
    found = copy.deepcopy(GOOD)
    kind, *keys = path.split("/")
    node: Any = next(one for one in found if one["kind"] == kind)
    for key in keys[:-1]:
        node = node[int(key)] if key.isdigit() else node[key]
    node[keys[-1]] = value
    return found


def test_what_is_right_is_left_alone() -> None:
    assert kube_schemas.problems(GOOD, "1.34") == []
    assert kube_schemas.foreign_problems(GOOD) == []
    assert pod_rules.unrestricted(GOOD) == []
    assert pod_rules.careless(GOOD) == []
    assert references.dangling(GOOD) == []


@pytest.mark.parametrize(("path", "value", "said"), [
    ("Deployment/spec/replicaz", 2, "replicaz"),
    ("Deployment/spec/replicas", "two", "'two' is not of type"),
    (f"{POD_PATH}/containers/0/imagePullPolice", "Always", "imagePullPolice"),
    ("Service/apiVersion", "v2", "has no v2 Service"),
    ("Ingress/apiVersion", "extensions/v1beta1", "has no extensions/v1beta1 Ingress"),
])  # fmt: skip
def test_kubernetes_schemas_see(path: str, value: Any, said: str) -> None:
    (problem,) = kube_schemas.problems(changed(path, value), "1.34")
    assert said in problem


@pytest.mark.parametrize(("path", "value", "said"), [
    ("Application/spec/syncPolicie", {}, "/spec/syncPolicie is not in the schema"),
    ("Application/spec/source/helm/valueFilez", [], "/spec/source/helm/valueFilez is not in the schema"),
    ("Application/spec/source/helm", {"valueFiles": "x"}, "/spec/source/helm/valueFiles must be array"),
    ("ScaledObject/spec/minReplicas", 1, "/spec/minReplicas is not in the schema"),
    ("ServiceMonitor/spec/endpoints", [{"intervall": "1m"}], "/spec/endpoints/0/intervall is not in the schema"),
    ("ServiceMonitor/kind", "ServiceMonitors", "no schema for"),
])  # fmt: skip
def test_foreign_schemas_see(path: str, value: Any, said: str) -> None:
    (problem,) = kube_schemas.foreign_problems(changed(path, value))
    assert said in problem


@pytest.mark.parametrize(("path", "value", "said"), [
    (f"{POD_PATH}/hostNetwork", True, "hostNetwork"),
    (f"{POD_PATH}/volumes", [{"name": "tmp", "hostPath": {"path": "/"}}], "volume tmp is a hostPath"),
    (f"{POD_PATH}/containers/0/securityContext/privileged", True, "privileged"),
    (f"{POD_PATH}/containers/0/securityContext/capabilities", {"drop": ["CHOWN"]}, "does not drop ALL"),
    (f"{POD_PATH}/containers/0/securityContext/runAsUser", 0, "runs as root"),
    (f"{POD_PATH}/securityContext", {"runAsNonRoot": True}, "no seccomp profile"),
    (f"{POD_PATH}/initContainers", [{"name": "x"}], "container x: "),
])  # fmt: skip
def test_the_pod_security_standard_sees(path: str, value: Any, said: str) -> None:
    assert said in "\n".join(pod_rules.unrestricted(changed(path, value)))


@pytest.mark.parametrize(("path", "value", "said"), [
    (f"{POD_PATH}/automountServiceAccountToken", True, "gives the pod a service account token"),
    (f"{POD_PATH}/containers/0/image", "plate:latest", "image without a fixed tag"),
    (f"{POD_PATH}/containers/0/image", "localhost:5000/plate", "image without a fixed tag"),
    (f"{POD_PATH}/containers/0/resources", {}, "no limit of memory"),
    (f"{POD_PATH}/containers/0/securityContext/readOnlyRootFilesystem", False, "can be written"),
])  # fmt: skip
def test_our_own_rules_see(path: str, value: Any, said: str) -> None:
    assert said in "\n".join(pod_rules.careless(changed(path, value)))


@pytest.mark.parametrize(("path", "value", "said"), [
    ("Service/spec/selector", {"app": "other"}, "Service/plate: its selector selects nothing"),
    ("Deployment/spec/selector/matchLabels", {"app": "other"}, "Deployment/plate: its selector selects nothing"),
    ("ServiceMonitor/spec/selector/matchLabels", {"app": "other"}, "ServiceMonitor/plate: its selector"),
    ("ServiceMonitor/spec/endpoints", [{"port": "metrics"}], "no service has the port metrics"),
    ("Service/spec/ports", [{"name": "http", "port": 80, "targetPort": "web"}], "no container has the port web"),
    ("Service/metadata/name", "other", "no service plate with the port"),
    ("ScaledObject/spec/scaleTargetRef", {"name": "other"}, "nothing is called other"),
    (f"{POD_PATH}/volumes", [], "the volume tmp is not both there and mounted"),
    (f"{POD_PATH}/serviceAccountName", "other", "there is no service account other"),
])  # fmt: skip
def test_the_check_of_names_sees(path: str, value: Any, said: str) -> None:
    assert said in "\n".join(references.dangling(changed(path, value)))


def test_the_check_of_names_sees_a_name_that_is_taken_twice() -> None:
    assert references.dangling([*GOOD, SERVICE]) == ["Service/plate: there are two"]
