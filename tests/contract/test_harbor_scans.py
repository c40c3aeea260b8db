"""Every recorded artifact of Harbor gets the verdict that its scan deserves."""

import json

import pytest

from tests.support.contracts import CONTRACTS, contract_files
from workers.clients.harbor import ScanState, judge_scan

EXPECTED = {
    "artifact-no-scan.json": (ScanState.UNSCANNED, ScanState.UNSCANNED),
    "artifact-untagged.json": (ScanState.UNSCANNED, ScanState.UNSCANNED),
    "artifact-index-multiarch.json": (ScanState.UNSCANNED, ScanState.UNSCANNED),
    "artifact-scan-pending.json": (ScanState.PENDING, ScanState.PENDING),
    "artifact-scan-running.json": (ScanState.PENDING, ScanState.PENDING),
    "artifact-scan-error.json": (ScanState.ERROR, ScanState.ERROR),
    "artifact-scan-success-none.json": (ScanState.CLEAN, ScanState.CLEAN),
    "artifact-scan-success-high.json": (ScanState.FINDINGS, ScanState.CLEAN),
}
"""Verdict at the gates high and critical, by file."""
FOUND = {path.name: path for path in contract_files("harbor/samples/artifact-*.json")} if CONTRACTS.is_dir() else {}


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_recorded_artifact_is_judged(name: str) -> None:
    content = json.loads(FOUND[name].read_text())
    for artifact in content if isinstance(content, list) else [content]:
        verdicts = judge_scan(artifact, "high").state, judge_scan(artifact, "critical").state
        if name in EXPECTED:
            assert verdicts == EXPECTED[name]


def test_no_recorded_artifact_is_forgotten() -> None:
    assert set(FOUND) <= {*EXPECTED, "artifact-list.json"}
