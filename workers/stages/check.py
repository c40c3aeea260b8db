"""Find out in a second, before any build, whether the run can reach its end.

The source commit exists, its submodules may be asked for, no newer one is deployed; the values file and key can be
edited; the Argo CD application exists and reads that file from our branch; the registry accepts our login for this
image.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.domain.ansi import visible
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, Rival, Trigger, Wait
from orchestrator.domain.wording import shorten
from workers.clients.git import Mirror
from workers.clients.git_errors import Missing
from workers.gitops.keys import look_at_keys
from workers.gitops.tracking import staged
from workers.shapes import mapping, text
from workers.stages.ancestry import holds, is_older
from workers.stages.images import look_at_submodules
from workers.stages.naming import image_of
from workers.stages.order import Order, Tools
from workers.stages.reading import require_reader

_NEWS = frozenset({Trigger.PUSH, Trigger.POLL})
"""Triggers that tell of a commit which this machine seldom has yet."""
_MAX_TITLE = 200
"""Characters of a commit's title, and of its author's name."""
_LOOK_AGAIN = 5.0
"""Seconds between two looks at a branch about which the servers of a forge may not agree yet."""
_PARTED = 10.0
"""Seconds for which a branch must show another history than the push told of."""
_UNSEEN = 20.0
"""Seconds for which Argo CD must not show the application before it counts as missing."""
_BELOW = 60.0
"""Seconds for which a branch must stay behind the push, or its commit be unknown: a forge's servers lag behind each
other, and hooks are sent at once."""


def run(order: Order, tools: Tools) -> Outcome:
    """Check everything; the first thing that is wrong is the run's reason.

    Outputs: commit, image, title, author of the run; ``commit_date``: when its commit was made (RFC 3339);
    ``obsolete``: ids of waiting runs that this one overtakes, as far as they were not approved before it is;
    ``unapproved``: ids of runs that have a newer commit and overtake this one when somebody approves them;
    ``older_than``: ids of runs that have a newer commit, as far as is known here, where a person or a branch
    that was set back wants this one;
    ``dropped``: ids of runs whose newer commits the branch has lost, so that this one goes over them;
    ``argocd_project``: the project of the application ``argocd_application``, see `Order.where`.
    """
    checks: tuple[Callable[[Order, Tools], dict[str, Any]], ...] = (_source, _values, _application, _registry)
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        waiting = [pool.submit(check, order, tools) for check in checks]
    outputs: dict[str, Any] = {}
    for done in waiting:
        outputs.update(done.result())
    unknown = outputs.pop("unknown", None)
    if unknown is not None:
        return _look_again(order, Reason.COMMIT_NOT_FOUND, unknown, "unknown_since")
    absent = outputs.pop("absent", None)
    if absent is not None:
        return _absent(order, *absent)
    newer = outputs.pop("newer", None)
    if newer is not None:
        return Fail(reason=Reason.OLDER_COMMIT, detail=f"run {newer} has a newer commit", outputs=outputs)
    missing = outputs.pop("missing", None)
    if missing is not None:
        return _look_again(order, Reason.APPLICATION_MISSING, missing, "missing_since")
    if "dropped" in outputs and not _lasts(order, "dropped_since", _BELOW):
        seen = f"run {outputs['dropped'][0]} has a newer commit, which {order.run.ref} does not hold"
        return _look_again(order, Reason.OLDER_COMMIT, seen, "dropped_since")
    notes = [outputs.pop(name) for name in ("note", "merge") if name in outputs]
    return Done(detail=", but ".join(["Everything that the run needs is there", *notes]), outputs=outputs)


def _source(order: Order, tools: Tools) -> dict[str, Any]:
    """Make the commit available, and compare it with what other runs have."""
    run = order.run
    if not run.commit and not run.ref:
        return {"image": image_of(order, "")}
    mirror = tools.clients.source
    commit = run.commit or mirror.resolve(run.ref, checkpoint=tools.checkpoint)
    if order.prebuilt:
        return {"image": image_of(order, commit)}
    new = run.trigger in _NEWS and run.attempt == 1
    try:
        head = mirror.fetch_commit(commit, run.ref, new=new, checkpoint=tools.checkpoint)
    except Missing as error:
        if not (new and run.ref) or _lasts(order, "unknown_since", _BELOW):
            raise
        return {"unknown": error.evidence}
    info = mirror.commit_info(commit)
    tools.log(f"source {commit[:12]} {info.subject}")
    found = {
        "commit": commit,
        "title": shorten(visible(info.subject), _MAX_TITLE),
        "author": shorten(visible(info.author_name), _MAX_TITLE),
        "commit_date": info.date,
    }
    of_branch = new and run.ref != "" and not run.ref.startswith("refs/tags/")
    if of_branch and not holds(tools, head, commit):
        return found | {"absent": _absence(mirror, run.ref, commit, head)}
    look_at_submodules(order, tools, commit)
    return found | _ordered(order, tools, commit, head if of_branch else "") | {"image": image_of(order, commit)}


def _absence(mirror: Mirror, ref: str, commit: str, head: str) -> tuple[str, float]:
    """Say how a branch lacks a commit that was pushed to it, and after how many seconds of that it counts."""
    if not head:
        return f"there is no {ref}", _BELOW
    if mirror.is_ancestor(head, commit):
        return f"{ref} does not hold it", _BELOW
    return f"{ref} has parted from it", _PARTED


def _absent(order: Order, seen: str, seconds: float) -> Outcome:
    """Fail the run if later looks agree: a forge's servers may still show a branch as it was before the push."""
    if _lasts(order, "absent_since", seconds):
        return Fail(reason=Reason.REWRITTEN, detail=seen, outputs={"left": True})
    return _look_again(order, Reason.REWRITTEN, seen, "absent_since")


