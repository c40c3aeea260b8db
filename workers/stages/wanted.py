"""What a run wants to have in the GitOps repo, worded as a change."""

import hashlib

from orchestrator.domain.apps import Settings
from orchestrator.domain.changes import Change, Edit
from orchestrator.domain.ownership import RUN_TRAILER
from orchestrator.domain.refs import Reference, repo_key
from orchestrator.domain.runs import Run
from workers.gitops.titles import filled_in, inert
from workers.gitops.values import EditRefused, inspect
from workers.stages.order import Order

SOURCE_TRAILER, IMAGE_TRAILER = "Pilotage-Source-Commit", "Pilotage-Image"


def change_of(order: Order) -> Change:
    """Say what the run wants to have in the values file, and how the commit is worded."""
    run, environment = order.run, order.environment
    image = Reference.parse(run.image)
    tag = image.version or run.digest
    worth = {"tag": tag, "image": run.image, "digest": run.digest}[environment.value]
    edits = [Edit(path=environment.key, value=worth)]
    if environment.digest_key:
        edits.append(Edit(path=environment.digest_key, value=run.digest))
    if environment.repository_key:
        edits.append(Edit(path=environment.repository_key, value=image.name))
    return Change(
        run=run.id,
        file=environment.values,
        edits=tuple(edits),
        message=_message(order, tag),
        trailers=_trailers(order),
        date=int(order.started_at.timestamp()),
        form=form_of(order.settings, run.app, environment.name),
    )


def form_of(settings: Settings, app: str, environment: str) -> str:
    """Digest what `change_of` takes from the configuration, for any run of an environment; "" if there is none."""
    found = settings.app(app)
    place = found.environment(environment) if found else None
    if found is None or place is None:
        return ""
    keys = (place.values, place.key, place.value, place.digest_key, place.repository_key)
    return hashlib.sha256(repr((settings.registry.host, found.image, keys)).encode()).hexdigest()[:16]


def image_in(change: Change) -> str:
    """Return the image that a change of `change_of` brings: host, path and tag or digest."""
    named = Reference.parse(dict(change.trailers).get(IMAGE_TRAILER, ""))
    return f"{named.name}:{named.tag}" if named.tag else f"{named.name}@{named.digest}"


def values_in(order: Order, raw: bytes | None) -> tuple[str, ...] | None:
    """Read what stands where we edit; None when it cannot be read there (any more)."""
    try:
        return None if raw is None else tuple(inspect(raw, edit.path) for edit in change_of(order).edits)
    except EditRefused:
        return None


def _message(order: Order, tag: str) -> str:
    run, gitops = order.run, order.settings.gitops
    first = filled_in(
        gitops.message, app=run.app, environment=run.environment, tag=tag, commit=run.commit[:12], run=run.id
    )
    lines = [first, ""]
    if run.title:
        lines.append(inert(run.title))
    if repo_key(gitops.access.url) == repo_key(order.app.source.url):
        lines.append("[skip ci]")  # the app's own pipeline must not start again for our commit
    return "\n".join(lines).rstrip()


def _with_digest(run: Run) -> str:
    return run.image if "@" in run.image else f"{run.image}@{run.digest}"


def _trailers(order: Order) -> tuple[tuple[str, str], ...]:
    run = order.run
    trailers = [(RUN_TRAILER, str(run.id)), (IMAGE_TRAILER, _with_digest(run))]
    if run.commit:
        trailers.insert(1, (SOURCE_TRAILER, run.commit))
    if order.settings.external_url:
        trailers.append(("Pilotage-Url", f"{order.settings.external_url}/runs/{run.id}"))
    return tuple(trailers)
