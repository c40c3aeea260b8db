"""The stand-in of Harbor keeps the contract of the real one: shapes, fields, headers, claims."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.harbor import ScanResult
from tests.support.contracts import needs_contract
from tests.support.harbor import (
    ADMIN,
    MANIFEST,
    REPORT,
    REPOSITORY,
    ROBOT,
    SYSTEM,
    RunningHarbor,
    digest_of,
    image,
    place,
    running,
)
from tests.support.harbor_contract import Json, check, sample

ARTIFACT = f"/api/v2.0{place()}/artifacts/v1"


@pytest.fixture
def harbor(tmp_path: Path) -> Iterator[RunningHarbor]:
    with running(tmp_path) as made:
        yield made


def shape(value: Any) -> Any:
    """Return the keys and types of a document; texts, numbers and what labels hold do not matter."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items() if key not in ("config", "annotations")}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "text" if isinstance(value, str) else type(value).__name__


def scanned(harbor: RunningHarbor, seconds: float, result: ScanResult | None = None) -> Json:
    """Push and scan; look so many seconds after the scan began (it waits for 5 and works for 9)."""
    harbor.push()
    harbor.sandbox.scanner.pending, harbor.sandbox.scanner.running = 5.0, 9.0
    if result:
        harbor.sandbox.scanner.find("shop/**:*", result)
    assert harbor.ask("POST", f"{ARTIFACT}/scan").status_code == 202
    harbor.clock.now += seconds
    return harbor.artifact()


STATES: dict[str, tuple[str, Callable[[RunningHarbor], Json]]] = {
    "no scan": ("artifact-no-scan", lambda harbor: (harbor.push(), harbor.artifact())[1]),
    "untagged": ("artifact-untagged", lambda harbor: (harbor.push(""), harbor.artifact(digest_of(image()[0])))[1]),
    "pending": ("artifact-scan-pending", lambda harbor: scanned(harbor, 4.9)),
    "running": ("artifact-scan-running", lambda harbor: scanned(harbor, 5.1)),
    "error": ("artifact-scan-error", lambda harbor: scanned(harbor, 15, ScanResult(status="Error"))),
    "clean": ("artifact-scan-success-none", lambda harbor: scanned(harbor, 15)),
    "findings": (
        "artifact-scan-success-high",
        lambda harbor: scanned(harbor, 15, ScanResult.counted(High=2, Medium=5, Low=6, Unknown=1)),
    ),
    "index": ("artifact-index-multiarch", lambda harbor: (harbor.push_index(), harbor.artifact())[1]),
}


@needs_contract
@pytest.mark.parametrize("state", STATES)
def test_an_artifact_looks_like_the_recorded_one_in_every_state(harbor: RunningHarbor, state: str) -> None:
    name, make = STATES[state]
    shown, recorded = make(harbor), sample(name)
    check("Artifact", shown)
    if state == "index":  # the record is made up from that of an image; an index has no build history of its own
        del recorded["addition_links"]["build_history"]
    assert shape(shown) == shape(recorded)
    status = [one["scan_status"] for one in recorded.get("scan_overview", {}).values()]
    assert [one["scan_status"] for one in shown.get("scan_overview", {}).values()] == status


@needs_contract
def test_the_summary_of_a_scan_has_the_recorded_numbers(harbor: RunningHarbor) -> None:
    result = ScanResult.counted(High=2, Medium=5, Low=6, Unknown=1)
    recorded = sample("artifact-scan-success-high")["scan_overview"][REPORT]
    shown = scanned(harbor, 15, result)["scan_overview"][REPORT]
    assert shown["summary"]["summary"] == recorded["summary"]["summary"]
    assert shown["summary"]["total"] == recorded["summary"]["total"]
    assert shown["severity"] == recorded["severity"]