def _lasts(order: Order, since: str, seconds: float) -> bool:
    """Tell whether what was first seen at the time in the output `since` has lasted long enough."""
    first = order.outputs.get(since)
    return first is not None and order.seconds_since(first) >= seconds


def _look_again(order: Order, reason: Reason, seen: str, since: str) -> Wait:
    outputs = {since: order.outputs.get(since, order.now.isoformat())}
    return Wait(reason=reason, detail=f"{seen}; looking once more", after=_LOOK_AGAIN, outputs=outputs)


def _ordered(order: Order, tools: Tools, commit: str, head: str) -> dict[str, Any]:
    """Compare with rivals: order is Git ancestry; where histories part (a forced push), the later arrival wins.

    An approved run goes on until something newer is approved.

    :param head: where the run's branch was just seen; "" = nobody looked. A rival from the same branch whose commit
        the branch no longer contains does not count as newer; if it does contain it, it has `left` the run's commit.
    """
    found: dict[str, list[int]] = {}
    for rival in order.rivals:
        overtakes = _may_be_overtaken(order, rival)
        if rival.commit == commit or (order.insists and not overtakes):
            continue
        newer = is_older(order, tools, commit, rival.commit)
        lost = newer and head and rival.ref == order.run.ref and not holds(tools, head, rival.commit)
        if lost:
            found.setdefault("dropped", []).append(rival.run)
            found.setdefault("older_than", []).extend([rival.run] if rival.begun else [])
        elif newer and not order.insists:
            if rival.approved or not order.run.approved:
                return {"newer": rival.run} | ({"left": True} if head and rival.ref == order.run.ref else {})
            found.setdefault("unapproved", []).append(rival.run)
        if overtakes and (lost or not newer):
            found.setdefault("obsolete", []).append(rival.run)
    if order.insists:
        found["older_than"] = _older_than(order, tools, commit)
    return {name: runs for name, runs in found.items() if runs}


def _older_than(order: Order, tools: Tools, commit: str) -> list[int]:
    """Find the runs with newer commits that a person goes back from, without the server: it may be away.

    A commit that is not here is not in the history of `commit`, which is: another machine has fetched it since.
    """
    others = (rival for rival in order.rivals if rival.begun and rival.commit != commit)
    return [one.run for one in others if tools.clients.source.is_ancestor(commit, one.commit) is not False]


def _may_be_overtaken(order: Order, rival: Rival) -> bool:
    """Tell whether this run may end the rival. A push does not overrule a person who has rolled back meanwhile."""
    waits = not rival.landed and not rival.begun and rival.run < order.run.id
    return waits and (order.insists or not rival.rolls_back)


def _values(order: Order, tools: Tools) -> dict[str, Any]:
    """See that every value that we shall change is there, can be changed, and can hold the image's name."""
    environment = order.environment
    fault = environment.fault_of(order.run.image)
    if fault:
        raise Refused(Reason.VALUES_KEY_REFUSED, fault)
    mirror = tools.clients.gitops
    head = mirror.fetch_branch(order.settings.gitops.branch, checkpoint=tools.checkpoint)
    keys = look_at_keys(mirror.read(head, environment.values), order.settings.gitops, environment)
    if not keys.warning:
        return {}
    tools.log(f"warning: {environment.values}: {keys.warning}")
    return {"note": keys.warning}


def _application(order: Order, tools: Tools) -> dict[str, Any]:
    """See that Argo CD has the application and that it reads our file.

    A missing one is looked for again: its parent may be about to create it, and Argo CD also answers 403 when it
    cannot reach Kubernetes.
    """
    environment = order.environment
    try:
        application = tools.clients.argocd.get(environment.argocd, **order.where)
    except Refused as error:
        if error.reason is not Reason.APPLICATION_MISSING or _lasts(order, "missing_since", _UNSEEN):
            raise
        return {"missing": error.evidence}
    require_reader(tools.clients.argocd, application, order.settings, order.app, environment)
    project = text(mapping(application.get("spec")).get("project"))
    merge = staged(application)
    if merge:
        tools.log(f"note: {environment.argocd}: {merge}")
    known = {"argocd_project": project, "argocd_application": environment.argocd} if project else {}
    return known | ({"merge": merge} if merge else {})


def _registry(order: Order, tools: Tools) -> dict[str, Any]:
    """See that the registry has the project and lets us push."""
    if order.settings.registry.harbor:
        project = order.app.image.split("/", 1)[0]
        if not tools.clients.harbor.project_exists(project):
            raise Refused(Reason.REGISTRY_PROJECT_MISSING, f"project {project} on {order.settings.registry.host}")
    if not order.prebuilt:
        tools.clients.registry.check_push(order.app.image)
    return {}
