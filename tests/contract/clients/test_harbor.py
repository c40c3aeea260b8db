"""Harbor's API and what its scans mean."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.domain.apps import Registry, Secret
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.loopback import Asked, Loopback, Reply, loopback
from workers.clients.harbor import REPORT_TYPES, Harbor, ScanState, artifact_path, judge_scan, worst_findings

USER, PASSWORD = "robot$shop+pilotage", "Geheim-12345"


def harbor(server: Loopback) -> Harbor:
    return Harbor(Registry(url=server.url, username=USER, password=Secret(PASSWORD)))


def error(status: int, message: str) -> Reply:
    return Reply(status, {"errors": [{"code": "X", "message": message}]}, {"Set-Cookie": "sid=abc; Path=/"})


@pytest.mark.parametrize(("status", "exists"), [(200, True), (404, False)])
def test_a_project_is_there_or_not(status: int, exists: bool) -> None:
    def script(asked: Asked) -> Reply:
        there = asked.path == "/api/v2.0/ping"
        return Reply(200 if there else status, "Pong" if there else "", {"Set-Cookie": "sid=abc; Path=/"})

    with loopback(script) as server:
        service = harbor(server)
        assert service.project_exists("shop") is exists
        service.project_exists("shop")
    assert server.asked[0].query == {"project_name": ["shop"]}
    assert (
        server.asked[0].headers["authorization"]
        == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    )
    assert "cookie" not in server.asked[1].headers


def test_a_login_may_have_any_characters() -> None:
    with loopback(lambda _: Reply(200)) as server:
        account = Registry(url=server.url, username="민아", password=Secret("비밀번호-é-12345"))
        assert Harbor(account).project_exists("shop")
    told = server.asked[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(told).decode() == "민아:비밀번호-é-12345"


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_login_is_not_a_missing_project(status: int) -> None:
    with loopback(lambda _: Reply(status)) as server, pytest.raises(Refused) as caught:
        harbor(server).project_exists("shop")
    assert caught.value.reason is Reason.REGISTRY_UNAUTHORIZED
    assert PASSWORD not in str(caught.value)


def test_the_slashes_of_a_repository_are_encoded_twice() -> None:
    path = "/api/v2.0/projects/shop/repositories/team-a%252Fapi/artifacts/sha256:0f"
    assert artifact_path("shop", "team-a/api", "sha256:0f") == path
    with loopback(lambda _: Reply(body={"digest": "x"})) as server:
        assert harbor(server).artifact("shop", "team-a/api", "sha256:0f") == {"digest": "x"}
    assert server.asked[0].path == path
    assert server.asked[0].headers["x-accept-vulnerabilities"] == ", ".join(REPORT_TYPES)
    assert server.asked[0].query["with_scan_overview"] == ["true"]


def test_an_artifact_that_is_not_there_is_none() -> None:
    with loopback(lambda _: error(404, "not found")) as server:
        assert harbor(server).artifact("shop", "api", "1") is None


ASKS: list[Callable[[Harbor], object]] = [
    lambda service: service.project_exists("shop"),
    lambda service: service.artifact("shop", "team-a/api", "1"),
    lambda service: service.start_scan("shop", "team-a/api", "1"),
]


@pytest.mark.parametrize("ask", ASKS, ids=["project", "artifact", "scan"])
def test_a_proxy_that_has_lost_harbor_for_a_while_proves_nothing_missing(ask: Callable[[Harbor], object]) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(404, "" if asked.method == "HEAD" else "404 page not found\n")

    with (
        loopback(script) as server,
        pytest.raises(
            Unavailable, match=r"HTTP 404 where Harbor's API should be; .*registry\.harbor: false"
        ) as caught,
    ):
        ask(harbor(server))
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE


def test_an_answer_that_is_not_json_is_no_answer() -> None:
    with loopback(lambda _: Reply(body="<html>")) as server, pytest.raises(Unavailable):
        harbor(server).artifact("shop", "api", "1")


@pytest.mark.parametrize(("status", "started"), [(202, True), (409, False)])
def test_a_scan_is_started_or_under_way(status: int, started: bool) -> None:
    with loopback(lambda _: error(status, "a previous scan process is Running")) as server:
        assert harbor(server).start_scan("shop", "team-a/api", "1") is started
    assert (server.asked[0].method, server.asked[0].path.rsplit("/", 1)[1]) == ("POST", "scan")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (412, Reason.SCAN_UNAVAILABLE),
        (400, Reason.SCAN_UNAVAILABLE),
        (404, Reason.IMAGE_MISSING),
        (403, Reason.SCAN_UNAVAILABLE),
        (401, Reason.REGISTRY_UNAUTHORIZED),
    ],
)
def test_a_scan_that_cannot_be_has_a_reason(status: int, reason: Reason) -> None:
    with (
        loopback(lambda _: error(status, "no available scanner for project: 7")) as server,
        pytest.raises(Refused) as caught,
    ):
        harbor(server).start_scan("shop", "api", "1")
    assert caught.value.reason is reason


def test_no_scan_begins_while_harbor_is_read_only() -> None:
    said = "The system is in read only mode. Any modification is prohibited."
    with loopback(lambda _: error(403, said)) as server, pytest.raises(Unavailable, match=said) as caught:
        harbor(server).start_scan("shop", "api", "1")
    assert caught.value.reason is Reason.REGISTRY_READ_ONLY


def overview(kind: str = REPORT_TYPES[0], **report: Any) -> dict[str, Any]:
    return {"scan_overview": {kind: report}}


def result(severity: str, complete: int = 100, **counts: int) -> dict[str, Any]:
    summary = {"total": sum(counts.values()), "summary": counts}
    return overview(scan_status="Success", severity=severity, complete_percent=complete, summary=summary)


@pytest.mark.parametrize(
    ("artifact", "gate", "state", "summary"),
    [
        ({}, "high", ScanState.UNSCANNED, "Harbor has no scan of this image"),
        ({"scan_overview": None}, "high", ScanState.UNSCANNED, "Harbor has no scan of this image"),
        ({"scan_overview": {}}, "high", ScanState.UNSCANNED, "Harbor has no scan of this image"),
        (overview(scan_status="Pending"), "high", ScanState.PENDING, "scan is pending"),
        (overview(scan_status="Scheduled"), "high", ScanState.PENDING, "scan is scheduled"),
        (overview(scan_status="Running"), "high", ScanState.PENDING, "scan is running"),
        (overview(scan_status="Error"), "high", ScanState.ERROR, "scan ended with Error"),
        (overview(scan_status="Stopped"), "high", ScanState.ERROR, "scan ended with Stopped"),
        (overview(scan_status="Novelty"), "high", ScanState.ERROR, "scan ended with Novelty"),
        (result("None"), "low", ScanState.CLEAN, "no vulnerabilities"),
        (result("Medium", Medium=5), "high", ScanState.CLEAN, "5 Medium"),
        (result("Medium", Medium=5), "Medium", ScanState.FINDINGS, "5 Medium"),
        (result("Critical", High=5, Critical=2, Low=1), "high", ScanState.FINDINGS, "2 Critical, 5 High, 1 Low"),
        (result("Unknown", Unknown=1), "negligible", ScanState.CLEAN, "1 Unknown"),
        (result("Catastrophic", Catastrophic=1), "critical", ScanState.FINDINGS, "1 Catastrophic"),
        (overview(scan_status="Success", severity="High"), "high", ScanState.FINDINGS, "severity High"),
        (overview(scan_status="Success"), "high", ScanState.UNSCANNED, "the scan succeeded without a result"),
        (result("None", 50), "high", ScanState.ERROR, "only 50 % of the images were scanned"),
        (result("High", 50, High=1), "high", ScanState.FINDINGS, "1 High"),
        (overview("application/other", scan_status="Running"), "high", ScanState.PENDING, "scan is running"),
    ],
)
def test_a_scan_is_judged(artifact: dict[str, Any], gate: str, state: ScanState, summary: str) -> None:
    verdict = judge_scan(artifact, gate)
    assert (verdict.state, verdict.summary) == (state, summary)


REPORT = {
    REPORT_TYPES[0]: {
        "vulnerabilities": [
            {"id": "CVE-1", "severity": "Low", "package": "a", "version": "1"},
            {"id": "CVE-3", "severity": "High", "package": "b", "version": "2"},
            {"id": "CVE-2", "severity": "Critical", "package": "c"},
            "nonsense",
        ]
    }
}


def test_the_worst_findings_come_first() -> None:
    assert worst_findings(REPORT, "high") == ["CVE-2 (c)", "CVE-3 (b 2)"]
    assert worst_findings({}, "high") == []


def test_a_report_that_may_not_be_read_names_nothing() -> None:
    def script(asked: Asked) -> Reply:
        return Reply(body=REPORT) if "shop" in asked.path else error(403, "forbidden")

    with loopback(script) as server:
        assert harbor(server).findings("shop", "api", "1", "critical") == ["CVE-2 (c)"]
        assert harbor(server).findings("other", "api", "1", "critical") == []