@needs_contract
def test_lists_and_system_answers_have_the_shape_of_the_contract(harbor: RunningHarbor) -> None:
    harbor.push()
    for path, definition in [
        (f"{place()}/artifacts", "Artifact"),
        (f"{place()}/artifacts/v1/tags", "Tag"),
        ("/projects/shop/repositories", "Repository"),
        ("/projects", "Project"),
    ]:
        items = harbor.get(path, user=ADMIN)
        assert len(items) == 1
        check(definition, items[0])
    check("Repository", harbor.get(place()))
    check("Project", harbor.get("/projects/shop", user=ADMIN))
    check("OverallHealthStatus", harbor.get("/health", user=None))
    check("GeneralInfo", harbor.get("/systeminfo"))
    assert shape(harbor.get("/systeminfo")) == shape(sample("systeminfo-authenticated"))
    assert harbor.get("/systeminfo", user=None) == sample("systeminfo-anonymous")
    assert harbor.get("/health", user=None) == sample("health-healthy")
    assert shape(harbor.get(f"{place()}/artifacts/v1/tags", user=ADMIN)) == shape(sample("tags"))


@needs_contract
def test_a_token_has_the_recorded_claims(harbor: RunningHarbor) -> None:
    harbor.sandbox.grant(ROBOT, {"pull"})
    scope = {"service": "harbor-registry", "scope": f"repository:{REPOSITORY}:pull,push"}
    answer = harbor.ask("GET", "/service/token", params=scope).json()
    assert shape(answer) == shape(sample("token-response"))
    claims = harbor.sandbox.accounts.claims(f"Bearer {answer['token']}")
    recorded = sample("token-claims-insufficient")
    assert claims is not None
    assert shape(claims) == shape(recorded)
    assert claims["access"] == recorded["access"]
    assert claims["exp"] - claims["iat"] == recorded["exp"] - recorded["iat"]


@needs_contract
def test_the_registry_challenges_like_the_real_one(harbor: RunningHarbor) -> None:
    recorded = sample("v2-challenge.headers")
    path = f"/v2/{REPOSITORY}/blobs/uploads/"
    bare = harbor.ask("POST", path, user=None)
    assert bare.status_code == recorded["status"]
    assert bare.headers["Www-Authenticate"] == recorded["Www-Authenticate"].replace(
        "https://harbor.example.com", harbor.url
    )
    assert bare.json() == recorded["body"]
    assert bare.headers["Docker-Distribution-Api-Version"] == recorded["Docker-Distribution-Api-Version"]
    wrong = harbor.ask("POST", path, password="wrong")
    assert wrong.headers["Www-Authenticate"] == recorded["with_authorization_header_present"]["Www-Authenticate"]


@needs_contract
def test_a_head_of_a_manifest_has_the_recorded_headers(harbor: RunningHarbor) -> None:
    harbor.push()
    answer = harbor.ask("HEAD", f"/v2/{REPOSITORY}/manifests/v1", headers={"Accept": MANIFEST})
    manifest = image()[0]
    recorded = {name for name in sample("v2-manifest-head.headers") if name != "status"}
    assert recorded <= set(answer.headers)
    assert answer.headers["Docker-Content-Digest"] == digest_of(manifest)
    assert answer.headers["Content-Length"] == str(len(manifest))


@needs_contract
def test_a_project_is_created_as_recorded(harbor: RunningHarbor) -> None:
    recorded = sample("project-create")
    asked = recorded["request"]
    for name, status in (("mart", 201), ("mart", 409)):
        body = asked["body"] | {"project_name": name}
        answer = harbor.ask("POST", asked["path"], headers=asked["headers"], json=body, user=SYSTEM)
        assert answer.status_code == status
        if status == 201:
            assert answer.headers["Location"] == "/api/v2.0/projects/mart"
    assert harbor.sandbox.policy("mart").auto_scan
    assert harbor.get("/projects/mart", user=ADMIN)["metadata"]["auto_scan"] == "true"


@needs_contract
def test_pages_are_counted_and_linked_as_recorded(harbor: RunningHarbor) -> None:
    recorded = sample("pagination.headers")
    for number in range(42):
        harbor.ask("POST", "/api/v2.0/projects", json={"project_name": f"p{number}"}, user=ADMIN)
    answer = harbor.ask("GET", "/api/v2.0/projects?page=2&page_size=10&name=p", user=ADMIN)
    assert answer.headers["Link"] == recorded["Link"].replace("/shop/repositories", "")
    assert len(answer.json()) == 10
    assert harbor.ask("GET", "/api/v2.0/projects?page_size=101", user=ADMIN).status_code == 422
