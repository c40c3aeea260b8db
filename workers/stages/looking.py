"""One look at an Argo CD application, shared by ``sync`` and ``health``: read, judge, word."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import Any

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.ownership import RUN_TRAILER
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName, Wait
from workers.clients.argocd import Refresh
from workers.clients.git_errors import Missing
from workers.gitops.readiness import Expected, Verdict, VerdictKind, compared_badly, judge, remembered
from workers.gitops.values import EditRefused, inspect
from workers.shapes import mapping, read_json, text
from workers.stages.order import Order, Tools
from workers.stages.wanted import change_of, values_in

CONFIRM = 2.0
"""Seconds between two looks when the first one's evidence is not the strongest (contracts: second GET)."""
_SOON, _NOW_AND_THEN = 10.0, 60.0
"""Seconds after which a comparison that went wrong is asked for again, the first time and from then on."""
_AGAIN = 30.0
"""Seconds between two requests for a sync of the same commit."""
_HISTORY = 50
"""Later commits to our file among which one by a run is searched."""
_HYDRATED = "hydrator.metadata"
"""The file at the top of a hydrated branch (argo-cd, commitserver/commit/hydratorhelper.go)."""
_MISSING_GRACE = 60.0
"""Seconds in a row for which an application may be missing: ``check`` has seen it, and a 403 has many causes."""
_MISSING_SINCE = "missing_since"
"""The output that says since when the application is missing."""


def look(order: Order, tools: Tools, *, refresh: bool = False) -> tuple[Mapping[str, Any], Verdict]:
    """Read the application once and judge it.

    After a comparison that failed another one is requested, as Argo CD makes the next one only minutes later: a short
    outage of its Git server must not count as an error that lasts. Nor must one that Argo CD only remembers.

    :raises Refused: Argo CD does not let us see it. :raises Unavailable: it does not answer.
    :raises Cancelled: (or ``LeaseLost``) the work is to stop.
    """
    before = order.outputs.get("memory") or {}
    memory = {name: value for name, value in before.items() if name != _MISSING_SINCE}
    again = compared_badly(memory) and _is_due(order, memory)
    kind: Refresh = "hard" if again and remembered(memory) else "normal" if refresh or again else ""
    application = tools.clients.argocd.get(order.environment.argocd, **order.where, refresh=kind)
    verdict = judge(application, expected(order, tools), order.now, memory)
    if compared_badly(verdict.memory):
        asked = order.now.isoformat() if again else memory.get("again", "")
        verdict = replace(verdict, memory={**verdict.memory, "again": asked})
    return application, verdict


def note(order: Order, tools: Tools, stage: StageName, verdict: Verdict) -> None:
    """Write what a look saw into the run's log, unless the last look saw the same: a rollout is looked at often."""
    if verdict.detail != order.run.stage(stage).detail:
        tools.log(f"{verdict.reason}: {verdict.detail}" if verdict.detail else verdict.reason)


def _is_due(order: Order, memory: Mapping[str, Any]) -> bool:
    """Tell whether to ask for another comparison: once soon, then now and then."""
    asked, pause = (memory["again"], _NOW_AND_THEN) if memory.get("again") else (memory["since"], _SOON)
    return order.seconds_since(asked) >= pause


def expected(order: Order, tools: Tools) -> Expected:
    """Say what the application must show for the run to be live."""
    environment = order.environment
    commit = str(order.outputs["gitops_commit"])
    troubles: list[str] = []
    return Expected(
        commit=commit,
        image=order.run.image,
        digest=order.run.digest,
        pushed_at=datetime.fromisoformat(order.outputs["committed_at"]),
        addresses=order.settings.gitops.addresses,
        branch=order.settings.gitops.branch,
        values=environment.values,
        degraded_grace=environment.degraded_grace,
        sync=environment.sync,
        noop=bool(order.outputs.get("noop")),
        contains=lambda revision: _contains(order, tools, commit, revision, troubles),
        obscured=lambda: troubles[-1] if troubles else "",
        dry_of=cache(partial(_dry_of, tools)),  # one look asks it of the same revision several times
        reverted=lambda revision: _reverted(order, tools, commit, revision),
    )


def _dry_of(tools: Tools, revision: str, branch: str) -> str:
    """Read of which commit a hydrated one was made, also through a merge: the source hydrator notes it in a file."""
    mirror = tools.clients.gitops
    try:
        mirror.fetch_commit(revision, branch, checkpoint=tools.checkpoint)
        noted = read_json(mirror.read(revision, _HYDRATED) or b"{}")
    except (Refused, Unavailable, ValueError) as error:
        tools.log(f"cannot read of what {revision[:12]} was hydrated: {error}")
        return ""
    return text(mapping(noted).get("drySha"))


def _reverted(order: Order, tools: Tools, commit: str, revision: str) -> str:
    """Say to what a later commit changed our value; "" when none did.

    A later run does not count: it ends this run as soon as it has recorded that its change landed.
    """
    try:
        if tools.clients.gitops.is_ancestor(commit, revision) is not True or _same_value(order, tools, revision):
            return ""
        return "" if _overtaken(order, tools, commit, revision) else _instead(order, tools, revision)
    except (Refused, Unavailable) as error:
        tools.log(f"cannot read {revision[:12]} yet: {error}")
        return ""


