"""The scans of Harbor's stand-in: when they begin, what they find, and what that keeps from whom."""

from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.harbor import ScanResult
from tests.support.harbor import MANIFEST, REPOSITORY, RunningHarbor, harbor, refusal
from workers.clients.harbor import ScanState, judge_scan

__all__ = ["harbor"]


def test_a_scan_goes_from_pending_to_its_result(harbor: RunningHarbor) -> None:
    harbor.push()
    api, scanner = harbor.api(), harbor.sandbox.scanner
    scanner.pending, scanner.running = 5.0, 5.0
    scanner.find("shop/**:*", ScanResult.counted(Critical=1, Low=2))
    states = []
    assert api.start_scan("shop", "team-a/api", "v1")
    for _ in range(3):
        found = api.artifact("shop", "team-a/api", "v1")
        assert found is not None
        states.append((judge_scan(found, "critical").state, judge_scan(found, "critical").summary))
        harbor.clock.now += 5.0
    assert states == [
        (ScanState.PENDING, "scan is pending"),
        (ScanState.PENDING, "scan is running"),
        (ScanState.FINDINGS, "1 Critical, 2 Low"),
    ]
    assert api.findings("shop", "team-a/api", "v1", "low")[0] == "CVE-2026-1001 (libcritical1 1.2.3)"
    assert len(api.findings("shop", "team-a/api", "v1", "low")) == 3


def test_a_project_with_auto_scan_scans_what_is_pushed(harbor: RunningHarbor) -> None:
    harbor.sandbox.change("shop", auto_scan=True)
    harbor.push()
    assert judge_scan(harbor.artifact(), "low").state is ScanState.UNSCANNED, "it begins a moment after the push"
    harbor.clock.now += harbor.sandbox.scanner.behind
    assert not harbor.api().start_scan("shop", "team-a/api", "v1")
    harbor.clock.now += 60
    assert judge_scan(harbor.artifact(), "low").state is ScanState.CLEAN


def test_a_scan_that_somebody_asks_for_before_auto_scan_begins_is_the_one(harbor: RunningHarbor) -> None:
    harbor.sandbox.change("shop", auto_scan=True)
    harbor.push()
    assert harbor.api().start_scan("shop", "team-a/api", "v1")
    assert judge_scan(harbor.artifact(), "low").state is ScanState.PENDING


def test_a_result_is_hidden_from_who_does_not_ask_for_its_type(harbor: RunningHarbor) -> None:
    harbor.push()
    harbor.api().start_scan("shop", "team-a/api", "v1")
    harbor.clock.now += 60
    for reports in (
        "",
        "application/vnd.unknown; version=1",
        "application/vnd.scanner.adapter.vuln.report.harbor+json",
    ):
        assert "scan_overview" not in harbor.artifact(reports=reports)


def test_the_newest_pattern_decides_what_a_scan_finds(harbor: RunningHarbor) -> None:
    scanner = harbor.sandbox.scanner
    scanner.find("**", ScanResult.counted(High=1))
    scanner.find("shop/*/api:v1", ScanResult(status="Error"))
    for tag, state in (("v1", ScanState.ERROR), ("v2", ScanState.FINDINGS)):
        harbor.push(tag, layer=tag.encode())
        harbor.api().start_scan("shop", "team-a/api", tag)
        harbor.clock.now += 60
        assert judge_scan(harbor.artifact(tag), "high").state is state


def test_a_vulnerable_image_cannot_be_pulled_where_the_project_prevents_it(harbor: RunningHarbor) -> None:
    harbor.push()
    harbor.sandbox.change("shop", block_from="High")
    assert refusal(harbor.registry().digest, REPOSITORY, "v1").reason is Reason.IMAGE_BLOCKED
    for result, blocked in ((ScanResult.counted(High=1), True), (ScanResult.counted(Medium=3), False)):
        harbor.sandbox.scanner.find("**", result)
        harbor.api().start_scan("shop", "team-a/api", "v1")
        harbor.clock.now += 60
        answer = harbor.ask("GET", f"/v2/{REPOSITORY}/manifests/v1", headers={"Accept": MANIFEST})
        assert (answer.status_code == 412) is blocked
        assert not blocked or "current image with 1 vulnerability" in answer.text
