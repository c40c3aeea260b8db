"""Do the pods of our image run, where Argo CD calls an application healthy? One resource tree in, a sentence out.

The health of an application is that of the resources in Git. One that Argo CD has no health check for, as of most
custom resources, counts as nothing there, whatever becomes of its pods; so does one that it is told to ignore.
What a pod says of itself ("Status Reason", "Containers") is that of argo-cd, controller/cache/info.go.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from workers.gitops.application import JOBS
from workers.gitops.explain import place
from workers.gitops.images import sighting
from workers.gitops.words import one_line
from workers.shapes import Json, mapping, mappings, text, texts

_MAX_OWNERS = 20
"""Owners above a pod that are looked at; two would do but for those of operators."""
_RUNS = (*JOBS, "PipelineRun", "TaskRun", "Workflow")
"""Owners whose pods come to an end, also a bad one: that is their affair, and most try again."""
_PAST = frozenset(
    {"Evicted", "NodeAffinity", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated", "Terminating"}
) | {"Unknown"}
"""Reasons of pods that are on their way out, or were put out by their node; another one takes their place."""
_ENDED = ("Completed", "Succeeded")
_NEVER_RAN = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""Reasons of pods of which a container could not be started even once, whatever it would have done."""


def not_running(tree: Mapping[str, Any], image: str, digest: str = "") -> str:
    """Say which pod of our image keeps an application that counts as healthy from being live; "" when none does.

    Below a resource that has a health of its own, or a controller between that is healthy, one pod that is well is
    enough: Argo CD has judged the rest. Below others all must be well, and one be there.

    :param tree: of ``.../resource-tree``; what is missing in it is no proof of anything.
    :param image: ``host/path:tag``. :param digest: ``sha256:...``, or "".
    """
    nodes = {_key(node): node for node in mappings(tree.get("nodes"))}
    by_top: defaultdict[Any, list[Json]] = defaultdict(list)
    owners: dict[Any, list[Json]] = {}
    for pod in nodes.values():
        if pod.get("kind") == "Pod" and sighting(texts(pod.get("images")), image, digest):
            above = _owners(pod, nodes)
            owners[_key(above[-1])] = above
            by_top[_key(above[-1])].append(pod)
    found = (_problem(owners[top], pods) for top, pods in by_top.items())
    return next(filter(None, found), "")


def _problem(owners: Sequence[Json], pods: Sequence[Json]) -> str:
    """Judge the pods of one resource. :param owners: from a pod of it up to the resource itself."""
    top = owners[-1]
    unknown = mappings(top.get("parentRefs"))  # the tree does not have everything
    counts = bool(_health(top)) and not unknown
    judged = counts or any(_health(owner) == "Healthy" for owner in owners[1:])  # such as an operator's StatefulSet
    runs = any(owner.get("kind") in _RUNS for owner in owners)
    present = [pod for pod in pods if _reason(pod) not in _PAST]
    unwell = [pod for pod in present if not (_may_end(pod) if runs else _is_well(pod))]
    if judged and len(unwell) < max(len(present), 1):
        return ""
    if not judged and present and not unwell:
        return ""
    whose = (
        f"{_name(top)} is {_health(top)}" if counts else f"Argo CD has no health of {_name((unknown or [top])[0])}"
    )
    return f"{whose}, but {_told(unwell or pods)}"


def _told(pods: Sequence[Json]) -> str:
    pod = pods[0]
    ready = _info(pod, "Containers")
    counted = f" with {ready} containers ready" if ready else ""
    more = f" (and {len(pods) - 1} more)" if len(pods) > 1 else ""
    return f"{_name(pod)} with our image is {_reason(pod) or _health(pod)}{counted}{more}"


def _is_well(pod: Json) -> bool:
    """Tell whether all of a pod runs; Argo CD calls those that are to end "Progressing" for as long as they run."""
    reason, health = _reason(pod), _health(pod)
    if health == "Healthy" or reason in _ENDED:
        return True
    ready, _, all_of_them = _info(pod, "Containers").partition("/")
    whole = ready == all_of_them != "" and reason in ("", "Running")
    return whole or not (reason or health)


def _may_end(pod: Json) -> bool:
    return _reason(pod).rpartition(":")[2] not in _NEVER_RAN  # "Init:ErrImagePull" is an init container's


def _owners(pod: Json, nodes: Mapping[Any, Json]) -> list[Json]:
    """List a pod and those above it, as far as the tree has them."""
    found = [pod]
    while len(found) < _MAX_OWNERS:
        parents = [nodes[_key(one)] for one in mappings(found[-1].get("parentRefs")) if _key(one) in nodes]
        if not parents:
            break
        found.append(parents[0])
    return found


def _key(node: Json) -> tuple[str, ...]:
    uid = text(node.get("uid"))
    return (uid,) if uid else tuple(text(node.get(part)) for part in ("group", "kind", "namespace", "name"))


def _health(node: Json) -> str:
    return text(mapping(node.get("health")).get("status"))


def _reason(pod: Json) -> str:
    return _info(pod, "Status Reason")


def _info(pod: Json, name: str) -> str:
    said = (one_line(item.get("value"), 60) for item in mappings(pod.get("info")) if item.get("name") == name)
    return next(said, "")


def _name(node: Json) -> str:
    return f"{text(node.get('kind'))} {place(node)}"
