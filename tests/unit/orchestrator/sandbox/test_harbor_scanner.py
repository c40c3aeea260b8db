"""The scanner of the stand-in of Harbor."""

import pytest

from orchestrator.sandbox.harbor_scanner import (
    NEVER,
    OLD_REPORT_TYPE,
    REPORT_TYPE,
    Scanner,
    ScanResult,
    chosen_report,
    when,
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (f"{REPORT_TYPE}, {OLD_REPORT_TYPE}", REPORT_TYPE),
        (f"{OLD_REPORT_TYPE}, {REPORT_TYPE}", REPORT_TYPE),
        (REPORT_TYPE.replace(" ", ""), REPORT_TYPE),
        (OLD_REPORT_TYPE, OLD_REPORT_TYPE),
        ("", OLD_REPORT_TYPE),
        ("application/json", OLD_REPORT_TYPE),
    ],
)
def test_of_the_types_asked_for_the_one_that_exists_wins(accept: str, chosen: str) -> None:
    assert chosen_report(accept) == chosen


def test_times_are_written_as_go_does() -> None:
    assert when(1_787_368_000.123) == "2026-08-22T03:06:40.123Z"
    assert when(0) == NEVER


def test_a_scan_knows_its_result_only_in_the_end() -> None:
    scanner = Scanner(pending=2.0, running=3.0)
    scanner.find("shop/api:*", ScanResult.counted(Low=1, High=2))
    scan = scanner.begin(["shop/api:v1"], 100.0)
    shown = {now: scan.overview(now) for now in (101.9, 102.0, 104.9, 105.0)}
    assert [one["scan_status"] for one in shown.values()] == ["Pending", "Running", "Running", "Success"]
    assert all("severity" not in shown[now] for now in (101.9, 102.0, 104.9))
    assert shown[105.0]["severity"] == "High"
    assert shown[105.0]["duration"] == 5
    assert shown[105.0]["summary"] == {"total": 3, "fixable": 2, "summary": {"High": 2, "Low": 1}}
    assert scanner.begin(["shop/other:v1"], 100.0).result == ScanResult()
