"""Have the change committed to the GitOps repo: by this worker for all that wait, or by whoever writes already."""

from datetime import datetime

from orchestrator.domain.changes import Change, Edit, Landed, Rejected
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.ownership import RUN_TRAILER
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import repo_key
from orchestrator.domain.runs import Done, Fail, Outcome, Trigger, Wait
from orchestrator.services.commits import Commits
from workers.gitops.commit import land
from workers.stages.order import Order, Tools

_LOOK_AGAIN = 5.0
"""Seconds after which a queued change is looked at even if its writer never said that it landed."""
_DEADLINE = 120.0
"""Seconds for one batch to be pushed, lost races included."""


def run(order: Order, tools: Tools) -> Outcome:
    """Queue the change; then write what waits, if nobody else does.

    Outputs: ``gitops_commit``, ``previous`` (the values that were replaced) and ``committed_at``.
    """
    newer = _newer(order, tools)
    if newer is not None:
        return Fail(reason=Reason.OLDER_COMMIT, detail=f"run {newer} has deployed a newer commit")
    queue = tools.clients.commits
    result = queue.submit(change_of(order))
    if result is not None:
        return _outcome(result, order)
    batch = queue.take()
    if batch is None:
        return Wait(reason=Reason.COMMIT_QUEUED, detail="another worker writes to the branch", after=_LOOK_AGAIN)
    own = _write(order, tools, queue, batch)
    if own is None:
        return Wait(reason=Reason.COMMIT_QUEUED, detail="the change was taken by another writer", after=_LOOK_AGAIN)
    return _outcome(own, order)


def _write(order: Order, tools: Tools, queue: Commits, batch: list[Change]) -> Landed | Rejected | None:
    """Push one batch and hand the branch on; return what became of this run's own change."""
    settings = order.settings.gitops
    unfinished = batch
    try:
        tools.log(f"committing {len(batch)} change(s) to {settings.branch}")
        results = land(
            tools.clients.gitops,
            settings.branch,
            batch,
            author=settings.author,
            signing=tools.clients.signing,
            deadline_s=_DEADLINE,
            checkpoint=lambda: _stay_writer(queue),
        )
        queue.finish(results)
        unfinished = []
    finally:
        queue.stop(unfinished)
    return next((result for result in results if result.run == order.run.id), None)


def _stay_writer(queue: Commits) -> None:
    """Renew the right to write. A batch that others wait for is not given up when this one run is cancelled."""
    if not queue.renew():
        raise Unavailable(Reason.GITOPS_CONTENDED, "another worker took the branch over")


def _newer(order: Order, tools: Tools) -> int | None:
    """Find a run that has deployed a newer commit since ``check`` (a person's word goes before the order)."""
    run = order.run
    if run.trigger not in (Trigger.PUSH, Trigger.POLL, Trigger.RERUN) or not run.commit:
        return None
    for rival in order.rivals:
        if rival.landed and rival.commit != run.commit and tools.clients.source.is_ancestor(run.commit, rival.commit):
            return rival.run
    return None


def change_of(order: Order) -> Change:
    """Say what the run wants to have in the values file, and how the commit is worded."""
    run, environment = order.run, order.environment
    repository, tag = split_image(run.image)
    worth = {"tag": tag or run.digest, "image": run.image, "digest": run.digest}[environment.value]
    edits = [Edit(path=environment.key, value=worth)]
    if environment.digest_key:
        edits.append(Edit(path=environment.digest_key, value=run.digest))
    if environment.repository_key:
        edits.append(Edit(path=environment.repository_key, value=repository))
    return Change(
        run=run.id,
        file=environment.values,
        edits=tuple(edits),
        message=_message(order, tag or run.digest),
        trailers=_trailers(order),
        date=_seconds(order.started_at),
    )


def split_image(image: str) -> tuple[str, str]:
    """Split ``host:port/path:tag`` into repository and tag ("" when it is named by digest)."""
    name = image.split("@", 1)[0]
    head, _, last = name.rpartition("/")
    path, _, tag = last.partition(":")
    return (f"{head}/{path}" if head else path), tag if "@" not in image else ""


def _message(order: Order, tag: str) -> str:
    run, gitops = order.run, order.settings.gitops
    first = gitops.message.format(
        app=run.app, environment=run.environment, tag=tag, commit=run.commit[:12], run=run.id
    )
    lines = [first, ""]
    if run.title:
        lines.append(run.title)
    if repo_key(gitops.access.url) == repo_key(order.app.source.url):
        lines.append("[skip ci]")  # the app's own pipeline must not start again for our commit
    return "\n".join(lines).rstrip()


def _trailers(order: Order) -> tuple[tuple[str, str], ...]:
    run = order.run
    trailers = [(RUN_TRAILER, str(run.id)), ("Pilotage-Image", f"{run.image}@{run.digest}".replace("@@", "@"))]
    if run.commit:
        trailers.insert(1, ("Pilotage-Source-Commit", run.commit))
    if order.settings.external_url:
        trailers.append(("Pilotage-Url", f"{order.settings.external_url}/runs/{run.id}"))
    return tuple(trailers)


def _outcome(result: Landed | Rejected, order: Order) -> Outcome:
    if isinstance(result, Rejected):
        return Fail(reason=Reason.VALUES_KEY_REFUSED, detail=result.detail)
    outputs = {
        "gitops_commit": result.commit,
        "previous": list(result.previous),
        "committed_at": order.now.isoformat(),
        "noop": not result.created and not result.previous,
    }
    if result.created:
        return Done(detail=f"{result.commit[:12]}", outputs=outputs)
    return Done(reason=Reason.ALREADY_COMMITTED, detail=result.commit[:12], outputs=outputs, reused=True)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
