"""Wait until Argo CD has applied a revision that contains our commit. One refresh, then plain reads."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Outcome, StageName, Trigger
from workers.gitops.readiness import Verdict
from workers.gitops.windows import blocking_window
from workers.shapes import mapping
from workers.stages.causes import failed, late
from workers.stages.looking import VerdictKind, ask_for_sync, look, missing, note, waiting, wants_sync
from workers.stages.order import Order, Tools

_NUDGE = 60.0
"""Seconds without a sign of our commit after which Argo CD is asked to refresh again: its Git server may lag."""


_UNBEGUN = 15.0
"""Seconds without an automated sync after which Argo CD is asked for its sync windows: it tells of none by itself."""
_WINDOW = 60.0
"""Seconds until it is asked again; a window that has ended shows in the sync that begins."""
_GIVEN_UP = 300.0
"""Seconds without a sync, after several comparisons and without a window: it will not begin (its issue 27875)."""
_NO_WINDOW = {"unbegun": "", "window": "", "window_asked": ""}


def run(order: Order, tools: Tools) -> Outcome:
    """Look once. Outputs: ``refreshed_at``, ``argocd_revision``, and what to remember between looks."""
    refresh = _wants_refresh(order)
    try:
        application, verdict = look(order, tools, refresh=refresh)
    except Refused as error:
        return missing(order, error)
    note(order, tools, StageName.SYNC, verdict)
    asked: dict[str, Any] = {"refreshed_at": order.now.isoformat()} if refresh else {}
    if verdict.synced or verdict.kind is VerdictKind.SUCCESS:
        outputs = {**asked, "argocd_revision": verdict.revision, "memory": dict(verdict.memory)}
        return Done(detail=_applied(order, tools, verdict.revision), outputs=outputs)
    if _wants_sync(order, application, verdict):
        wait = ask_for_sync(order, tools, verdict)
        return replace(wait, outputs={**wait.outputs, **asked})
    verdict, seen = _through_window(order, tools, verdict)
    if verdict.kind is VerdictKind.FAILED:
        return failed(order, tools, application, verdict)
    if order.is_late:
        return late(order, tools, application, verdict, StageName.SYNC)
    wait = waiting(verdict)
    return replace(
        wait, after=wait.after or _until_window(order, seen), outputs={**wait.outputs, **asked, **_NO_WINDOW, **seen}
    )


def _through_window(order: Order, tools: Tools, verdict: Verdict) -> tuple[Verdict, dict[str, str]]:
    """Say so if a sync window keeps Argo CD from syncing; return the verdict and what to remember.

    The windows are asked for after a while, then now and then; in between the last answer counts.
    """
    if not verdict.unbegun:
        return verdict, {}
    seen = {name: str(order.outputs.get(name) or "") for name in _NO_WINDOW}
    back = order.run.stage(StageName.SYNC).attempt > 1  # Argo CD did not answer until now, and may have been stopped
    seen["unbegun"] = order.now.isoformat() if back else seen["unbegun"] or order.now.isoformat()
    asked = seen["window_asked"]
    due = order.seconds_since(asked) >= _WINDOW if asked else order.seconds_since(seen["unbegun"]) >= _UNBEGUN
    if due or order.is_late:
        seen |= {"window": _window(order, tools), "window_asked": order.now.isoformat()}
    if seen["window"]:
        detail = f"{verdict.revision[:12]} is out of sync: {seen['window']}"
        waits = replace(verdict, kind=VerdictKind.WAIT, recheck_after=None, memory={})  # what must last begins anew
        verdict = replace(waits, reason=Reason.SYNC_WINDOW, detail=detail)
        seen["unbegun"] = order.now.isoformat()
    elif order.seconds_since(seen["unbegun"]) >= _GIVEN_UP and not order.is_late:
        detail = f"{verdict.detail}, for {_GIVEN_UP:.0f} s, though Argo CD syncs by itself; a re-run asks it to"
        verdict = replace(verdict, kind=VerdictKind.FAILED, reason=Reason.SYNC_FAILED, detail=detail)
    return verdict, seen


def _until_window(order: Order, seen: Mapping[str, str]) -> float | None:
    """Return the seconds until the windows are asked for; None after that."""
    if not seen or seen["window_asked"]:
        return None
    return max(1.0, _UNBEGUN - order.seconds_since(seen["unbegun"]))


def _window(order: Order, tools: Tools) -> str:
    try:
        windows = tools.clients.argocd.sync_windows(order.environment.argocd, **order.where)
    except (Refused, Unavailable) as error:
        tools.log(f"no sync windows from Argo CD: {error}")
        return ""
    return blocking_window(windows)


def _applied(order: Order, tools: Tools, revision: str) -> str:
    ours, applied = str(order.outputs["gitops_commit"]), f"Argo CD applied {revision[:12]}"
    if revision == ours:
        return applied
    if tools.clients.gitops.is_ancestor(ours, revision):
        return f"{applied}, which contains {ours[:12]}"
    return f"{applied}, which has our value; the branch was rewritten without {ours[:12]}"


def _wants_refresh(order: Order) -> bool:
    asked = order.outputs.get("refreshed_at")
    if asked is None:
        return True
    return order.seconds_since(asked) >= _NUDGE and not order.outputs.get("sync_asked")


def _wants_sync(order: Order, application: Mapping[str, Any], verdict: Verdict) -> bool:
    """Tell whether to ask for a sync, once: if configured, or if a re-run finds that Argo CD gave this commit up.

    Automated sync tries one revision once; after a failure only a sync request (or a new commit) helps. One that came
    during another sync it may not try at all.
    """
    if order.outputs.get("sync_asked"):
        return wants_sync(order, verdict)
    if order.environment.sync:
        return _is_out_of_sync(application)
    outputs = order.outputs
    unbegun = verdict.unbegun and outputs.get("window_asked") and not outputs.get("window")
    return order.run.trigger is Trigger.RERUN and bool(verdict.kind is VerdictKind.FAILED or unbegun)


def _is_out_of_sync(application: Mapping[str, Any]) -> bool:
    compared = mapping(mapping(application.get("status")).get("sync"))
    return compared.get("status") == "OutOfSync" and not application.get("operation")
