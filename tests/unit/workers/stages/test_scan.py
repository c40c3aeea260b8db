"""The stage `scan`."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Registry, Scan
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, Wait
from tests.support.imaging import COMMIT, ImageServices, order
from tests.support.registries import DIGEST, TAG, FakeHarbor
from workers.clients.harbor import REPORT_TYPES
from workers.stages import scan
from workers.stages.order import Order

GATE = Scan(fail_on="high")
UNSCANNED: dict[str, Any] = {}


def status(name: str, **more: Any) -> dict[str, Any]:
    return {"scan_overview": {REPORT_TYPES[0]: {"scan_status": name, **more}}}


CLEAN = status("Success", severity="None", summary={"total": 0, "summary": {}})
BAD = status("Success", severity="Critical", summary={"total": 7, "summary": {"Critical": 2, "High": 5}})


def follow(services: ImageServices, first: Order, looks: int = 20) -> list[Outcome]:
    """Look again and again, remembering what each look says, until the stage ends."""
    seen: list[Outcome] = []
    for _ in range(looks):
        seen.append(scan.run(first, services.tools()))
        if not isinstance(seen[-1], Wait):
            break
        first = replace(first, outputs={**first.outputs, **seen[-1].outputs})
    return seen


def harbor(*artifacts: dict[str, Any] | None) -> ImageServices:
    return ImageServices(harbor=FakeHarbor(list(artifacts)))


def asked(**options: Any) -> Order:
    return order(scan=GATE, outputs={"digest": DIGEST}, **options)


def test_without_a_gate_nothing_is_asked() -> None:
    services = harbor(None)
    outcome = scan.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert outcome.reason is Reason.NOT_CONFIGURED
    assert services.harbor.places == []


def test_a_registry_that_cannot_scan_fails_the_gate() -> None:
    outcome = scan.run(asked(registry=Registry(url="https://harbor.example.com", harbor=False)), harbor(None).tools())
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.SCAN_UNAVAILABLE


def test_the_pushed_digest_is_what_is_asked_for() -> None:
    services = harbor(CLEAN)
    scan.run(asked(), services.tools())
    assert services.harbor.places == [("shop", "team-a/api", DIGEST)]


def test_an_image_without_a_digest_is_asked_for_by_its_tag() -> None:
    services = harbor(CLEAN)
    scan.run(order(scan=GATE), services.tools())
    assert services.harbor.places == [("shop", "team-a/api", TAG)]


def test_a_running_scan_is_waited_for_with_growing_pauses() -> None:
    services = harbor(*[status("Running")] * 8, CLEAN)
    *waits, last = follow(services, asked())
    pauses = [wait.after for wait in waits if isinstance(wait, Wait)]
    assert len(pauses) == 8
    assert pauses[0] == 3.0
    assert pauses == sorted(pauses, key=lambda pause: pause or 0)
    assert pauses[-1] == 10.0
    assert last == Done(
        detail="Harbor's scan found no vulnerabilities (gate: high)", outputs={"scan": "no vulnerabilities"}
    )
    assert services.harbor.started == 0


def test_an_image_that_nobody_scans_is_scanned_once_on_request() -> None:
    services = harbor(UNSCANNED, UNSCANNED, status("Pending"), CLEAN)
    assert isinstance(follow(services, asked())[-1], Done)
    assert services.harbor.started == 1


def test_not_scanned_is_never_clean() -> None:
    services = harbor(UNSCANNED)
    assert {type(outcome) for outcome in follow(services, asked())} == {Wait}
    assert services.harbor.started == 1


def test_findings_are_counted_and_named() -> None:
    services = harbor(BAD)
    services.harbor.named = ["CVE-1 (a 1)", "CVE-2 (b 2)", "CVE-3 (c 3)", "CVE-4 (d 4)"]
    outcome = scan.run(asked(), services.tools())
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.SCAN_FINDINGS
    assert outcome.detail == "2 Critical, 5 High (gate: high); worst: CVE-1 (a 1), CVE-2 (b 2), CVE-3 (c 3)"


def test_findings_without_a_report_are_still_findings() -> None:
    outcome = scan.run(asked(), harbor(BAD).tools())
    assert isinstance(outcome, Fail)
    assert outcome.detail == "2 Critical, 5 High (gate: high)"


def test_a_scan_that_failed_is_tried_once_more() -> None:
    services = harbor(status("Error"), status("Running"), CLEAN)
    assert isinstance(follow(services, asked())[-1], Done)
    assert services.harbor.started == 1


@pytest.mark.parametrize("ending", ["Error", "Stopped"])
def test_a_scan_that_fails_twice_fails_the_stage(ending: str) -> None:
    services = harbor(UNSCANNED, status(ending))
    last = follow(services, asked())[-1]
    assert last == Fail(reason=Reason.SCAN_FAILED, detail=f"scan ended with {ending}")
    assert services.harbor.started == 2


def test_an_image_that_is_gone_is_told() -> None:
    outcome = scan.run(asked(), harbor(None).tools())
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.IMAGE_MISSING


@pytest.mark.parametrize("block", ["", "current image without vulnerability scanning cannot be pulled"])
def test_a_proxy_that_changes_the_path_of_harbors_api_is_named_where_the_image_is_there(block: str) -> None:
    services = harbor(None)
    services.registry.hold(COMMIT)
    services.registry.blocked = block
    outcome = scan.run(asked(), services.tools())
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.SCAN_UNAVAILABLE
    assert f"has shop/team-a/api {DIGEST}" in outcome.detail
    assert "a proxy before it must pass `%252F` on as it is" in outcome.detail


def blocked(services: ImageServices, until: int) -> Order:
    """Have nobody pull the image before Harbor was asked `until` times."""
    services.registry.hold(COMMIT)
    services.registry.blocked = "current image without vulnerability scanning cannot be pulled"

    def look() -> None:
        if len(services.harbor.places) + 1 >= until:
            services.registry.blocked = ""

    services.harbor.on_look = look
    return order(outputs={"digest": DIGEST, "blocked": True})


@pytest.mark.parametrize("end", [CLEAN, BAD], ids=["clean", "findings that the project allows"])
def test_without_a_gate_an_image_that_may_not_be_pulled_yet_is_waited_for(end: dict[str, Any]) -> None:
    services = harbor(UNSCANNED, status("Running"), end)
    *waits, last = follow(services, blocked(services, until=3))
    assert [wait.reason for wait in waits] == [Reason.SCAN_PENDING] * 2
    assert isinstance(last, Done)
    assert last.detail.endswith("(gate: the project's own)")
    assert services.harbor.started == 0, "Harbor begins by itself in such a project, mostly"


def test_a_scan_that_harbor_does_not_begin_is_asked_for() -> None:
    services = harbor(UNSCANNED, UNSCANNED, CLEAN)
    assert isinstance(follow(services, blocked(services, until=3))[-1], Done)
    assert services.harbor.started == 1


def test_an_image_that_is_still_blocked_after_its_scan_is_refused() -> None:
    services = harbor(CLEAN)
    with pytest.raises(Refused) as caught:
        follow(services, blocked(services, until=99))
    assert caught.value.reason is Reason.IMAGE_BLOCKED
