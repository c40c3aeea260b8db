"""The scan gate in the whole loop: what Harbor found decides, and not scanned is never taken for clean."""

from collections.abc import Iterator

import pytest

from orchestrator.sandbox import samples
from orchestrator.sandbox.harbor import ScanResult
from orchestrator.sandbox.harbor_scanner import Scanner
from tests.support.whole_loop import Json, Loop, stage_of, succeeded


@pytest.fixture
def scanner(loop: Loop) -> Iterator[Scanner]:
    """Harbor's scanner, to be upset; as it was afterwards."""
    scanner = loop.platform.harbor.scanner
    pending = scanner.pending
    yield scanner
    scanner.available, scanner.pending = True, pending


@pytest.fixture
def strict(loop: Loop, scanner: Scanner) -> Iterator[Scanner]:
    """The scanner of a project in which nobody may pull what is not scanned, or has a vulnerability from High on."""
    loop.platform.harbor.change("plate", block_from="High")
    scanner.pending = 2.0
    yield scanner
    loop.platform.harbor.change("plate", block_from="")


def start(loop: Loop, result: ScanResult | None = None, environment: str = "scan") -> int:
    """Start a run of a new commit whose image will be found to be like `result`."""
    commit = loop.push(branch="work/scan")
    if result is not None:
        loop.platform.harbor.scanner.find(f"{samples.IMAGE}:sha-{commit[:12]}*", result)
    return loop.start(environment=environment, commit=commit)


def assert_nothing_deployed(loop: Loop, run: Json) -> None:
    assert loop.gitops_commits(run["id"]) == []
    assert stage_of(run, "commit")["started_at"] is None


def test_a_clean_image_passes(loop: Loop) -> None:
    run = succeeded(loop.end(start(loop, ScanResult.counted(High=2, Low=1))))
    scan = stage_of(run, "scan")
    assert (scan["state"], scan["reason"]) == ("succeeded", "done")
    assert "2 High" in scan["sentence"]


def test_critical_findings_fail_the_run_and_are_counted(loop: Loop) -> None:
    run = loop.end(start(loop, ScanResult.counted(Critical=2, High=3)))
    assert (run["state"], run["reason"], run["who_acts"]) == ("failed", "scan_findings", "developer")
    assert "2 Critical, 3 High" in run["sentence"]
    assert "CVE-" in run["sentence"]
    assert_nothing_deployed(loop, run)


def test_an_image_whose_scan_has_not_ended_waits(loop: Loop, scanner: Scanner) -> None:
    scanner.pending = 3600.0
    waiting = loop.waiting_at(start(loop), "scan")
    assert (waiting["state"], waiting["reason"]) == ("waiting", "scan_pending")
    loop.api.post(f"/runs/{waiting['id']}/cancel")
    assert_nothing_deployed(loop, loop.end(waiting["id"]))


def test_an_image_that_nothing_can_scan_fails(loop: Loop, scanner: Scanner) -> None:
    scanner.available = False
    run = loop.end(start(loop))
    assert (run["state"], run["reason"], run["who_acts"]) == ("failed", "scan_unavailable", "operator")
    assert_nothing_deployed(loop, run)


@pytest.mark.parametrize("environment", ["scan", "stg"], ids=["with a gate of ours", "without one"])
def test_an_image_that_nobody_may_pull_before_its_scan_is_deployed_after_it(
    loop: Loop, strict: Scanner, environment: str
) -> None:
    run = succeeded(loop.end(start(loop, ScanResult.counted(Low=1), environment)))
    assert stage_of(run, "scan")["state"] == "succeeded"


def test_an_image_that_the_project_forbids_is_never_committed(loop: Loop, strict: Scanner) -> None:
    run = loop.end(start(loop, ScanResult.counted(High=1), "stg"))
    assert (run["state"], run["reason"]) == ("failed", "image_blocked")
    assert_nothing_deployed(loop, run)
