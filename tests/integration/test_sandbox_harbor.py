"""The stand-in of Harbor with a real registry behind it: accounts, names, tags and scans."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from orchestrator.domain.errors import PilotageError
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.harbor import Immutable, ScanResult
from orchestrator.sandbox.harbor_auth import DEFAULT_RIGHTS
from tests.support.harbor import (
    ADMIN,
    MANIFEST,
    REPOSITORY,
    ROBOT,
    SYSTEM,
    RunningHarbor,
    digest_of,
    image,
    place,
    running,
)
from workers.clients.harbor import ScanState, judge_scan


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RunningHarbor]:
    with running(tmp_path) as made:
        yield made


def tags_of(world: RunningHarbor, reference: str) -> set[str]:
    return {tag["name"] for tag in world.artifact(reference)["tags"] or ()}


def refusal(call: Callable[..., object], *args: str) -> PilotageError:
    with pytest.raises(PilotageError) as caught:
        call(*args)
    return caught.value


# Names, accounts and rights


def test_the_repository_in_a_path_is_encoded_twice(world: RunningHarbor) -> None:
    world.push()
    assert world.ask("GET", f"/api/v2.0{place()}/artifacts/v1").status_code == 200
    once = world.ask("GET", f"/api/v2.0{place('team-a%2Fapi')}/artifacts/v1")
    assert (once.status_code, once.json()["errors"][0]["code"]) == (404, "NOT_FOUND")


def test_our_clients_find_what_they_pushed(world: RunningHarbor) -> None:
    world.push()
    digest = digest_of(image()[0])
    registry, api = world.registry(), world.api()
    registry.ping()
    registry.check_push(REPOSITORY)
    assert registry.digest(REPOSITORY, "v1") == digest
    assert registry.image_config(REPOSITORY, "v1") == {"org.opencontainers.image.revision": "8f3e1e7"}
    found = api.artifact("shop", "team-a/api", "v1")
    assert found is not None
    assert (found["digest"], tags_of(world, digest)) == (digest, {"v1"})
    assert api.artifact("shop", "team-a/api", "nosuch") is None
    assert registry.digest(REPOSITORY, "nosuch") is None


def test_only_a_call_that_needs_credentials_proves_them(world: RunningHarbor) -> None:
    assert "harbor_version" not in world.get("/systeminfo", password="wrong")
    assert world.get("/projects", password="wrong") == []
    assert world.ask("HEAD", "/api/v2.0/projects?project_name=shop", password="wrong").status_code == 401
    assert world.api().project_exists("shop")
    assert not world.api().project_exists("mart")


@pytest.mark.parametrize(
    ("user", "password", "repository"),
    [(ROBOT, "wrong", REPOSITORY), (ROBOT, "", "mart/api"), (SYSTEM, "", "nosuch/api")],
    ids=["wrong secret", "project of others", "no such project"],
)
def test_a_token_is_always_issued_but_may_allow_nothing(
    world: RunningHarbor, user: str, password: str, repository: str
) -> None:
    world.ask("POST", "/api/v2.0/projects", json={"project_name": "mart"}, user=SYSTEM)
    error = refusal(world.registry(user, password).check_push, repository)
    assert error.reason is Reason.REGISTRY_UNAUTHORIZED
    assert "allows nothing" in error.evidence


def test_a_login_without_a_scope_is_refused_when_it_is_wrong(world: RunningHarbor) -> None:
    login = "/service/token?service=harbor-registry&account=x&offline_token=true"
    assert world.ask("GET", login).status_code == 200
    assert world.ask("GET", login, password="wrong").status_code == 401
    assert world.ask("GET", "/service/token?service=other").status_code == 400


def test_a_token_for_two_repositories_names_both(world: RunningHarbor) -> None:
    scopes = {"service": "harbor-registry", "scope": [f"repository:{REPOSITORY}:pull", "repository:mart/x:pull"]}
    token = world.ask("GET", "/service/token", params=scopes).json()["token"]
    claims = world.harbor.accounts.claims(f"Bearer {token}")
    assert claims is not None
    assert [one["actions"] for one in claims["access"]] == [["pull", "push"], []]


def test_the_images_of_a_public_project_need_a_token_and_no_account(world: RunningHarbor) -> None:
    world.push()
    path, accept = f"/v2/{REPOSITORY}/manifests/v1", {"Accept": MANIFEST}
    scope = {"service": "harbor-registry", "scope": f"repository:{REPOSITORY}:pull"}
    for public, status in ((False, 401), (True, 200)):
        world.harbor.change("shop", public=public)
        token = world.ask("GET", "/service/token", user=None, params=scope).json()["token"]
        bearer = accept | {"Authorization": f"Bearer {token}"}
        assert world.ask("GET", path, user=None, headers=bearer).status_code == status
        assert world.ask("GET", path, user=None, headers=accept).status_code == 401


@pytest.mark.parametrize("spoil", ["", "x", "…"])
def test_a_token_that_is_not_ours_or_too_old_is_refused(world: RunningHarbor, spoil: str) -> None:
    scope = {"service": "harbor-registry", "scope": f"repository:{REPOSITORY}:pull"}
    token = world.ask("GET", "/service/token", params=scope).json()["token"]
    good = {"Authorization": f"Bearer {token}"}
    assert world.ask("GET", "/v2/", user=None, headers=good).status_code == 200
    world.clock.now += 0 if spoil else 1801
    bad = {"Authorization": f"Bearer {token}{spoil}".encode()}
    answer = requests.get(f"{world.url}/v2/", headers=bad, timeout=5)
    assert answer.status_code == 401
    assert answer.headers["Www-Authenticate"] == 'Basic realm="harbor"'


def test_our_client_renews_a_token_that_ends_between_two_requests(world: RunningHarbor) -> None:
    world.push()
    registry = world.registry()
    assert registry.digest(REPOSITORY, "v1")
    world.clock.now += 1801
    assert registry.digest(REPOSITORY, "v1")


def test_a_project_of_digits_is_an_id_unless_it_is_said_to_be_a_name(world: RunningHarbor) -> None:
    world.ask("POST", "/api/v2.0/projects", json={"project_name": "1"}, user=ADMIN)
    assert world.get("/projects/1", user=ADMIN)["name"] == "shop"
    assert world.get("/projects/1", user=ADMIN, headers={"X-Is-Resource-Name": "true"})["name"] == "1"


def test_our_client_says_that_a_project_of_digits_is_a_name(world: RunningHarbor) -> None:
    world.ask("POST", "/api/v2.0/projects", json={"project_name": "2026"}, user=ADMIN)
    world.push(repository="2026/web", user=ADMIN)
    assert world.api(ADMIN).artifact("2026", "web", "v1")
    assert world.ask("GET", "/api/v2.0/projects/2026/repositories/web", user=ADMIN).status_code == 404


def test_a_robot_may_neither_read_a_project_nor_delete_unless_it_was_granted(world: RunningHarbor) -> None:
    world.push()
    assert world.ask("GET", "/api/v2.0/projects/shop").status_code == 403
    assert world.ask("DELETE", f"/api/v2.0{place()}/artifacts/v1").status_code == 403
    world.harbor.grant(ROBOT, {"pull", "artifact:delete"})
    assert world.ask("DELETE", f"/api/v2.0{place()}/artifacts/v1").status_code == 200


RIGHTS = [
    ("GET", "", "artifact:read", 200),
    ("POST", "/scan", "scan:create", 202),
    ("GET", "/additions/vulnerabilities", "artifact-addition:read", 200),
    ("GET", "/tags", "tag:list", 200),
]


@pytest.mark.parametrize(("method", "path", "right", "status"), RIGHTS)
def test_each_right_is_one_of_its_own(world: RunningHarbor, method: str, path: str, right: str, status: int) -> None:
    world.push()
    ask = f"/api/v2.0{place()}/artifacts/v1{path}"
    every = {one for _, _, one, _ in RIGHTS} | {"pull", "push", "scan:read", "repository:read"}
    world.harbor.grant(ROBOT, every - {right})
    assert world.ask(method, ask).status_code == 403
    world.harbor.grant(ROBOT, {right})
    assert world.ask(method, ask).status_code == status


@pytest.mark.parametrize("pushed", [False, True])
def test_what_the_scan_gate_needs_is_proven_without_a_scan(world: RunningHarbor, pushed: bool) -> None:
    if pushed:
        world.push()
    assert world.api().check_scan("shop", "team-a/api") is True
    world.harbor.grant(ROBOT, DEFAULT_RIGHTS - {"artifact-addition:read"})
    assert world.api().check_scan("shop", "team-a/api") is False
    world.harbor.grant(ROBOT, DEFAULT_RIGHTS - {"scan:create"})
    unable = refusal(world.api().check_scan, "shop", "team-a/api")
    assert unable.reason is Reason.SCAN_UNAVAILABLE
    assert unable.evidence == f"{ROBOT} may not start scans in shop: it needs `scan: create`"
    world.harbor.grant(ROBOT, DEFAULT_RIGHTS - {"artifact:read"})
    blind = refusal(world.api().check_scan, "shop", "team-a/api")
    assert blind.reason is Reason.REGISTRY_UNAUTHORIZED
    assert "`artifact: read`" in blind.evidence
    assert not pushed or world.artifact(user=ADMIN).get("scan_overview") is None


# Tags and artifacts


def test_a_push_moves_a_tag_and_the_old_image_stays_without(world: RunningHarbor) -> None:
    world.push()
    world.push(layer=b"another")
    assert tags_of(world, digest_of(image()[0])) == set()
    assert world.artifact("v1")["digest"] == digest_of(image(b"another")[0])
    assert len(world.get(f"{place()}/artifacts", user=ADMIN)) == 2
    assert len(world.get(f"{place()}/artifacts?q=tags=v1", user=ADMIN)) == 1


def test_a_promotion_deletes_the_tag_and_sets_it_anew(world: RunningHarbor) -> None:
    world.push("prod")
    world.push("v2", layer=b"another")
    path = f"/api/v2.0{place()}/artifacts"
    world.harbor.grant(ROBOT, DEFAULT_RIGHTS | {"tag:create", "tag:delete"})
    assert world.ask("POST", f"{path}/v2/tags", json={"name": "prod"}).status_code == 409
    assert world.ask("DELETE", f"{path}/prod/tags/prod").status_code == 200
    assert world.ask("POST", f"{path}/v2/tags", json={"name": "prod"}).status_code == 201
    assert world.registry().digest(REPOSITORY, "prod") == digest_of(image(b"another")[0])
    assert tags_of(world, "prod") == {"v2", "prod"}
    listed = world.ask("GET", f"/v2/{REPOSITORY}/tags/list?n=1")
    assert listed.json() == {"name": REPOSITORY, "tags": ["prod"]}
    assert "last=prod" in listed.headers["Link"]


def test_an_artifact_goes_with_all_its_tags(world: RunningHarbor) -> None:
    world.push("v1")
    world.push("v2")
    assert world.ask("DELETE", f"/api/v2.0{place()}/artifacts/v1", user=ADMIN).status_code == 200
    assert world.ask("GET", f"/v2/{REPOSITORY}/manifests/v2", headers={"Accept": MANIFEST}).status_code == 404


def test_a_retry_over_an_immutable_tag_is_refused_though_nothing_differs(world: RunningHarbor) -> None:
    world.push("v1")
    world.harbor.change("shop", immutable=(Immutable(tags="v*"),))
    assert world.push("v1").status_code == 412
    assert world.push("latest").status_code == 201
    assert world.artifact("v1")["tags"][0]["immutable"] is False  # "latest" came later and is shown first
    assert {tag["name"]: tag["immutable"] for tag in world.artifact("v1")["tags"]} == {"v1": True, "latest": False}


def test_an_image_that_an_index_names_cannot_be_deleted_before_the_index(world: RunningHarbor) -> None:
    child = world.push_index()
    path = f"/api/v2.0{place()}/artifacts"
    refused = world.ask("DELETE", f"{path}/{child}", user=ADMIN)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (412, "VIOLATE_FOREIGN_KEY_CONSTRAINT")
    assert world.ask("DELETE", f"/v2/{REPOSITORY}/manifests/v1", user=ADMIN).status_code == 202
    assert world.ask("DELETE", f"{path}/{child}", user=ADMIN).status_code == 200
    assert world.ask("GET", f"/v2/{REPOSITORY}/tags/list").status_code == 404


def test_the_catalog_is_for_the_admin(world: RunningHarbor) -> None:
    world.push()
    assert world.ask("GET", "/v2/_catalog", user=SYSTEM).status_code == 401
    assert world.ask("GET", "/v2/_catalog", user=ADMIN).json() == {"repositories": [REPOSITORY]}


def test_an_image_has_no_referrers(world: RunningHarbor) -> None:
    world.push()
    answer = world.ask("GET", f"/v2/{REPOSITORY}/referrers/{digest_of(image()[0])}")
    assert (answer.status_code, answer.json()["manifests"]) == (200, [])


@pytest.mark.parametrize("path", ["shop/Upper/manifests/v1", "shop/../x/manifests/v1", "shop/x/other", "_odd"])
def test_what_is_no_path_of_a_registry_is_not_found(world: RunningHarbor, path: str) -> None:
    request = requests.Request("GET", f"{world.url}/v2/{path}", auth=(ADMIN, "Harbor12345")).prepare()
    request.url = f"{world.url}/v2/{path}"
    with requests.Session() as session:
        assert session.send(request, timeout=5).status_code == 404


def test_a_manifest_is_taken_only_with_what_it_names(world: RunningHarbor) -> None:
    answer = world.push_manifest(REPOSITORY, "v1", image()[0])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "MANIFEST_BLOB_UNKNOWN")
    too_large = world.push_manifest(REPOSITORY, "v1", b" " * (4 * 1024 * 1024 + 1))
    assert too_large.status_code == 413


# Scans


def test_a_scan_goes_from_pending_to_its_result(world: RunningHarbor) -> None:
    world.push()
    api, scanner = world.api(), world.harbor.scanner
    scanner.pending, scanner.running = 5.0, 5.0
    scanner.find("shop/**:*", ScanResult.counted(Critical=1, Low=2))
    states = []
    assert api.start_scan("shop", "team-a/api", "v1")
    for _ in range(3):
        found = api.artifact("shop", "team-a/api", "v1")
        assert found is not None
        states.append((judge_scan(found, "critical").state, judge_scan(found, "critical").summary))
        world.clock.now += 5.0
    assert states == [
        (ScanState.PENDING, "scan is pending"),
        (ScanState.PENDING, "scan is running"),
        (ScanState.FINDINGS, "1 Critical, 2 Low"),
    ]
    assert api.findings("shop", "team-a/api", "v1", "low")[0] == "CVE-2026-1001 (libcritical1 1.2.3)"
    assert len(api.findings("shop", "team-a/api", "v1", "low")) == 3


def test_a_project_with_auto_scan_scans_what_is_pushed(world: RunningHarbor) -> None:
    world.harbor.change("shop", auto_scan=True)
    world.push()
    assert not world.api().start_scan("shop", "team-a/api", "v1")
    world.clock.now += 60
    assert judge_scan(world.artifact(), "low").state is ScanState.CLEAN


def test_a_result_is_hidden_from_who_does_not_ask_for_its_type(world: RunningHarbor) -> None:
    world.push()
    world.api().start_scan("shop", "team-a/api", "v1")
    world.clock.now += 60
    for reports in (
        "",
        "application/vnd.unknown; version=1",
        "application/vnd.scanner.adapter.vuln.report.harbor+json",
    ):
        assert "scan_overview" not in world.artifact(reports=reports)


def test_the_newest_pattern_decides_what_a_scan_finds(world: RunningHarbor) -> None:
    scanner = world.harbor.scanner
    scanner.find("**", ScanResult.counted(High=1))
    scanner.find("shop/*/api:v1", ScanResult(status="Error"))
    for tag, state in (("v1", ScanState.ERROR), ("v2", ScanState.FINDINGS)):
        world.push(tag, layer=tag.encode())
        world.api().start_scan("shop", "team-a/api", tag)
        world.clock.now += 60
        assert judge_scan(world.artifact(tag), "high").state is state


def test_a_vulnerable_image_cannot_be_pulled_where_the_project_prevents_it(world: RunningHarbor) -> None:
    world.push()
    world.harbor.change("shop", block_from="High")
    assert refusal(world.registry().digest, REPOSITORY, "v1").reason is Reason.IMAGE_BLOCKED
    for result, blocked in ((ScanResult.counted(High=1), True), (ScanResult.counted(Medium=3), False)):
        world.harbor.scanner.find("**", result)
        world.api().start_scan("shop", "team-a/api", "v1")
        world.clock.now += 60
        answer = world.ask("GET", f"/v2/{REPOSITORY}/manifests/v1", headers={"Accept": MANIFEST})
        assert (answer.status_code == 412) is blocked
        assert not blocked or "current image with 1 vulnerability" in answer.text
