"""``pilotage discover``: what Argo CD deploys from the GitOps repository already, as `apps` of the configuration."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.options import Config, Output
from orchestrator.cli.output import Format, count, say, say_json, warn
from orchestrator.domain.apps import Environment, Settings
from orchestrator.domain.errors import PilotageError

if TYPE_CHECKING:
    from workers.gitops.discovery import Candidate, LeftOut

_SOURCE_LABEL = "org.opencontainers.image.source"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./:@-]*[A-Za-z0-9_/]")
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_HEAD = """\
# What `pilotage discover` found. Each environment would pass the stage `check`. Suggestions are: names, branches,
# `promote_from` and `approval`."""


def discover(config: Config = None, output: Output = Format.TEXT) -> None:
    """Find what Argo CD deploys from the GitOps repository, and print it as `apps` for the configuration.

    Nothing is changed. Of the configuration it needs `registry`, `gitops` and `argocd`; write `apps: []` as long as
    there is none. What is configured already is not printed again. Standard error tells what was left out, and why.

    \b
    Example:
      pilotage discover > apps.yaml
    """
    from orchestrator.cli import assembly

    settings = assembly.load_settings(config)
    found, left_out = _look(settings)
    new = [one for one in found if not _is_configured(one, settings)]
    apps = [_app(image, list(several), new, settings) for image, several in groupby(new, lambda one: one.image)]
    if output is Format.JSON:
        left = [{"application": one.application, "why": one.why} for one in left_out]
        say_json({"apps": apps, "left_out": left, "configured": len(found) - len(new)})
        return
    _tell(apps, new, left_out, len(found) - len(new))


def _look(settings: Settings) -> "tuple[list[Candidate], list[LeftOut]]":
    from workers.clients.argocd import ArgoClient
    from workers.clients.git import GITOPS, Mirror, mirror_folder
    from workers.gitops import discovery

    access = settings.gitops.access
    mirror = Mirror(access, mirror_folder(Path(settings.state_dir), access.url), reasons=GITOPS)
    applications = ArgoClient(settings.argocd).applications()
    commit = mirror.fetch_branch(settings.gitops.branch)
    files = mirror.files(commit, discovery.files_wanted(applications, settings.gitops))
    return discovery.discover(applications, files, settings.gitops, settings.registry.host)


def _is_configured(one: "Candidate", settings: Settings) -> bool:
    mine = one.environment
    known = (place for app in settings.apps for place in app.environments)
    return any((place.values, place.key) == (mine.values, mine.key) for place in known)


def _app(
    image: str, several: "Sequence[Candidate]", new: "Sequence[Candidate]", settings: Settings
) -> dict[str, Any]:
    """Write one app as the configuration has it. ``repo``: "" where the image does not tell its source."""
    from workers.gitops.discovery import app_of, promoted

    known = next((app for app in settings.apps if app.image == image), None)
    alike = {one.image for one in new if app_of(one.image) == app_of(image)}
    name = known.name if known else app_of(image) if len(alike) == 1 else image.replace("/", "-")
    repo = known.source.url if known else next(filter(None, (_source(one, settings) for one in several)), "")
    environments = [_environment(one) for one in promoted([one.environment for one in several])]
    return {"name": name, "repo": repo, "image": image, "environments": environments}


def _source(one: "Candidate", settings: Settings) -> str:
    """Read from an image's label where its source is; "" where it does not say so, or cannot be read."""
    from orchestrator.config.types import repo_url
    from workers.clients.registry import RegistryClient

    with suppress(PilotageError, ValueError):
        labels = RegistryClient(settings.registry).labels(one.image, one.tag) or {}
        return repo_url(labels.get(_SOURCE_LABEL, ""))
    return ""


def _environment(place: Environment) -> dict[str, Any]:
    """Write one environment as the configuration has it, without what is the default anyway."""
    usual = Environment(name="", values="", argocd="")
    names = ("name", "branch", "promote_from", "values", "key", "value", "argocd", "sync")
    entry = {name: getattr(place, name) for name in names if getattr(place, name) != getattr(usual, name)}
    return entry | ({"approval": "required"} if place.approval else {})


def _tell(
    apps: Sequence[Mapping[str, Any]], new: "Sequence[Candidate]", left_out: "Sequence[LeftOut]", configured: int
) -> None:
    if apps:
        say("\n".join([_HEAD, "apps:", *(line for app in apps for line in _lines(app))]))
    for one in new:
        if one.warning:
            warn(f"{one.environment.argocd}: {one.warning}")
    for left in left_out:
        warn(f"left out: {left.application}: {left.why}")
    places = sum(len(app["environments"]) for app in apps)
    more = f"; {count(configured, 'environment')} configured already" if configured else ""
    warn(f"{count(len(apps), 'app')} with {count(places, 'environment')} found{more}.")


def _lines(app: Mapping[str, Any]) -> Iterator[str]:
    yield f"  - name: {_scalar(app['name'])}"
    yield f"    repo: {_scalar(app['repo'])}" if app["repo"] else "    repo: # the repository with its Dockerfile"
    yield f"    image: {_scalar(app['image'])}"
    yield "    environments:"
    for place in app["environments"]:
        for number, (key, value) in enumerate(place.items()):
            yield f"      {'  ' if number else '- '}{key}: {_scalar(value)}"
        if not place.keys() & {"branch", "promote_from"}:
            yield "        # add branch, tag or promote_from: what deploys here cannot be told"


def _scalar(value: object) -> str:
    """Write a value as YAML reads it: JSON where that is the safe way."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
