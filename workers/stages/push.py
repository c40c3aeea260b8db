"""The stage `push`: from the engine into the registry, proven by what the registry says afterwards."""

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Outcome
from workers.clients.engine_requests import CallControl
from workers.stages.images import FoundImage, build_image, find, find_local, find_own, reference, repository
from workers.stages.naming import as_configured
from workers.stages.order import Order, Tools

PUSH_TIMEOUT = 1800.0
"""Seconds for one push."""
TIDY_EVERY = 600.0
"""Seconds between two looks for older images: the look takes longer than a small push."""
KEPT_IMAGES = 3
"""Images of an app that stay in the engine, for their layers."""


def run(order: Order, tools: Tools) -> Outcome:
    """Bring the image into the registry under its tag; an image that is there already and ours is left alone.

    An engine that does not have the image (another worker built it) builds it again.

    :return: outputs ``image`` and ``digest``, the latter read back from the registry; ``blocked``: it may not be
        pulled yet.
    :raises Refused: REGISTRY_*, TAG_IMMUTABLE when the tag holds an image of another commit.
    :raises Unavailable: the registry or the engine did not answer.
    """
    order = as_configured(order)
    known = str(order.outputs.get("digest") or order.run.digest)
    given = find(order, tools, known) if known else None
    if given is not None:
        return _done(order, given, reused=True)
    found = find_own(order, tools)
    if found is not None:
        tools.log(f"{order.run.image} is in the registry ({found.digest}) and of this commit; not pushed again")
        return _done(order, found, reused=True)
    if find_local(order, tools) is None:
        tools.log(f"this engine does not have {order.run.image}; it is built here again")
        build_image(order, tools)
    tools.checkpoint()
    return _push(order, tools)


def _push(order: Order, tools: Tools) -> Outcome:
    control = CallControl(on_line=tools.log, checkpoint=tools.checkpoint, deadline=PUSH_TIMEOUT)
    try:
        pushed = tools.clients.engine.push(order.run.image, registry=order.settings.registry, control=control)
    except Refused as error:
        if error.reason is Reason.REGISTRY_UNAUTHORIZED:
            _doubt_refusal(order, tools, error)
        other = find_own(order, tools) if error.reason is Reason.TAG_IMMUTABLE else None
        if other is None:
            raise
        return _done(order, other, reused=True)
    found = _read_back(order, tools, pushed)
    tools.log(f"pushed {order.run.image} ({found.digest})")
    _tidy(order, tools)
    return _done(order, found)


def _doubt_refusal(order: Order, tools: Tools, error: Refused) -> None:
    """Look whether our account may push after all.

    An engine learns from the answer to ``GET /v2/`` how to log in. Where that is a 503, as while a registry restarts,
    it goes on without a login and is refused (seen with Docker 20.10).

    :raises Unavailable: it may, so the next try will tell; or the registry does not answer.
    :raises Refused: it may not.
    """
    tools.clients.registry.check_push(order.app.image, anew=True)
    said = f"it refused the engine, though our account may push; it may have been restarting: {error.evidence}"
    raise Unavailable(Reason.REGISTRY_UNAVAILABLE, said) from error


def _read_back(order: Order, tools: Tools, pushed: str) -> FoundImage:
    """Return what the registry holds now; another run of the same commit may have been faster, which is as good."""
    found = find(order, tools, reference(order))
    if found is not None and found.digest == pushed:
        return found
    proven = find_own(order, tools) if found else None
    if proven is None:
        raise Unavailable(Reason.REGISTRY_UNAVAILABLE, f"{order.run.image} is not in the registry after its push")
    return proven


def _tidy(order: Order, tools: Tools) -> None:
    """Remove older local images; if that fails, the push is still good."""
    name = f"{order.settings.registry.host}/{repository(order)}"
    try:
        removed = tools.clients.engine.tidy(name, order.app.name, KEPT_IMAGES, TIDY_EVERY)
    except PilotageError as error:
        tools.log(f"older images were not removed from the engine: {error.evidence}")
        return
    if removed:
        tools.log(f"removed {len(removed)} older images from the engine")


def _done(order: Order, found: FoundImage, *, reused: bool = False) -> Done:
    digest, blocked = found.digest, {"blocked": True} if found.blocked else {}
    return Done(
        reason=Reason.REUSED if reused else Reason.DONE,
        detail=digest if reused else f"Pushed; the registry reports {digest}",
        reused=reused,
        outputs={"image": order.run.image, "digest": digest, **blocked},
    )
