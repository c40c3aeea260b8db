"""``pilotage discover``: what Argo CD deploys from the GitOps repository already, as `apps` of the configuration."""

from collections.abc import Sequence
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

_HEAD = """\
# What `pilotage discover` found. Each environment would pass the stage `check`. Suggestions are: names, branches,
# `promote_from` and `approval`. What could not be told is named by `pilotage config check`."""


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
    known = (environment for app in settings.apps for environment in app.environments)
    return any((one.values, one.key) == (mine.values, mine.key) for one in known)


def _app(
    image: str, several: "Sequence[Candidate]", new: "Sequence[Candidate]", settings: Settings
) -> dict[str, Any]:
    """Write one app as the configuration has it. ``repo``: None where no image tells its source."""
    from workers.gitops.discovery import app_of, promoted

    known = next((app for app in settings.apps if app.image == image), None)
    alike = {one.image for one in new if app_of(one.image) == app_of(image)}
    name = known.name if known else app_of(image) if len(alike) == 1 else image.replace("/", "-")
    repo = known.source.url if known else next(filter(None, (_source(one, settings) for one in several)), None)
    environments = [_environment(one) for one in promoted([one.environment for one in several])]
    return {"name": name, "repo": repo, "image": image, "environments": environments}


def _source(one: "Candidate", settings: Settings) -> str:
    """Read from an image's label where its source is; "" where it does not say so, or cannot be read."""
    from orchestrator.config.types import repo_url
    from workers.clients.engine_requests import SOURCE_LABEL
    from workers.clients.registry import RegistryClient

    with suppress(PilotageError, ValueError):
        labels = RegistryClient(settings.registry).labels(one.image, one.tag) or {}
        return repo_url(labels.get(SOURCE_LABEL, ""))
    return ""


def _environment(environment: Environment) -> dict[str, Any]:
    """Write one environment as the configuration has it, without what is the default anyway."""
    usual = Environment(name="", values="", argocd="")
    names = ("name", "branch", "promote_from", "values", "key", "value", "argocd", "sync")
    entry = {name: getattr(environment, name) for name in names if getattr(environment, name) != getattr(usual, name)}
    return entry | ({"approval": "required"} if environment.approval else {})


def _tell(
    apps: list[dict[str, Any]], new: "Sequence[Candidate]", left_out: "Sequence[LeftOut]", configured: int
) -> None:
    from orchestrator.config.document import written

    if apps:
        say(f"{_HEAD}\n{written({'apps': apps})}".rstrip())
    for one in new:
        if one.warning:
            warn(f"{one.environment.argocd}: {one.warning}")
    for left in left_out:
        warn(f"left out: {left.application}: {left.why}")
    environments = sum(len(app["environments"]) for app in apps)
    more = f"; {count(configured, 'environment')} configured already" if configured else ""
    warn(f"{count(len(apps), 'app')} with {count(environments, 'environment')} found{more}.")
