"""What Argo CD's list of applications says of each environment."""

from collections.abc import Iterable, Sequence

from orchestrator.domain.apps import Environment, Settings
from orchestrator.domain.glances import ArgoGlance, Place
from workers.gitops.images import versions_of
from workers.shapes import Json, mapping, text, texts

_MOST_LIVE = 5
"""Versions of one image that are told; more run at a time only where something is amiss."""


def glances_of(applications: Iterable[Json], settings: Settings) -> dict[Place, ArgoGlance]:
    """Find every configured environment's application in a list (with `fingerprint.LIST_FIELDS` or whole)."""
    named: dict[str, list[Json]] = {}
    for one in applications:
        named.setdefault(text(mapping(one.get("metadata")).get("name")), []).append(one)
    return {
        (app.name, env.name): _glance(named.get(env.argocd, ()), env, f"{settings.registry.host}/{app.image}")
        for app in settings.apps
        for env in app.environments
    }


def _glance(named: Sequence[Json], env: Environment, image: str) -> ArgoGlance:
    """Read the application of an environment. :param named: those of its name, in whatever namespace."""
    space = env.app_namespace
    found = [one for one in named if not space or mapping(one.get("metadata")).get("namespace") == space]
    if len(found) == 1:
        return _read(found[0], env, image)
    what = f"application {space}/{env.argocd}" if space else f"application {env.argocd}"
    fault = f"there is no {what} among those that our account may see"
    if found:  # which of the namespaces is Argo CD's own, nobody tells us
        fault = f"there are several of the name {env.argocd}; name its namespace in `app_namespace`"
    return ArgoGlance(argocd=env.argocd, fault=fault)


def _read(application: Json, env: Environment, image: str) -> ArgoGlance:
    status = mapping(application.get("status"))
    phase = text(mapping(status.get("operationState")).get("phase"))
    return ArgoGlance(
        argocd=env.argocd,
        sync=text(mapping(status.get("sync")).get("status")) or "Unknown",
        health=text(mapping(status.get("health")).get("status")) or "Unknown",
        syncing=bool(application.get("operation")) or phase in ("Running", "Terminating"),
        live=versions_of(texts(mapping(status.get("summary")).get("images")), image)[:_MOST_LIVE],
    )
