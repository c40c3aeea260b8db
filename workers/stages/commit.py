"""Has the change committed to the GitOps repo: by this worker for all that wait, or by one that writes already."""

from dataclasses import replace

from orchestrator import tracing
from orchestrator.domain.changes import Batch, Rejected, Result, Withdrawn
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import Reference
from orchestrator.domain.runs import Done, Fail, Outcome, StageName, Trigger, Wait
from orchestrator.services.commits import Commits
from workers.gitops.commit import InDoubt, land
from workers.stages.ancestry import is_older
from workers.stages.images import find, reference, repository
from workers.stages.lost_runs import newer_in_git
from workers.stages.naming import as_configured, in_registry_of_now
from workers.stages.order import Order, Tools
from workers.stages.wanted import change_of, image_in

_FRESH = 300.0
"""Seconds after its push for which an image counts as still in the registry: most runs need not ask again."""
_LOOK_AGAIN = 5.0
"""Seconds after which a queued change is looked at even if its writer did not report that it landed."""
DEADLINE = 120.0
"""Seconds for one batch to be pushed, lost races included."""


def run(order: Order, tools: Tools) -> Outcome:
    """Queue the change; then write what waits, if nobody else does.

    Outputs: ``gitops_commit``, ``previous`` (the values that were replaced) and ``committed_at``; ``image``, where
    the registry has another address than when it was pushed.

    :raises Refused: IMAGE_BLOCKED, REGISTRY_*; those of the GitOps repository. :raises Unavailable: no answer.
    """
    queue = tools.clients.commits
    obstacle = None if queue.has(order.run.id) else _misfit(order) or _newer(order, tools) or _gone(order, tools)
    if obstacle is not None:
        return obstacle
    here = in_registry_of_now(order)
    if here.run.image == order.run.image:
        return _commit(order, tools, queue)
    left = None if queue.taken(order.run.id) else _left_behind(order, here, tools)
    return left or _named_as_written(_commit(here, tools, queue), order, queue)


def _commit(order: Order, tools: Tools, queue: Commits) -> Outcome:
    answer = queue.submit(change_of(order))
    if answer is None:
        return Wait(reason=Reason.COMMIT_QUEUED, detail="another worker writes to the branch", after=_LOOK_AGAIN)
    own = _write(order, tools, queue, answer) if isinstance(answer, Batch) else answer
    if own is None:
        return Wait(reason=Reason.COMMIT_QUEUED, detail="the change was taken by another writer", after=_LOOK_AGAIN)
    return _outcome(own, order)


def _write(order: Order, tools: Tools, queue: Commits, batch: Batch) -> Result | None:
    """Push one batch and release the branch; return what became of this run's own change."""
    settings = order.settings.gitops
    changes = not_pushed = batch.changes
    try:
        tools.log(f"committing {len(changes)} change{'' if len(changes) == 1 else 's'} to {settings.branch}")
        with tracing.inner("gitops push", changes=len(changes)):
            results = land(
                tools.clients.gitops,
                settings.branch,
                changes,
                unwanted=batch.unwanted,
                author=settings.author,
                signing=tools.clients.signing,
                deadline_s=DEADLINE,
                checkpoint=lambda: _stay_writer(queue),
                on_retry=queue.count_retry,
            )
        not_pushed = []
        queue.finish(results)
    except InDoubt:
        not_pushed = []
        raise
    finally:
        queue.stop(not_pushed)
    return next((result for result in results if result.run == order.run.id), None)


def _stay_writer(queue: Commits) -> None:
    """Renew the right to write. Cancelling this run does not stop a batch that others wait for."""
    if not queue.renew():
        raise Unavailable(Reason.GITOPS_CONTENDED, "another worker took the branch over")


def _misfit(order: Order) -> Fail | None:
    """Fail a run whose image cannot be written where `key` leads by now."""
    fault = order.environment.fault_of(order.run.image)
    return Fail(reason=Reason.VALUES_KEY_REFUSED, detail=fault) if fault else None


