"""Do the pods of our image run, where Argo CD calls an application healthy? One resource tree in, a sentence out.

The health of an application is that of the resources in Git. One that Argo CD has no health check for, as of most
custom resources, counts as nothing there, whatever becomes of its pods; so does one that it is told to ignore.
What a pod says of itself ("Status Reason", "Containers") is that of argo-cd, controller/cache/info.go.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workers.gitops.explain import NEVER_STARTED, bare, name_of, pod_reason
from workers.gitops.images import another, sighting
from workers.gitops.operated import JOBS, WORKLOADS
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

_Path = Sequence[Json]
"""A pod and its owners, one above the other, as far as the tree has them."""


def not_running(tree: Mapping[str, Any], image: str, digest: str = "", *, left_to_operators: bool = False) -> str:
    """Say which pod of our image keeps an application that counts as healthy from being live; "" when none does.

    Below a resource that has a health of its own one pod that is well is enough: Argo CD has judged the rest. Below
    one that has none, whatever is between must be healthy if it has a health, and then one pod well; else all.

    :param tree: of ``.../resource-tree``; what is missing in it is no proof of anything.
    :param image: ``host/path:tag``. :param digest: ``sha256:...``, or "".
    :param left_to_operators: all other pods are those of hooks, and prove nothing.
    """
    nodes = {_key(node): node for node in mappings(tree.get("nodes"))}
    paths = [_path(pod, nodes) for pod in nodes.values() if pod.get("kind") == "Pod"]
    ours = [path for path in paths if sighting(texts(path[0].get("images")), image, digest)]
    wanted = [path for path in ours if not (left_to_operators and text(path[-1].get("kind")) in WORKLOADS)]
    if ours and not wanted:
        return f"{name_of(ours[0][0])} of a hook alone runs our image"
    others = (path for path in paths if not sighting(texts(path[0].get("images")), image, digest))
    old = _by(-1, [path for path in others if another(texts(path[0].get("images")), image, digest)])
    found = (_problem(paths, old.get(top, ())) for top, paths in _by(-1, wanted).items())
    return next(filter(None, found), "")


def _by(place: int, paths: Iterable[_Path]) -> dict[tuple[str, ...], list[_Path]]:
    """Part paths by who is at a place of each, 0 for the pod itself; a shorter one by its last."""
    found: defaultdict[tuple[str, ...], list[_Path]] = defaultdict(list)
    for path in paths:
        found[_key(path[min(place, len(path) - 1)])].append(path)
    return found


def _problem(paths: Sequence[_Path], old: Sequence[_Path]) -> str:
    """Judge the pods of one resource. :param old: those of another version of our image."""
    top = paths[0][-1]
    unknown = mappings(top.get("parentRefs"))  # the tree does not have everything
    present = [path for path in paths if pod_reason(path[0]) not in _PAST]
    if _health(top) and not unknown:
        unwell = [path for path in present if not _is_fine(path)]
        here = f"{name_of(top)} is {_health(top)}"
        return f"{here}, but {_told(unwell)}" if unwell and len(unwell) == len(present) else ""
    trouble = next(filter(None, map(_trouble, _by(1, present).values())), "")
    trouble = trouble or ("" if present else _told(paths)) or _replaced(old)
    return f"Argo CD has no health of {name_of((unknown or [top])[0])}, but {trouble}" if trouble else ""


def _trouble(paths: Sequence[_Path]) -> str:
    """Judge the pods of one controller below a resource without a health."""
    owners = [] if _runs(paths[0]) else paths[0][1:]
    unwell = [path for path in paths if not _is_fine(path)]
    healthy = any(_health(owner) == "Healthy" for owner in owners)
    if unwell and (not healthy or len(unwell) == len(paths)):
        return _told(unwell)
    behind = next((owner for owner in owners if _health(owner) not in ("", "Healthy")), None)
    return f"{name_of(behind)} is {_health(behind)}" if behind else ""


def _replaced(old: Sequence[_Path]) -> str:
    """Name a pod of another version that its owner, which has no controller between, has yet to replace."""
    left = [path for path in old if len(path) == 2 and pod_reason(path[0]) not in (*_PAST, *_ENDED)]
    return f"{name_of(left[0][0])} still runs another version" if left else ""


def _told(paths: Sequence[_Path]) -> str:
    pod = paths[0][0]
    ready = _containers(pod)
    counted = f" with {ready} containers ready" if ready else ""
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{name_of(pod)} with our image is {pod_reason(pod) or _health(pod)}{counted}{more}"


def _runs(path: _Path) -> bool:
    return any(owner.get("kind") in _RUNS for owner in path)


def _is_fine(path: _Path) -> bool:
    return bare(pod_reason(path[0])) not in NEVER_STARTED if _runs(path) else _is_well(path[0])


def _is_well(pod: Json) -> bool:
    """Tell whether all of a pod runs; Argo CD calls those that are to end "Progressing" for as long as they run."""
    reason, health = pod_reason(pod), _health(pod)
    if health == "Healthy" or reason in _ENDED:
        return True
    ready, _, all_of_them = _containers(pod).partition("/")
    whole = ready == all_of_them != "" and reason in ("", "Running")
    return whole or not (reason or health)


def _path(pod: Json, nodes: Mapping[Any, Json]) -> _Path:
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


def _containers(pod: Json) -> str:
    """Return how many containers are ready of how many: "1/2"."""
    return next((text(one.get("value")) for one in mappings(pod.get("info")) if one.get("name") == "Containers"), "")
