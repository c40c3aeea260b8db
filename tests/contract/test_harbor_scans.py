"""Every recorded artifact of Harbor gets the verdict that its scan deserves."""

import json
from pathlib import Path

import pytest

from tests.support.contracts import contract_files
from workers.clients.harbor import ScanState, judge_scan

EXPECTED = {
    "artifact-no-scan.json": (ScanState.UNSCANNED, ScanState.UNSCANNED),
    "artifact-list.json": (ScanState.UNSCANNED, ScanState.UNSCANNED),
    "artifact-untagged.json": (ScanState.UNSCANNED, ScanState.UNSCANNED),
    "artifact-index-multiarch.json": (ScanState.UNSCANNED, ScanState.UNSCANNED),
    "artifact-scan-pending.json": (ScanState.PENDING, ScanState.PENDING),
    "artifact-scan-running.json": (ScanState.PENDING, ScanState.PENDING),
    "artifact-scan-error.json": (ScanState.ERROR, ScanState.ERROR),
    "artifact-scan-success-none.json": (ScanState.CLEAN, ScanState.CLEAN),
    "artifact-scan-success-high.json": (ScanState.FINDINGS, ScanState.CLEAN),
}
"""Verdict at the gates high and critical, by file."""


@pytest.mark.parametrize("path", contract_files("harbor/samples/artifact-*.json"), ids=lambda path: path.name)
def test_a_recorded_artifact_is_judged(path: Path) -> None:
    content = json.loads(path.read_text())
    for artifact in content if isinstance(content, list) else [content]:
        verdicts = judge_scan(artifact, "high").state, judge_scan(artifact, "critical").state
        assert verdicts == EXPECTED[path.name]