def _gone(order: Order, tools: Tools) -> Fail | None:
    """Fail a run whose image was deleted while it waited, for instance behind a hold: no pod could pull it."""
    pushed = order.run.stage(StageName.PUSH).finished_at
    if pushed is None or (order.now - pushed).total_seconds() < _FRESH:
        return None
    order = as_configured(order)
    wanted = _wanted(order)
    if find(order, tools, wanted) is not None:
        return None
    detail = f"{repository(order)} has no {wanted} any more; a retention rule may have deleted it"
    return Fail(reason=Reason.IMAGE_MISSING, detail=detail)


def _left_behind(order: Order, here: Order, tools: Tools) -> Fail | None:
    """Fail a run whose image is not in the registry of now: it has another address since, or is another one.

    :param here: the order with the image under the registry's address of now.
    """
    wanted = _wanted(here)
    found = find(here, tools, wanted)
    if found is not None and found.digest == order.run.digest:
        return None
    what = f"has no {wanted}" if found is None else f"has another image as {wanted}"
    old = Reference.parse(order.run.image).host
    detail = f"{Reference.parse(here.run.image).name} {what}; the run has pushed its image to {old}"
    return Fail(reason=Reason.IMAGE_MISSING, detail=detail)


def _named_as_written(outcome: Outcome, order: Order, queue: Commits) -> Outcome:
    """Note under which address the image is in Git: a writer may have had the change before the registry moved."""
    change = queue.taken(order.run.id) if isinstance(outcome, Done) else None
    if change is None:
        return outcome
    return replace(outcome, outputs={**outcome.outputs, "image": image_in(change)})


def _wanted(order: Order) -> str:
    """Return by what pods will pull the image: its digest or its tag."""
    by_digest = order.environment.digest_key or order.environment.value == "digest"
    return order.run.digest if by_digest else reference(order)


def _newer(order: Order, tools: Tools) -> Fail | None:
    """End the run if a newer commit was deployed since ``check``, unless a person asked for this one."""
    run = order.run
    if order.insists:
        return _overtaken(order)
    if not run.commit:
        return None
    dropped = order.outputs.get("dropped", ())
    for rival in order.rivals:
        if (
            rival.landed
            and rival.run not in dropped
            and rival.commit != run.commit
            and is_older(order, tools, run.commit, rival.commit)
        ):
            return Fail(reason=Reason.OLDER_COMMIT, detail=f"run {rival.run} has deployed a newer commit")
    newer = newer_in_git(order, tools)
    return Fail(reason=Reason.OLDER_COMMIT, detail=newer) if newer else None


def _overtaken(order: Order) -> Fail | None:
    """End a run that a person asked for if one that came later went first: the later word counts.

    Where somebody had to approve it, that may have been later still.
    """
    run = order.run
    if order.environment.approval and run.trigger is not Trigger.ROLLBACK:
        return None
    later = (one.run for one in order.rivals if one.landed and one.run > run.id and one.commit != run.commit)
    first = next(later, None)
    detail = f"run {first}, which came later, has been deployed"
    return None if first is None else Fail(reason=Reason.SUPERSEDED, detail=detail)


def _outcome(result: Result, order: Order) -> Outcome:
    if isinstance(result, Withdrawn):  # the run is to stop, or to wait for the end of a hold
        return Wait(reason=Reason.COMMIT_QUEUED, detail="the change was withdrawn", after=_LOOK_AGAIN)
    if isinstance(result, Rejected):
        return Fail(reason=result.reason, detail=result.detail)
    outputs = {
        "gitops_commit": result.commit,
        "previous": list(result.previous),
        "committed_at": order.now.isoformat(),
        "noop": not result.created and not result.previous,
    }
    if result.created:
        return Done(detail=f"Committed as {result.commit[:12]}", outputs=outputs)
    return Done(reason=Reason.ALREADY_COMMITTED, detail=result.commit[:12], outputs=outputs, reused=True)
