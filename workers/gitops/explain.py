"""Why is an application unhealthy? One sentence from what Argo CD knows: operation, conditions, resources, events.

Since Argo CD 3.0 the health of single resources is not in the list of applications, and the application's own state
never names a cause; the resource tree and the Kubernetes events do.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from orchestrator.domain.ansi import plain
from workers.gitops.words import LIMIT, one_line
from workers.shapes import Json, mapping, mappings, text, texts

__all__ = ["container_of", "last_words", "place", "ran", "why_unhealthy"]

_SYNC, _ERROR, _POD, _EVENT, _RESOURCE, _PENDING, _HELD, _ROLLING, _OWN = 70, 60, 50, 40, 30, 20, 15, 12, 10

# What a pod says about itself ("Status Reason"), the gravest first: the later ones often only follow from another.
NEVER_STARTED = (
    "InvalidImageName",
    "ImageInspectError",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "ErrImagePull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
"""Reasons of pods of which a container could not be started even once, whatever it would have done."""
_POD_REASONS = (
    *NEVER_STARTED,
    "OOMKilled",
    "CrashLoopBackOff",
    "Error",
    "StartError",
    "ContainerCannotRun",
    "Evicted",
    "DeadlineExceeded",
    "NodeLost",
)
# Warnings that name a cause, the gravest first.
_EVENT_REASONS = (
    "FailedCreate",
    "FailedScheduling",
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "Failed",
    "Unhealthy",
    "BackOff",
    "ProgressDeadlineExceeded",
    "FailedBinding",
    "ProvisioningFailed",
)
_PULL = frozenset({"InvalidImageName", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull"})
_RAN = frozenset({"CrashLoopBackOff", "Error", "OOMKilled", "Running"})
"""States of pods of which a container has printed something, be it that it ended by itself or fails its probes."""
_CONTAINER = re.compile(r"failed container[= ]([a-z0-9][-a-z0-9]*)")
"""How the kubelet names the container: "failed container=web pod=..." in its status, "... web in pod" in events."""
_EVENTS = 100
"""Newest warnings about one resource that are looked at."""
_NO_WORDS: Mapping[str, str] = MappingProxyType({})
_UNWELL = {"Degraded": _RESOURCE, "Missing": _RESOURCE, "Unknown": _RESOURCE, "Suspended": _HELD}
"""States of pods that say why the application's is not better, and how grave they are."""
_UNREADY = {**_UNWELL, "Progressing": _ROLLING}
"""The same of other resources: a service may wait for its address where every pod is well."""


@dataclass(frozen=True, slots=True, order=True)
class _Cause:
    """One possible cause; the greatest is told: the most severe, then by rank, then the newest."""

    severity: int
    rank: int
    at: str
    sentence: str


def why_unhealthy(
    application: Mapping[str, Any],
    tree: Mapping[str, Any],
    events: Sequence[Any] | Json,
    words: Mapping[str, str] = _NO_WORDS,
) -> str:
    """Say in one sentence of at most `LIMIT` characters what is wrong, or "" when nothing says so.

    In this order: what the last sync could not apply and hooks that failed; errors of the application itself; pods
    that cannot start or run (with what the events say about them); warnings of events; unhealthy resources; pods that
    are not up yet; suspended resources; those that are not ready; the application's own message.

    :param application: of ``GET /applications/{name}``. :param tree: of ``.../resource-tree``, or {}.
    :param events: of ``.../events``: the list, or the object with ``items``. Odd shapes are passed over.
    :param words: by the `place` of a pod that `ran`, how its log ends; told of those that ended by themselves.
    """
    application, tree = mapping(application), mapping(tree)
    warnings = _warnings(events)
    causes = [
        *_operation_causes(application),
        *_condition_causes(application),
        *_node_causes(tree, warnings, words),
        *_event_causes(warnings),
        *_own_causes(application),
    ]
    return one_line(max(causes).sentence) if causes else ""


