"""The stage `scan`: waits for Harbor's scan and judges it by the app's gate and the project's own rule."""

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, Wait
from workers.clients.harbor import ScanState, ScanVerdict, judge_scan
from workers.stages.images import project_and_repository, reference, repository
from workers.stages.naming import as_configured
from workers.stages.order import Order, Tools

FIRST_LOOK = 3.0
"""Seconds until the second look at a scan; every look waits a little longer."""
LAST_LOOK = 10.0
"""Seconds between two looks at the most."""
GROWTH = 1.3
"""How much longer each pause is than the one before."""
NAMED = 3
"""Vulnerabilities that are named in the sentence."""


def run(order: Order, tools: Tools) -> Outcome:
    """Look once at the scan of the pushed image.

    Remembers in its outputs how often it looked (``scan_looks``), that it asked for a scan (``scan_asked``), and that
    it asked again after one that failed (``scan_repeated``). How long it may wait in all is the caller's to say.
    Without a gate it waits all the same for an image that Harbor lets nobody pull before it is scanned.

    :return: Done, skipped by configuration or clean; Wait while Harbor scans; Fail with findings or without a scan.
    :raises Refused: IMAGE_BLOCKED, Harbor lets nobody pull what it has scanned; SCAN_UNAVAILABLE, no scanner or no
        right to start it; REGISTRY_*. :raises Unavailable: Harbor did not answer.
    """
    order, gate = as_configured(order), order.app.scan.fail_on
    if not gate and not order.outputs.get("blocked"):
        return Done(reason=Reason.NOT_CONFIGURED, detail="`scan.fail_on` is not set")
    if not order.settings.registry.harbor:
        return Fail(
            reason=Reason.SCAN_UNAVAILABLE, detail="the registry is not a Harbor, so nothing can scan the image"
        )
    digest = _wanted(order)
    artifact = tools.clients.harbor.artifact(*project_and_repository(order), digest)
    if artifact is None:
        return _unknown(order, tools, digest)
    verdict = judge_scan(artifact, gate)
    tools.log(f"scan of {digest}: {verdict.state.value}, {verdict.summary}")
    return _decide(order, tools, verdict)


def _unknown(order: Order, tools: Tools, digest: str) -> Fail:
    """Fail for an image that Harbor's own API does not know. In its paths, and only there, slashes are encoded twice,
    which some proxies undo (goharbor/harbor#18355)."""
    named = f"{repository(order)} {digest}"
    if "/" not in project_and_repository(order)[1] or not _is_in_registry(order, tools, digest):
        return Fail(reason=Reason.IMAGE_MISSING, detail=f"Harbor has no {named}")
    what = f"Harbor's registry has {named} and its API says that it does not exist"
    return Fail(
        reason=Reason.SCAN_UNAVAILABLE,
        detail=f"{what}; a proxy before it must pass `%252F` on as it is in paths below `/api/`",
    )


def _is_in_registry(order: Order, tools: Tools, digest: str) -> bool:
    try:
        return tools.clients.registry.digest(repository(order), digest) is not None
    except Refused as refusal:
        return refusal.reason is Reason.IMAGE_BLOCKED


def _decide(order: Order, tools: Tools, verdict: ScanVerdict) -> Outcome:
    remembered = {name: int(order.outputs.get(name, 0)) for name in ("scan_looks", "scan_asked", "scan_repeated")}
    gate = order.app.scan.fail_on
    if verdict.state is ScanState.FINDINGS and gate:
        return _findings(order, tools, verdict)
    if verdict.state in (ScanState.CLEAN, ScanState.FINDINGS):
        return _passed(order, tools, verdict)
    if verdict.state is ScanState.ERROR and remembered["scan_repeated"]:
        return Fail(reason=Reason.SCAN_FAILED, detail=verdict.summary)
    ask = {ScanState.ERROR: "scan_repeated", ScanState.UNSCANNED: "scan_asked"}.get(verdict.state)
    if ask and not remembered[ask] and (gate or remembered["scan_looks"]):  # Harbor itself may be about to begin
        tools.clients.harbor.start_scan(*project_and_repository(order), _wanted(order))
        remembered[ask] = 1
    pause = min(LAST_LOOK, FIRST_LOOK * GROWTH ** remembered["scan_looks"])
    remembered["scan_looks"] += 1
    return Wait(reason=Reason.SCAN_PENDING, detail=verdict.summary, after=pause, outputs=remembered)


def _passed(order: Order, tools: Tools, verdict: ScanVerdict) -> Done:
    """End the stage well, unless the project's own rule is stricter than our gate.

    :raises Refused: IMAGE_BLOCKED.
    """
    if order.outputs.get("blocked"):
        tools.clients.registry.digest(repository(order), _wanted(order))
    gate = order.app.scan.fail_on or "the project's own"
    return Done(detail=f"Harbor's scan found {verdict.summary} (gate: {gate})", outputs={"scan": verdict.summary})


def _findings(order: Order, tools: Tools, verdict: ScanVerdict) -> Fail:
    gate = order.app.scan.fail_on
    named = tools.clients.harbor.findings(*project_and_repository(order), _wanted(order), gate)[:NAMED]
    worst = f"; worst: {', '.join(named)}" if named else ""
    return Fail(
        reason=Reason.SCAN_FINDINGS,
        detail=f"{verdict.summary} (gate: {gate}){worst}",
        outputs={"scan": verdict.summary},
    )


def _wanted(order: Order) -> str:
    """Return the digest (else the tag) of the image."""
    return str(order.outputs.get("digest") or order.run.digest or reference(order))
