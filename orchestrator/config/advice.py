"""Warnings about what works but is doubtful: secrets in the file, weak secrets, doubtful times, missing files."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from orchestrator.config import app_models, base, models
from orchestrator.config.document import Document
from orchestrator.config.problems import ConfigProblem, Path
from orchestrator.config.shape import secrets
from orchestrator.config.types import is_padded
from orchestrator.domain.masking import SHORTEST
from orchestrator.domain.refs import repo_key

MIN_SECRET = 16
"""Characters that a webhook secret should have: it is all that keeps strangers from starting deploys."""
_PADDED = (
    "begins or ends with white space, which the forge must sign with as well; take it off unless it was entered there"
)
PROGRESS_DEADLINE = 600.0
"""Seconds of Kubernetes' default ``progressDeadlineSeconds``."""


def warnings(document: Document, config: models.Config) -> Iterator[ConfigProblem]:
    """Yield what is doubtful about a file whose every key is readable."""
    for path, message in _all(document, config):
        yield document.problem(path, message)


def _all(document: Document, config: models.Config) -> Iterator[tuple[Path, str]]:
    yield from _secrets(document, config)
    yield from _files(("gitops",), config.gitops)
    for path, keys in (("registry", config.registry), ("argocd", config.argocd)):
        yield from _files((path,), keys)
    for number, entry in enumerate(config.notify):
        if entry.commit_status is not None:
            yield from _files(("notify", number, "commit_status"), entry.commit_status)
    for number, app in enumerate(config.apps):
        yield from _app(("apps", number), app, config.gitops)


def _secrets(document: Document, config: models.Config) -> Iterator[tuple[Path, str]]:
    for path, secret in secrets(config):
        if path not in document.filled:
            yield path, "is a secret written into the file; fill it in with `${VAR}` or `${file:...}`"
        if "build" in path and len(secret.reveal().strip()) < SHORTEST:
            yield path, f"is shorter than {SHORTEST} characters, and so is not masked where a build prints it"
        if path[0] == "webhooks" and len(secret.reveal()) < MIN_SECRET:
            yield path, f"is short; a secret of {MIN_SECRET} or more random characters keeps strangers out"
        if path[0] == "webhooks" and is_padded(secret.reveal()):
            yield path, _PADDED


def _files(path: Path, keys: base.ConfigModel) -> Iterator[tuple[Path, str]]:
    for name in ("ssh_key", "known_hosts", "ca_file"):
        file = getattr(keys, name, "")
        if file and not FilePath(file).is_file():
            yield (*path, name), f"there is no file {file} on this machine"


def _app(path: Path, app: app_models.App, gitops: models.Gitops) -> Iterator[tuple[Path, str]]:
    yield from _files(path, app)
    if not app.build.paths and repo_key(app.repo) == repo_key(gitops.repo):
        yield (
            (*path, "repo"),
            "is the GitOps repository too; set `build.paths`, or whoever edits a values file starts a run",
        )
    for number, environment in enumerate(app.environments):
        here = (*path, "environments", number, "health_timeout")
        if environment.health_timeout < PROGRESS_DEADLINE:
            yield (
                here,
                (
                    f"is shorter than Kubernetes' default progressDeadlineSeconds ({PROGRESS_DEADLINE:g} s):"
                    " a rollout that hangs is then reported as timed out, without Kubernetes' reason"
                ),
            )
        if environment.degraded_grace >= environment.health_timeout:
            yield here, "is not longer than `degraded_grace`: a degraded application is then reported as timed out"