def ran(pod: Mapping[str, Any]) -> bool:
    """Tell whether a container of a pod (a node of the tree) has run, so that its log may say why it is unwell."""
    return bare(pod_reason(pod)) in _RAN


def container_of(pod: Mapping[str, Any], events: Sequence[Any]) -> str:
    """Name the container of a pod that fails, as the kubelet does; "" where it does not say."""
    about = (text(event.get("message")) for event in reversed(_warnings(events)) if _is_about(event, pod))
    for message in (text(mapping(pod.get("health")).get("message")), *about):
        if found := _CONTAINER.search(message):
            return found[1]
    return ""


def last_words(lines: Sequence[str]) -> str:
    """Return the last line of a log that says anything."""
    return next((said for line in reversed(lines) if (said := one_line(plain(line)))), "")


def place(resource: Mapping[str, Any]) -> str:
    """Return where a resource is, as "namespace/name"."""
    return "/".join(filter(None, texts([resource.get("namespace"), resource.get("name")])))


def _operation_causes(application: Json) -> Iterator[_Cause]:
    state = mapping(mapping(application.get("status")).get("operationState"))
    if state.get("phase") not in ("Failed", "Error"):
        return
    for result in mappings(mapping(state.get("syncResult")).get("resources")):
        hook = text(result.get("hookType"))
        failed = result.get("status") == "SyncFailed" or (hook and result.get("hookPhase") in ("Failed", "Error"))
        if failed:
            what = f"{hook} hook {name_of(result)} failed" if hook else f"{name_of(result)} could not be applied"
            yield _Cause(_SYNC, 1, "", _joined(what, result.get("message")))
    yield _Cause(_SYNC, 0, "", _joined("The sync failed", state.get("message")))


def _condition_causes(application: Json) -> Iterator[_Cause]:
    for condition in mappings(mapping(application.get("status")).get("conditions")):
        kind = text(condition.get("type"))
        if kind.endswith("Error"):
            yield _Cause(
                _ERROR, 0, text(condition.get("lastTransitionTime")), _joined(kind, condition.get("message"))
            )


def _node_causes(tree: Json, warnings: Sequence[Json], words: Mapping[str, str]) -> Iterator[_Cause]:
    told = _by_object(warnings)
    for node in mappings(tree.get("nodes")):
        health, born = mapping(node.get("health")), text(node.get("createdAt"))
        status, message = text(health.get("status")), text(health.get("message"))
        if node.get("kind") == "Pod":
            named = (*told[text(node.get("uid"))][-_EVENTS:], *told[_identity(node)][-_EVENTS:])
            about = [one for one in named if _is_about(one, node)]
            yield from _pod_causes(node, status, message, born, about, words.get(place(node), ""))
        elif status in _UNREADY:
            rank = 1 if message else 0
            yield _Cause(_UNREADY[status], rank, born, _joined(f"{name_of(node)} is {status}", message))


def _pod_causes(
    node: Json, status: str, message: str, born: str, about: Sequence[Json], words: str
) -> Iterator[_Cause]:
    """Find the causes that a pod shows: none if it is well, else those of its state, its events and its log."""
    reason = pod_reason(node)
    alone = bare(reason)
    if alone in _POD_REASONS:
        rank = len(_POD_REASONS) - _POD_REASONS.index(alone)
        said = _said_about(alone, about) or ("" if words else message)
        sentence = _joined(f"{name_of(node)} is in {reason}", said)
        yield _Cause(_POD, rank, born, _joined(f"{sentence}; its log ends", words) if words else sentence)
    elif status in _UNWELL:
        yield _Cause(_POD, 0, born, _joined(f"{name_of(node)} is {reason or status}", message))
    elif status == "Progressing":
        yield _Cause(_PENDING, 0, born, _joined(f"{name_of(node)} is not ready ({reason or status})", message))


