"""Does our image run, where an application is synced and healthy? The last rule of `workers.gitops.readiness`."""

from orchestrator.domain.reasons import Reason
from workers.gitops.application import Operation
from workers.gitops.images import Sighting, another, sighting
from workers.gitops.look import STEADY, Expected, Look, Verdict, VerdictKind
from workers.gitops.words import ended, one_line

IMAGE_GRACE = 30.0
"""Seconds for the list of live images to catch up with the rest of the object."""


def judge_live(look: Look) -> Verdict:
    """Judge an application of which all the rest is as it should be: does our image run?"""
    expected, here = look.expected, look.here
    only_hooks = _in_hooks_only(look.ours, expected)
    seen = None if only_hooks else sighting(look.app.images, expected.image, expected.digest)
    if seen:
        # Argo CD's times are whole seconds, which leave open what came first; a rollout that was seen under way after
        # the operation, and has ended since, does not.
        strong = look.newer or look.memory.get("rolling") == look.rollout
        return _success(look, f"{here} is synced and healthy and {_told(seen)} is live", strong)
    if _is_operated(look):
        named = ", ".join(look.app.operated[:3])
        detail = f"{here} is synced, but {expected.image} is not live yet; Argo CD has no health of {named}"
        return look.wait(Reason.PROGRESSING, detail, after=STEADY, synced=True, unready=True)
    unseen = _unseen(look)
    if unseen and expected.noop:  # nothing has just been applied that the list of live images could lag behind
        return _success(look, f"{here} is synced and healthy; {unseen}")
    if look.app.app_of_apps:
        said = "its health says nothing about its children, one of which is to be named in `argocd`"
        detail = f"{here} is synced, but this is an app of apps: {said}"
        return look.wait(Reason.PROGRESSING, detail, synced=True)
    images = look.ours.images if look.ours and only_hooks else look.app.images
    missed = "in hooks only, not among the applied" if only_hooks else "not among the live"
    named = ", ".join(images[:3]) or "none"
    detail = f"{here} is synced and healthy, but {expected.image} is {missed} images: {named}"
    paths = f"Argo CD makes manifests anew only for changes in {look.left_out} (manifest-generate-paths)"
    detail = ended(detail, one_line(paths, 150) if look.left_out else "")
    what, final = f"image {look.revision}", Reason.IMAGE_NOT_DEPLOYED
    verdict = look.lasting(what, IMAGE_GRACE, Reason.PROGRESSING, final, detail, synced=True)
    if unseen and verdict.kind is VerdictKind.FAILED:
        return _success(look, f"{here} is synced and healthy; {unseen}")
    return verdict


def _is_operated(look: Look) -> bool:
    """Tell whether an operator is to make the pods of our image: it may take its time, and none yet prove nothing."""
    last, image, digest = look.app.operation, look.expected.image, look.expected.digest
    given = last is not None and sighting(last.operated_images, image, digest) is not None
    return bool(look.app.operated) and (given or not look.app.workloads)


def _unseen(look: Look) -> str:
    """Say why our image need not be live although it is deployed; "" when it must be."""
    last, ours, image, digest = look.app.operation, look.ours, look.expected.image, look.expected.digest
    applied = () if last is None or _in_hooks_only(last, look.expected) else (*last.images, *last.hook_images)
    if last and _keeps_old_pods(last, look):
        return ""
    if last and last.phase == "Succeeded" and sighting(applied, image, digest):
        return f"it applied {image}, which no pod runs at present"
    if (ours or look.expected.noop) and not look.app.images:
        return "no pod runs at present"
    if ours and ours.jobs and not ours.images and not ours.partial:
        return f"{', '.join(ours.jobs[:3])} was applied, whose pods run only at times"
    if look.expected.noop and look.app.jobs and not (last and another(last.images, image, digest)):
        return f"the pods of {', '.join(look.app.jobs[:3])} run only at times"
    return ""


def _in_hooks_only(sync: Operation | None, expected: Expected) -> bool:
    """Tell whether a sync gave our image to hooks alone and another of our repository to the rest.

    The pods of its hooks stay among the live ones, and prove nothing about the workload.
    """
    image, digest = expected.image, expected.digest
    if sync is None or sighting(sync.images, image, digest):
        return False
    return sighting(sync.hook_images, image, digest) is not None and another(sync.images, image, digest)


def _keeps_old_pods(sync: Operation, look: Look) -> bool:
    """Tell whether a sync gave our image to what has pods all the time, and they run another that it gave to nothing.

    With the update strategy OnDelete, or a partition, Argo CD calls that Healthy at once.
    """
    image, digest = look.expected.image, look.expected.digest
    left = [one for one in look.app.images if one not in sync.images]
    return sighting(sync.steady_images, image, digest) is not None and another(left, image, digest)


def _success(look: Look, detail: str, strong: bool = False) -> Verdict:
    return look.verdict(VerdictKind.SUCCESS, Reason.HEALTHY, detail, synced=True, strong=strong)


def _told(seen: Sighting) -> str:
    return f"{seen.image} ({seen.note})" if seen.note else seen.image
