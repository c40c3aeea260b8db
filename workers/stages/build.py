"""The stage `build`: from a commit to an image in the engine, unless that image is there already."""

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome
from workers.stages.images import build_image, find, find_local, find_own, reference, repository
from workers.stages.naming import as_configured
from workers.stages.order import Order, Tools


def run(order: Order, tools: Tools) -> Outcome:
    """Make the run's image, or prove that it exists: in the registry, or in the engine from an earlier attempt.

    :return: outputs ``image`` (host, path and tag) and ``digest`` when the registry has it, else ``image_id``.
    :raises Refused, Unavailable: what the registry, the source or the engine said.
    """
    order = as_configured(order)
    if order.prebuilt:
        return _given(order, tools)
    found = find_own(order, tools)
    if found is not None:
        tools.log(f"{order.run.image} is in the registry ({found.digest}) and of this commit; not built again")
        return _reused(order, found.digest)
    tools.checkpoint()
    local = find_local(order, tools)
    if local is not None:
        tools.log(f"{order.run.image} is in the engine ({local}) from an earlier attempt; not built again")
        return Done(reason=Reason.REUSED, reused=True, outputs={"image": order.run.image, "image_id": local})
    image_id = build_image(order, tools)
    tools.log(f"built {image_id}")
    return Done(detail=f"Built {image_id[:19]}", outputs={"image": order.run.image, "image_id": image_id})


def _given(order: Order, tools: Tools) -> Outcome:
    """Prove an image that the run names itself: a promotion, a rollback, or a person's choice."""
    wanted = order.run.digest or reference(order)
    found = find(order, tools, wanted)
    if found is None:
        return Fail(reason=Reason.IMAGE_MISSING, detail=f"{repository(order)} has no {wanted}")
    return _reused(order, found.digest)


def _reused(order: Order, digest: str) -> Done:
    return Done(
        reason=Reason.REUSED, detail=digest, reused=True, outputs={"image": order.run.image, "digest": digest}
    )