def _instead(order: Order, tools: Tools, revision: str) -> str:
    """Say what stands there instead of our value."""
    path = order.environment.values
    raw = tools.clients.gitops.read(revision, path)
    if raw is None:
        return f"{path} is not there any more"
    try:
        for edit in change_of(order).edits:
            inspect(raw, edit.path)
    except EditRefused as refusal:
        return f"our value cannot be read in {path} any more: {refusal}"
    return f"{path} has another value there"


def _overtaken(order: Order, tools: Tools, commit: str, revision: str) -> bool:
    """Tell whether a later run, and not a person, gave the value its present form."""
    mirror, path = tools.clients.gitops, order.environment.values
    present = values_in(order, mirror.read(revision, path))
    later = mirror.history(revision, _HISTORY, f"{RUN_TRAILER}: ", after=commit, path=path)
    made = (one for one in later if values_in(order, mirror.read(one.commit, path)) == present)
    return present is not None and any(values_in(order, mirror.read(one.parent, path)) != present for one in made)


def _contains(order: Order, tools: Tools, commit: str, revision: str, troubles: list[str]) -> bool | None:
    """Tell whether our value is in force in `revision`, which has to contain our commit; None: Git cannot tell yet.

    Where the branch was rewritten (a rebase, a squash), our commit is in no revision any more, and the value decides.

    :param troubles: gets what keeps us from looking.
    """
    mirror, branch = tools.clients.gitops, order.settings.gitops.branch
    try:
        head = "" if mirror.has(revision) else mirror.fetch_branch(branch, checkpoint=tools.checkpoint)
        contained, path = mirror.is_ancestor(commit, revision), order.environment.values
        if not contained:
            replaces = _replaces(order, tools, commit, revision, head)
            return _same_value(order, tools, revision) if replaces else contained
        return mirror.read(revision, path) == mirror.read(commit, path) or _same_value(order, tools, revision)
    except (Refused, Unavailable) as error:
        tools.log(f"cannot compare {revision[:12]} with our commit yet: {error}")
        troubles.append(str(error))
        return None


def _replaces(order: Order, tools: Tools, commit: str, revision: str, head: str) -> bool:
    """Tell whether the branch was rewritten and `revision` came after our commit, which the branch lost by that.

    If even the server no longer has our commit, nothing tells what came before it: then only the head counts.

    :param head: where the branch was just seen; "" = nobody looked.
    """
    mirror, branch = tools.clients.gitops, order.settings.gitops.branch
    if mirror.is_ancestor(revision, commit) or not mirror.has(revision):
        return False  # as after every push: the server is not asked
    head = head or mirror.fetch_branch(branch, checkpoint=tools.checkpoint)
    try:
        mirror.fetch_commit(commit, checkpoint=tools.checkpoint)  # if it is not here, the branch has it no more
    except Missing:
        return bool(revision == head)
    if mirror.is_ancestor(revision, commit) or mirror.is_ancestor(commit, head):
        return False
    return mirror.is_ancestor(revision, head) is True


def _same_value(order: Order, tools: Tools, revision: str) -> bool:
    """Tell whether our value is still the same: the file may have changed after us, but its rest does not count."""
    found = values_in(order, tools.clients.gitops.read(revision, order.environment.values))
    return found == tuple(edit.value for edit in change_of(order).edits)


def waiting(verdict: Verdict) -> Wait:
    """Wait until the watch sees a change; only what no list shows (what must last, a moved revision) has a time.

    So a thousand waiting runs send no requests to Argo CD; see `workers.argo_watch`.
    """
    return Wait(
        reason=verdict.reason,
        detail=verdict.detail,
        after=verdict.recheck_after,
        outputs={"memory": dict(verdict.memory)},
    )


def wants_sync(order: Order, verdict: Verdict) -> bool:
    """Tell whether to ask for a sync of a commit on top of ours, once for each, or again for one that may do better.

    Nobody else asks for it.
    """
    if order.is_late or not order.environment.sync:
        return False
    if verdict.retry:
        return order.seconds_since(order.outputs.get("sync_asked")) >= _AGAIN
    return verdict.unsynced and order.outputs.get("sync_of") != verdict.revision


def ask_for_sync(order: Order, tools: Tools, verdict: Verdict) -> Wait:
    """Ask Argo CD to sync to the head of its branch, and look again soon."""
    tools.log(f"asking Argo CD to sync {verdict.revision[:12]}".rstrip())
    begun = tools.clients.argocd.sync(order.environment.argocd, **order.where)
    wait = waiting(verdict)
    asked = {"sync_asked": order.now.isoformat(), "sync_of": verdict.revision if begun else ""}
    memory = dict(verdict.memory) if verdict.retry else {}
    return replace(wait, after=1.0, outputs={**wait.outputs, **asked, "memory": memory})


def missing(order: Order, error: Refused) -> Wait | Fail:
    """Tolerate a missing application for a while: its parent may create it anew, or the answer may be wrong."""
    memory = order.outputs.get("memory") or {}
    since = memory.get(_MISSING_SINCE) or order.now.isoformat()
    if error.reason is Reason.APPLICATION_MISSING and order.seconds_since(since) < _MISSING_GRACE:
        outputs = {"memory": {**memory, _MISSING_SINCE: since}}
        return Wait(reason=Reason.SYNC_PENDING, detail=error.evidence, after=5.0, outputs=outputs)
    return Fail(reason=error.reason, detail=error.evidence)


__all__ = [
    "CONFIRM",
    "VerdictKind",
    "ask_for_sync",
    "expected",
    "look",
    "missing",
    "waiting",
    "wants_sync",
]
