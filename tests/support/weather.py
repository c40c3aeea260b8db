"""Bad weather for the services around an installation: each fault is short, and a good installation outlives it."""

from collections.abc import Callable
from random import Random

from orchestrator.sandbox.argocd_faults import FaultName
from orchestrator.sandbox.faults import HttpFault
from orchestrator.sandbox.forge_hooks import HookFault
from orchestrator.sandbox.githttp import Fault
from orchestrator.sandbox.platform import Platform

Happen = Callable[[Platform], None]


def _hook(fault: HookFault) -> Happen:
    return lambda platform: platform.forge.fault(fault)


def _git(fault: Fault) -> Happen:
    return lambda platform: platform.forge.git_fault(fault)


def _harbor(fault: HttpFault) -> Happen:
    return lambda platform: platform.harbor.faults.add(fault)


def _chat(fault: HttpFault) -> Happen:
    return lambda platform: platform.chat.faults.add(fault)


def _argocd(name: FaultName, seconds: float, value: float = 0) -> Happen:
    return lambda platform: platform.argocd.faults.set(name, seconds=seconds, value=value)


WEATHER: dict[str, Happen] = {
    "a hook is lost": _hook(HookFault(lose=True)),
    "a hook comes three times": _hook(HookFault(copies=3)),
    "a hook comes late, after others": _hook(HookFault(delay=6)),
    "a fetch is answered 503": _git(Fault(service="upload", status=503)),
    "a fetch is cut": _git(Fault(service="upload", drop="before")),
    "a push is answered 503": _git(Fault(service="receive", status=503)),
    "a push is cut before it is done": _git(Fault(service="receive", drop="before")),
    "a push is done and its answer lost": _git(Fault(service="receive", drop="after")),
    "a push is slow": _git(Fault(service="receive", delay=2)),
    "the registry answers 503": _harbor(HttpFault(where="/v2/", status=503, times=3)),
    "the registry cuts a connection": _harbor(HttpFault(where="/v2/", drop="before")),
    "the registry loses an answer": _harbor(HttpFault(where="/v2/", drop="after")),
    "Harbor has too many requests": _harbor(HttpFault(where="/api/", status=429, times=0, seconds=3)),
    "Argo CD answers 503": _argocd(FaultName.UNAVAILABLE, 4),
    "Argo CD does not see new commits": _argocd(FaultName.STALE_REVISION, 4),
    "Argo CD refreshes late": _argocd(FaultName.SLOW_REFRESH, 5, 2),
    "Argo CD lists what was": _argocd(FaultName.LIST_LAG, 5, 3),
    "the chat has too many requests": _chat(HttpFault(status=429, times=0, seconds=3)),
    "the chat answers 500": _chat(HttpFault(status=500, times=2)),
}


def change(platform: Platform, chance: Random) -> str:
    """Have one thing go wrong; return its name."""
    name = chance.choice(list(WEATHER))
    WEATHER[name](platform)
    return name
