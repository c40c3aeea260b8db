"""Prometheus's own tool takes the alert rules, and its cases fire and stay silent as they should."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.dashboards import CHART, RULES

CASES = sorted((CHART / "rules/tests").glob("*.yaml"))


def promtool(*arguments: str, folder: Path = CHART) -> "subprocess.CompletedProcess[str]":
    """Run promtool (Debian's package prometheus)."""
    if shutil.which("promtool") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no promtool; install Debian's package prometheus")
        pytest.skip("no promtool")
    command = ["promtool", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_rules_are_rules() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cases", CASES, ids=lambda file: file.stem)
def test_the_cases_hold(cases: Path) -> None:
    done = promtool("test", "rules", str(cases))
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("> 120", "> 12000"),
        ("> 900", "> 300"),
        ("> 2.5\n        for: 5m\n        labels:\n          severity: warning", "> 250\n        for: 5m"),
        ("> 1800", "> 600"),
        ('outcome="refused"}[15m])))\n              /', 'outcome="accepted"}[15m])))\n              /'),
        ("(pilotage_workers_alive) == 0", "(pilotage_workers_alive) < 0"),
        ("(pilotage_relays_alive) == 0", "(pilotage_relays_alive) < 0"),
        ("absent(pilotage_build_info)", "absent(up)"),
        ("(pilotage_apps_unread) > 0", "(pilotage_apps_unread) > 1"),
        ('service="argocd",result="unavailable"', 'service="argocd",result="refused"'),
        ('{stage="push",result=~"fail|troubled"}[15m])))\n     ', '{result=~"fail|troubled"}[15m])))\n     '),
    ],
)  # fmt: skip
def test_the_cases_notice_a_rule_that_is_wrong(tmp_path: Path, old: str, new: str) -> None:
    text = RULES.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "pilotage.yaml").write_text(text.replace(old, new), encoding="utf-8")
    (tmp_path / "tests").mkdir()
    for cases in CASES:
        shutil.copy(cases, tmp_path / "tests")
    codes = [promtool("test", "rules", f"tests/{cases.name}", folder=tmp_path).returncode for cases in CASES]
    assert any(codes)
