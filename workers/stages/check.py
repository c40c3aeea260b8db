"""Find out in a second, before any build, whether the run can reach its end.

The source commit exists, no newer one is deployed; the values file and key can be edited; the Argo CD application
exists and reads that file from our branch; the registry accepts our login for this image.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import image_tag, is_image_tag
from orchestrator.domain.runs import Done, Fail, Outcome, Rival, StageName, Trigger, Wait
from workers.clients.git import Mirror
from workers.gitops.keys import look_at_keys
from workers.gitops.tracking import tracks
from workers.stages.ancestry import is_older
from workers.stages.order import Order, Tools

_NEWS = frozenset({Trigger.PUSH, Trigger.POLL})
"""Triggers that tell of a commit that is mostly not here yet."""
_SECOND_LOOK = 10.0
"""Seconds in which the servers of a forge agree about where a branch is."""


def run(order: Order, tools: Tools) -> Outcome:
    """Check everything at once; the first that is wrong is the run's reason.

    Outputs: commit, image, title, author of the run; ``commit_date``: when its commit was made (RFC 3339);
    ``obsolete``: ids of waiting runs that this one overtakes, as far as they were not approved before it is;
    ``unapproved``: ids of runs that have a newer commit and overtake this one when somebody approves them;
    ``older_than``: ids of runs that have a newer commit, as far as is known here, where a person wants this one.
    """
    checks: tuple[Callable[[Order, Tools], dict[str, Any]], ...] = (_source, _values, _application, _registry)
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        waiting = [pool.submit(check, order, tools) for check in checks]
    outputs: dict[str, Any] = {}
    for done in waiting:
        outputs.update(done.result())
    if outputs.pop("rewritten", False):
        return _rewritten(order)
    newer = outputs.pop("newer", None)
    if newer is not None:
        return Fail(reason=Reason.OLDER_COMMIT, detail=f"run {newer} has a newer commit", outputs=outputs)
    note = outputs.pop("note", "")
    return Done(detail="Everything that the run needs is there" + (f", but {note}" if note else ""), outputs=outputs)


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
    head = mirror.fetch_commit(commit, run.ref, new=new, checkpoint=tools.checkpoint)
    info = mirror.commit_info(commit)
    tools.log(f"source {commit[:12]} {info.subject}")
    found = {
        "commit": commit,
        "title": info.subject[:200],
        "author": info.author_name[:200],
        "commit_date": info.date,
    }
    if new and _is_rewritten(mirror, commit, head):
        return found | {"rewritten": True}
    return found | _ordered(order, tools, commit) | {"image": image_of(order, commit)}


def _rewritten(order: Order) -> Outcome:
    """End the run if a second look agrees: a forge's servers may show a branch as it was before the very push."""
    detail = f"{order.run.ref} has parted from it"
    if order.outputs.get("parted"):
        return Fail(reason=Reason.REWRITTEN, detail=detail)
    return Wait(
        reason=Reason.REWRITTEN, detail=f"{detail}; looking once more", after=_SECOND_LOOK, outputs={"parted": True}
    )


def _is_rewritten(mirror: Mirror, commit: str, head: str) -> bool:
    """Tell whether a branch has parted from a commit that was pushed to it: it was forced to another history since.

    A head below the commit is no sign of that: the copies of a forge's servers lag behind each other.
    """
    apart = head not in ("", commit) and mirror.is_ancestor(commit, head) is False
    return apart and mirror.is_ancestor(head, commit) is False


def _ordered(order: Order, tools: Tools, commit: str) -> dict[str, Any]:
    """Compare with rivals: order is Git ancestry; where histories part (a forced push), the later arrival wins.

    What was approved goes on until something newer is approved.
    """
    found: dict[str, list[int]] = {}
    for rival in order.rivals:
        overtakes = _may_be_overtaken(order, rival)
        if rival.commit == commit or (order.insists and not overtakes):
            continue
        newer = is_older(order, tools, commit, rival.commit)
        if newer and not order.insists:
            if rival.approved or not order.run.approved:
                return {"newer": rival.run}
            found.setdefault("unapproved", []).append(rival.run)
        if not newer and overtakes:
            found.setdefault("obsolete", []).append(rival.run)
    if order.insists:
        found["older_than"] = _older_than(order, tools, commit)
    return {name: runs for name, runs in found.items() if runs}


def _older_than(order: Order, tools: Tools, commit: str) -> list[int]:
    """Find what a person goes back from. For that nobody is asked: their word must go while the server is away.

    What is not here cannot be below `commit`, whose history is: mostly another machine has fetched it since.
    """
    others = (rival for rival in order.rivals if rival.begun and rival.commit != commit)
    return [one.run for one in others if tools.clients.source.is_ancestor(commit, one.commit) is not False]


def _may_be_overtaken(order: Order, rival: Rival) -> bool:
    """Tell whether the rival may end for this run. Who rolled back is not overruled by whoever pushes meanwhile."""
    waits = not rival.landed and not rival.begun and rival.run < order.run.id
    return waits and (order.insists or not rival.rolls_back)


def _values(order: Order, tools: Tools) -> dict[str, Any]:
    """See that every scalar that we shall change is there, can be changed, and has a place for the image's name."""
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
    """See that Argo CD has the application and that it reads our file."""
    environment = order.environment
    application = tools.clients.argocd.get(
        environment.argocd, project=environment.project, app_namespace=environment.app_namespace
    )
    problem = tracks(application, order.settings.gitops, environment)
    if problem:
        raise Refused(Reason.APPLICATION_MISMATCH, problem)
    return {}


def _registry(order: Order, tools: Tools) -> dict[str, Any]:
    """See that the registry has the project and lets us push."""
    if order.settings.registry.harbor:
        project = order.app.image.split("/", 1)[0]
        if not tools.clients.harbor.project_exists(project):
            raise Refused(Reason.REGISTRY_PROJECT_MISSING, f"project {project} on {order.settings.registry.host}")
    if not order.prebuilt:
        tools.clients.registry.check_push(order.app.image)
    return {}


def image_of(order: Order, commit: str) -> str:
    """Name the image of the run with host and tag (or digest).

    A re-run from ``build`` gets a name of its own; one from elsewhere goes on with the image of the run that it
    repeats, unless images of the commit are named otherwise by now (other build options).
    """
    base = f"{order.settings.registry.host}/{order.app.image}"
    given = order.run.image
    if given.startswith("sha256:"):
        return f"{base}@{given}"
    if given and is_image_tag(given):
        return f"{base}:{given}"
    own = f"{base}:{image_tag(commit, order.app.build.inputs)}"
    if given and (order.prebuilt or re.fullmatch(f"{re.escape(own)}(-r[0-9]+)?", given)):
        return given
    return f"{own}-r{order.run.id}" if order.run.from_stage == StageName.BUILD else own
