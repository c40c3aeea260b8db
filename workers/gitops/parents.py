"""Apps of apps: applications whose resources are Applications. No image runs in them; their children run it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain.apps import Environment, Gitops
from workers.gitops.tracking import reads_file, tracks
from workers.shapes import Json, mapping, mappings, text

READER_FIELDS = ("items.metadata.name", "items.spec")
"""What to ask of the list of applications for `readers`; the server's fixed set has both."""
_GROUP = "argoproj.io"
_CHILDREN = frozenset({"Application", "ApplicationSet"})
_BESIDE = _CHILDREN | {"AppProject", "ConfigMap", "ExternalSecret", "Namespace", "SealedSecret", "Secret"}
"""Kinds that a parent has beside its children; none of them makes pods."""
_NAMED = 3
"""Applications that one sentence names."""


def is_parent(application: Mapping[str, Any]) -> bool:
    """Tell whether an application has others as its resources, and nothing that could run an image."""
    resources = mappings(mapping(application.get("status")).get("resources"))
    has_children = any(text(one.get("kind")) in _CHILDREN and one.get("group") == _GROUP for one in resources)
    return has_children and all(text(one.get("kind")) in _BESIDE for one in resources)


def fault_of(application: Mapping[str, Any], gitops: Gitops, environment: Environment, image: str) -> str | None:
    """Return one sentence about why an environment's application cannot show our image, or None; see `tracks`."""
    if is_parent(application):
        return f"{environment.argocd} is an app of apps: its resources are Applications, and no image runs in it"
    return tracks(application, gitops, environment, image)


def readers(applications: Iterable[Json], gitops: Gitops, environment: Environment, image: str) -> str:
    """Say which other applications read the file that we edit; "" when none does. Each needs `READER_FIELDS`."""
    found = [
        name
        for one in applications
        if (name := text(mapping(one.get("metadata")).get("name"))) not in ("", environment.argocd)
        and reads_file(one, gitops, environment.values)
        and tracks(one, gitops, environment, image) is None
    ]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    verb = "does" if len(found) == 1 else "do"
    named = ", ".join(sorted(found)[:_NAMED])
    return f"{named}{more} {verb} read {environment.values}: name that in `argocd`" if found else ""
