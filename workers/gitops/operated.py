"""Custom resources that only an operator makes pods of, and that Argo CD has no health check for; pure.

They count as nothing, so an application of them is Healthy at once: before the operator has begun, and also where it
never does.
"""

from collections.abc import Mapping
from typing import Any

from workers.shapes import Json, mapping, mappings, text

STEADY = ("DaemonSet", "Deployment", "ReplicaSet", "Rollout", "StatefulSet")
"""Kinds whose pods run all the time, unless they are scaled to none."""
JOBS = ("ClusterWorkflowTemplate", "CronJob", "CronWorkflow", "Job", "ScaledJob", "WorkflowTemplate")
"""Kinds whose pods run only at times."""
WORKLOADS = frozenset((*STEADY, *JOBS, "Pod", "ReplicationController"))
"""Kinds whose pods are known."""
_WITHOUT_PODS = frozenset(
    {
        "argoproj.io",
        "bitnami.com",
        "cert-manager.io",
        "cilium.io",
        "external-secrets.io",
        "keda.sh",
        "kyverno.io",
        "monitoring.coreos.com",
        "networking.istio.io",
        "projectcontour.io",
        "security.istio.io",
        "tekton.dev",
        "traefik.io",
    }
)
"""Groups of widespread custom resources that make no pods, or make them only at times."""
_OWN = (".k8s.io", ".cattle.io", ".openshift.io")
"""Ends of groups that belong to the cluster itself."""


def is_operated(resource: Json) -> bool:
    """Tell whether a managed resource may have pods that nobody but an operator knows of, and has no health."""
    group = text(resource.get("group"))
    foreign = "." in group and not group.endswith(_OWN) and group not in _WITHOUT_PODS
    return (
        foreign and text(resource.get("kind")) not in WORKLOADS and not mapping(resource.get("health")).get("status")
    )


def is_left_to_operators(application: Mapping[str, Any]) -> bool:
    """Tell whether nobody but operators makes the pods of an application, those of hooks left aside."""
    resources = mappings(mapping(application.get("status")).get("resources"))
    return any(map(is_operated, resources)) and not any(map(has_known_pods, resources))


def has_known_pods(resource: Json) -> bool:
    """Tell whether a managed resource, no hook, is of a kind whose pods are known."""
    return text(resource.get("kind")) in WORKLOADS and not resource.get("hook")
