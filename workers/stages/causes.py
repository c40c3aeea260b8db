"""How ``sync`` and ``health`` end badly: with one sentence about the cause, from all that Argo CD knows."""

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName
from workers.gitops.explain import why_unhealthy
from workers.gitops.readiness import Kind, Verdict
from workers.gitops.words import LIMIT, one_line
from workers.stages.order import Order, Tools

_PODS = 3
"""Unhealthy pods whose events are read for the one sentence."""


def failed(order: Order, tools: Tools, application: Mapping[str, Any], verdict: Verdict) -> Fail:
    """End with the verdict's own reason and with the cause where it can be had."""
    return _end(tools, verdict.reason, _cause(order, tools, application) or verdict.detail, verdict)


def late(order: Order, tools: Tools, application: Mapping[str, Any], verdict: Verdict, stage: StageName) -> Fail:
    """End a wait whose time is over. Where it was a person who was waited for, the reason goes on to say who.

    Resources that are not ready are asked why: many kinds never become "Degraded", whatever keeps their pods down.
    """
    reason = verdict.reason if verdict.kind is Kind.NEEDS_HUMAN else Reason.TIMED_OUT
    after = f"{stage} not done after {(order.now - order.started_at).total_seconds():.0f} s"
    cause = _cause(order, tools, application) if verdict.unready else ""
    if not cause:
        return _end(tools, reason, f"{after}; last seen: {verdict.detail}", verdict)
    obstacle = f"; {verdict.obstacle}" if verdict.obstacle else ""
    return _end(tools, reason, f"{after}: {one_line(cause, LIMIT - len(obstacle))}{obstacle}", verdict)


def _end(tools: Tools, reason: Reason, detail: str, verdict: Verdict) -> Fail:
    tools.log(f"{reason}: {detail}")
    return Fail(reason=reason, detail=detail, outputs={"argocd_revision": verdict.revision})


def _cause(order: Order, tools: Tools, application: Mapping[str, Any]) -> str:
    """Say in one sentence what is wrong, from the resource tree and events; "" where they cannot be had."""
    environment = order.environment
    project, namespace = environment.project, environment.app_namespace
    try:
        tree = tools.clients.argocd.resource_tree(environment.argocd, project=project, app_namespace=namespace)
        events = tools.clients.argocd.events(environment.argocd, project=project, app_namespace=namespace)
        for pod in _troubled_pods(tree):
            events += tools.clients.argocd.events(
                environment.argocd, project=project, app_namespace=namespace, resource=pod
            )
    except (Refused, Unavailable) as error:
        tools.log(f"no details from Argo CD: {error}")
        return ""
    return why_unhealthy(application, tree, events)


def _troubled_pods(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Choose the pods whose own events may say more: the application's events do not include them."""
    nodes = [node for node in tree.get("nodes") or () if isinstance(node, Mapping) and node.get("kind") == "Pod"]
    healthy = ("Healthy", "Suspended")
    return [node for node in nodes if (node.get("health") or {}).get("status") not in healthy][:_PODS]