def bare(reason: str) -> str:
    """Return the reason of a pod without what says which of its containers it is about."""
    return reason.rpartition(":")[2]  # "Init:CrashLoopBackOff" is an init container's


def pod_reason(node: Json) -> str:
    """Return why a pod (a node of the tree) is as it is, as `kubectl get pods` says it; "" = not known."""
    return next(
        (text(one.get("value")) for one in mappings(node.get("info")) if one.get("name") == "Status Reason"), ""
    )


def _said_about(reason: str, warnings: Sequence[Json]) -> str:
    """Find what the events of a pod tell about its state: why the pull failed, which probe killed it."""
    wanted = ("Failed",) if reason in _PULL else ("Failed", "Unhealthy")
    found = [one for one in warnings if one.get("reason") in wanted and not _is_of_readiness(one)]
    if reason in _PULL:
        found = [one for one in found if "pull" in text(one.get("message")).lower()]
    return max((text(one.get("message")) for one in found), key=len, default="")


def _is_of_readiness(event: Json) -> bool:
    """Tell whether a readiness probe failed: the kubelet never ends a container because of it."""
    return event.get("reason") == "Unhealthy" and text(event.get("message")).startswith("Readiness probe")


def _event_causes(warnings: Sequence[Json]) -> Iterator[_Cause]:
    for event in warnings:
        reason, about = text(event.get("reason")), mapping(event.get("involvedObject"))
        if about.get("kind") == "Application":  # of any sync of the last hour; its state tells of the one that counts
            continue
        known = reason in _EVENT_REASONS
        rank = len(_EVENT_REASONS) - _EVENT_REASONS.index(reason) if known else 0
        sentence = _joined(f"{name_of(about)}: {reason}", event.get("message"))
        yield _Cause(_EVENT if known else _PENDING, rank, _event_time(event), sentence)


def _own_causes(application: Json) -> Iterator[_Cause]:
    status = mapping(application.get("status"))
    for resource in mappings(status.get("resources")):
        health = mapping(resource.get("health"))
        state = text(health.get("status"))
        if state in _UNREADY:
            yield _Cause(_UNREADY[state], 0, "", _joined(f"{name_of(resource)} is {state}", health.get("message")))
    health = mapping(status.get("health"))
    if text(health.get("status")) not in ("", "Healthy"):
        yield _Cause(_OWN, 0, "", _joined(f"The application is {health['status']}", health.get("message")))


def _warnings(events: object) -> list[Json]:
    """List the warnings, newest last. Events of resources that are gone are among them, as the oldest."""
    listed = mappings(mapping(events).get("items")) or mappings(events)
    return sorted((one for one in listed if one.get("type") == "Warning"), key=_event_time)


def _event_time(event: Json) -> str:
    series = mapping(event.get("series"))
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((time for time in times if isinstance(time, str) and time), "")


def _by_object(warnings: Sequence[Json]) -> Mapping[Any, Sequence[Json]]:
    """Arrange warnings by what they are about: to look through all of them for each of 4,000 pods took 15 s."""
    found: defaultdict[Any, list[Json]] = defaultdict(list)
    for event in warnings:
        about = mapping(event.get("involvedObject"))
        for key in filter(None, (text(about.get("uid")), _identity(about))):
            found[key].append(event)
    return found


def _identity(thing: Json) -> tuple[str, ...]:
    return tuple(text(thing.get(key)) for key in ("kind", "namespace", "name"))


def _is_about(event: Json, node: Json) -> bool:
    about = mapping(event.get("involvedObject"))
    if about.get("uid") and node.get("uid"):
        return bool(about["uid"] == node["uid"])
    return _identity(about) == _identity(node)


def name_of(resource: Json) -> str:
    """Return what people call a resource: "Pod shop/api-1"."""
    return f"{text(resource.get('kind')) or 'Resource'} {place(resource) or '(without a name)'}"


def _joined(what: str, message: object) -> str:
    said = one_line(message, LIMIT - 100)
    return f"{what}: {said}" if said else what
