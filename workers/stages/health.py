"""Wait until the application is healthy with our image live, and write the receipt."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, Receipt, StageName, Wait
from workers.gitops.look import STEADY
from workers.gitops.operated import is_left_to_operators
from workers.gitops.pods import not_running
from workers.gitops.readiness import Verdict
from workers.gitops.words import one_line
from workers.stages.causes import failed, late
from workers.stages.looking import CONFIRM, VerdictKind, ask_for_sync, look, missing, note, waiting, wants_sync
from workers.stages.order import Order, Tools


def run(order: Order, tools: Tools) -> Outcome:
    """Look once. Outputs on success: ``receipt`` and ``live_images``.

    The strongest evidence (our image seen live in a comparison made after the operation ended) is enough at once;
    anything weaker is confirmed by a second look, `CONFIRM` seconds after the first one, whatever wakes it earlier.
    """
    try:
        application, verdict = look(order, tools)
        verdict = _seen_in_pods(order, tools, application, verdict)
    except Refused as error:
        return _anew(missing(order, error))
    note(order, tools, StageName.HEALTH, verdict)
    lasted = order.seconds_since(order.outputs.get("confirming"))
    left = CONFIRM - lasted
    if verdict.kind is VerdictKind.SUCCESS and (verdict.strong or left <= 0):
        return _proven(order, verdict)
    if verdict.kind is VerdictKind.FAILED:
        return failed(order, tools, application, verdict)
    if wants_sync(order, verdict):
        return _anew(ask_for_sync(order, tools, verdict))
    wait = waiting(verdict)
    if verdict.kind is VerdictKind.SUCCESS:
        since = order.now - timedelta(seconds=lasted)
        outputs = {**wait.outputs, "confirming": since.isoformat()}
        return replace(wait, reason=Reason.CONFIRMING, after=left, confirm=True, outputs=outputs)
    if order.is_late:
        return late(order, tools, application, verdict, StageName.HEALTH)
    return _anew(wait)


def _seen_in_pods(order: Order, tools: Tools, application: Mapping[str, Any], verdict: Verdict) -> Verdict:
    """Wait on where the pods of our image do not run: Argo CD has no health of what many of them belong to."""
    if verdict.kind is not VerdictKind.SUCCESS:
        return verdict
    tree = tools.clients.argocd.resource_tree(order.environment.argocd, **order.where)
    alone = is_left_to_operators(application)
    problem = not_running(tree, order.run.image, order.run.digest, left_to_operators=alone)
    if not problem:
        return verdict
    return replace(
        verdict,
        kind=VerdictKind.WAIT,
        reason=Reason.PROGRESSING,
        detail=one_line(problem),
        recheck_after=STEADY,
        unready=True,
        strong=False,
    )


def _anew(outcome: Wait | Fail) -> Wait | Fail:
    """Forget an earlier success: after what was seen in between, it needs two again."""
    if isinstance(outcome, Fail):
        return outcome
    return replace(outcome, outputs={**outcome.outputs, "confirming": ""})


def _proven(order: Order, verdict: Verdict) -> Done:
    run = order.run
    receipt = Receipt(
        run=run.id,
        app=run.app,
        environment=run.environment,
        source_commit=run.commit,
        image=run.image,
        digest=run.digest,
        gitops_commit=str(order.outputs["gitops_commit"]),
        argocd_application=order.environment.argocd,
        argocd_revision=verdict.revision,
        live_images=verdict.live_images,
        healthy_at=order.now.isoformat().replace("+00:00", "Z"),
    )
    outputs = {"receipt": asdict(receipt), "live_images": list(verdict.live_images)}
    return Done(reason=Reason.HEALTHY, detail=verdict.detail, outputs=outputs)
