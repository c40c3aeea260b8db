"""How ``sync`` and ``health`` fail: with one sentence about the cause, from all that Argo CD knows."""

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Run, StageName
from workers.gitops.explain import (
    NEVER_STARTED,
    bare,
    container_of,
    last_words,
    place,
    pod_reason,
    ran,
    why_unhealthy,
)
from workers.gitops.images import another, sighting
from workers.gitops.readiness import Verdict, VerdictKind
from workers.gitops.words import LIMIT, one_line
from workers.shapes import Json, mapping, mappings, texts
from workers.stages.order import Order, Tools

_IN_RESOURCES = frozenset({Reason.SYNC_FAILED, Reason.DEGRADED})
"""The reasons that what the resource tree and the events tell may explain."""
_PODS = 3
"""Unhealthy pods whose events and logs are read for the one sentence."""
_LINES = 20
"""Last lines of a pod's log that are copied into the run's log, so that nobody has to look for them elsewhere."""


def failed(order: Order, tools: Tools, application: Mapping[str, Any], verdict: Verdict) -> Fail:
    """Fail with the verdict's own reason, and with the cause if that lies in the resources and can be found.

    What else a verdict says, such as that the value was changed again, no pod in trouble explains.
    """
    in_resources = verdict.reason in _IN_RESOURCES and not verdict.unbegun
    cause = _cause(order, tools, application, verdict) if in_resources else ""
    return _end(tools, verdict.reason, cause or verdict.detail, verdict)


def late(order: Order, tools: Tools, application: Mapping[str, Any], verdict: Verdict, stage: StageName) -> Fail:
    """Fail a wait whose time is over. If a person or a sync window was waited for, the reason still says so.

    The cause is looked for in resources that are not ready, too: many kinds never become "Degraded". Where a pod of
    our image cannot be started, or ends again and again, the application is, as no more time would mend that.
    """
    known = verdict.kind is VerdictKind.NEEDS_HUMAN or verdict.reason is Reason.SYNC_WINDOW
    reason = verdict.reason if known else Reason.TIMED_OUT
    if not known and stage is StageName.HEALTH and verdict.unready and _never_runs(order, tools):
        reason = Reason.DEGRADED
    after = f"{stage} not done after {(order.now - order.started_at).total_seconds():.0f} s"
    cause = _cause(order, tools, application, verdict) if verdict.unready else ""
    if not cause:
        return _end(tools, reason, f"{after}; last seen: {verdict.detail}", verdict)
    obstacle = f"; {verdict.obstacle}" if verdict.obstacle else ""
    return _end(tools, reason, f"{after}: {one_line(cause, LIMIT - len(obstacle))}{obstacle}", verdict)


def _end(tools: Tools, reason: Reason, detail: str, verdict: Verdict) -> Fail:
    tools.log(f"{reason}: {detail}")
    return Fail(reason=reason, detail=detail, outputs={"argocd_revision": verdict.revision})


def _cause(order: Order, tools: Tools, application: Mapping[str, Any], verdict: Verdict) -> str:
    """Say in one sentence what is wrong, from the resource tree, events and logs; "" where they cannot be read."""
    name, where = order.environment.argocd, order.where
    try:
        tree = _without_old(tools.clients.argocd.resource_tree(name, **where), order.run)
        pods = sorted(_troubled(tree), key=_is_still_coming)[:_PODS]
        events = tools.clients.argocd.events(name, **where)
        for pod in pods:
            events += _events(order, tools, pod)
    except (Refused, Unavailable) as error:
        tools.log(f"no details from Argo CD: {error}")
        return ""
    words = {place(pod): _words(order, tools, pod, container_of(pod, events)) for pod in pods if ran(pod)}
    about = application if verdict.reason is Reason.SYNC_FAILED else _without_syncs(application)
    return why_unhealthy(about, tree, events, words)


def _never_runs(order: Order, tools: Tools) -> bool:
    """Tell whether a pod of our image has a container that cannot be started, or that ends again and again."""
    try:
        tree = tools.clients.argocd.resource_tree(order.environment.argocd, **order.where)
    except (Refused, Unavailable):
        return False
    ours = (pod for pod in _troubled(tree) if sighting(texts(pod.get("images")), order.run.image, order.run.digest))
    return any(bare(pod_reason(pod)) in (*NEVER_STARTED, "CrashLoopBackOff") for pod in ours)


def _without_syncs(application: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the last sync and what Argo CD said of it: one that failed though ours succeeded was another."""
    status = mapping(application.get("status"))
    return {"status": {key: status[key] for key in status if key not in ("operationState", "conditions")}}


def _events(order: Order, tools: Tools, pod: Mapping[str, Any]) -> list[Json]:
    """Return the events of one pod; none where it has been replaced since the tree was read."""
    try:
        return tools.clients.argocd.events(order.environment.argocd, **order.where, resource=pod)
    except Refused as error:
        tools.log(f"no events of pod {place(pod)}: {error}")
        return []


def _words(order: Order, tools: Tools, pod: Mapping[str, Any], container: str) -> str:
    """Copy the end of the log of the container that ended, or else of the one that runs now; return its last words.

    The run's log masks secrets in it as in every line.
    """
    name, namespace = str(pod.get("name") or ""), str(pod.get("namespace") or "")
    try:
        for previous in (True, False):
            lines = tools.clients.argocd.logs(
                order.environment.argocd,
                name,
                namespace,
                **order.where,
                container=container,
                previous=previous,
                lines=_LINES,
            )
            if said := last_words(lines):
                tools.log(f"the log of pod {place(pod)} ends:")
                tools.log("\n".join(lines))
                return said
    except (Refused, Unavailable) as error:
        tools.log(f"no log of pod {place(pod)}: {error}")
    return ""


def _without_old(tree: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Leave out the unhealthy pods of the images before ours, if pods of ours are unhealthy too.

    Pods that were evicted weeks ago stay, as failed, until somebody deletes them.
    """
    seen = [(pod, texts(pod.get("images"))) for pod in _troubled(tree)]
    ours = {id(pod) for pod, images in seen if sighting(images, run.image, run.digest)}
    old = {id(pod) for pod, images in seen if id(pod) not in ours and another(images, run.image, run.digest)}
    return {"nodes": [node for node in mappings(tree.get("nodes")) if id(node) not in old]} if ours else tree


def _troubled(tree: Mapping[str, Any]) -> list[Json]:
    """Choose the pods whose events may tell the cause: the application's events do not include theirs."""
    pods = [node for node in mappings(tree.get("nodes")) if node.get("kind") == "Pod"]
    healthy = ("Healthy", "Suspended")
    return [pod for pod in pods if mapping(pod.get("health")).get("status") not in healthy]


def _is_still_coming(pod: Json) -> bool:
    """Tell whether a pod may yet become well: there is room for a few, and others have more to say."""
    return mapping(pod.get("health")).get("status") == "Progressing"
