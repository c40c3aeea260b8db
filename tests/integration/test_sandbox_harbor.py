"""The stand-in of Harbor with a real registry behind it: accounts, names and tags."""

import pytest
import requests

from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.harbor import Immutable
from orchestrator.sandbox.harbor_auth import DEFAULT_RIGHTS
from tests.support.harbor import (
    ADMIN,
    MANIFEST,
    REPOSITORY,
    ROBOT,
    SYSTEM,
    RunningHarbor,
    digest_of,
    harbor,
    image,
    place,
    refusal,
)

__all__ = ["harbor"]


def tags_of(harbor: RunningHarbor, reference: str) -> set[str]:
    return {tag["name"] for tag in harbor.artifact(reference)["tags"] or ()}


# Names, accounts and rights


def test_the_repository_in_a_path_is_encoded_twice(harbor: RunningHarbor) -> None:
    harbor.push()
    assert harbor.ask("GET", f"/api/v2.0{place()}/artifacts/v1").status_code == 200
    once = harbor.ask("GET", f"/api/v2.0{place('team-a%2Fapi')}/artifacts/v1")
    assert (once.status_code, once.json()["errors"][0]["code"]) == (404, "NOT_FOUND")


def test_our_clients_find_what_they_pushed(harbor: RunningHarbor) -> None:
    harbor.push()
    digest = digest_of(image()[0])
    registry, api = harbor.registry(), harbor.api()
    registry.ping()
    registry.check_push(REPOSITORY)
    assert registry.digest(REPOSITORY, "v1") == digest
    assert registry.labels(REPOSITORY, "v1") == {"org.opencontainers.image.revision": "8f3e1e7"}
    found = api.artifact("shop", "team-a/api", "v1")
    assert found is not None
    assert (found["digest"], tags_of(harbor, digest)) == (digest, {"v1"})
    assert api.artifact("shop", "team-a/api", "nosuch") is None
    assert registry.digest(REPOSITORY, "nosuch") is None


def test_only_a_call_that_needs_credentials_proves_them(harbor: RunningHarbor) -> None:
    assert "harbor_version" not in harbor.get("/systeminfo", password="wrong")
    assert harbor.get("/projects", password="wrong") == []
    assert harbor.ask("HEAD", "/api/v2.0/projects?project_name=shop", password="wrong").status_code == 401
    assert harbor.api().project_exists("shop")
    assert not harbor.api().project_exists("mart")


@pytest.mark.parametrize(
    ("user", "password", "repository"),
    [(ROBOT, "wrong", REPOSITORY), (ROBOT, "", "mart/api"), (SYSTEM, "", "nosuch/api")],
    ids=["wrong secret", "project of others", "no such project"],
)
def test_a_token_is_always_issued_but_may_allow_nothing(
    harbor: RunningHarbor, user: str, password: str, repository: str
) -> None:
    harbor.ask("POST", "/api/v2.0/projects", json={"project_name": "mart"}, user=SYSTEM)
    error = refusal(harbor.registry(user, password).check_push, repository)
    assert error.reason is Reason.REGISTRY_UNAUTHORIZED
    assert "allows nothing" in error.evidence


def test_a_login_without_a_scope_is_refused_when_it_is_wrong(harbor: RunningHarbor) -> None:
    login = "/service/token?service=harbor-registry&account=x&offline_token=true"
    assert harbor.ask("GET", login).status_code == 200
    assert harbor.ask("GET", login, password="wrong").status_code == 401
    assert harbor.ask("GET", "/service/token?service=other").status_code == 400


def test_a_token_for_two_repositories_names_both(harbor: RunningHarbor) -> None:
    scopes = {"service": "harbor-registry", "scope": [f"repository:{REPOSITORY}:pull", "repository:mart/x:pull"]}
    token = harbor.ask("GET", "/service/token", params=scopes).json()["token"]
    claims = harbor.sandbox.accounts.claims(f"Bearer {token}")
    assert claims is not None
    assert [one["actions"] for one in claims["access"]] == [["pull", "push"], []]


def test_the_images_of_a_public_project_need_a_token_and_no_account(harbor: RunningHarbor) -> None:
    harbor.push()
    path, accept = f"/v2/{REPOSITORY}/manifests/v1", {"Accept": MANIFEST}
    scope = {"service": "harbor-registry", "scope": f"repository:{REPOSITORY}:pull"}
    for public, status in ((False, 401), (True, 200)):
        harbor.sandbox.change("shop", public=public)
        token = harbor.ask("GET", "/service/token", user=None, params=scope).json()["token"]
        bearer = accept | {"Authorization": f"Bearer {token}"}
        assert harbor.ask("GET", path, user=None, headers=bearer).status_code == status
        assert harbor.ask("GET", path, user=None, headers=accept).status_code == 401


@pytest.mark.parametrize("spoil", ["", "x", "…"])
def test_a_token_that_is_not_ours_or_too_old_is_refused(harbor: RunningHarbor, spoil: str) -> None:
    scope = {"service": "harbor-registry", "scope": f"repository:{REPOSITORY}:pull"}
    token = harbor.ask("GET", "/service/token", params=scope).json()["token"]
    good = {"Authorization": f"Bearer {token}"}
    assert harbor.ask("GET", "/v2/", user=None, headers=good).status_code == 200
    harbor.clock.now += 0 if spoil else 1801
    bad = {"Authorization": f"Bearer {token}{spoil}".encode()}
    answer = requests.get(f"{harbor.url}/v2/", headers=bad, timeout=5)
    assert answer.status_code == 401
    assert answer.headers["Www-Authenticate"] == 'Basic realm="harbor"'


def test_our_client_renews_a_token_that_ends_between_two_requests(harbor: RunningHarbor) -> None:
    harbor.push()
    registry = harbor.registry()
    assert registry.digest(REPOSITORY, "v1")
    harbor.clock.now += 1801
    assert registry.digest(REPOSITORY, "v1")


def test_a_project_of_digits_is_an_id_unless_it_is_said_to_be_a_name(harbor: RunningHarbor) -> None:
    harbor.ask("POST", "/api/v2.0/projects", json={"project_name": "1"}, user=ADMIN)
    assert harbor.get("/projects/1", user=ADMIN)["name"] == "shop"
    assert harbor.get("/projects/1", user=ADMIN, headers={"X-Is-Resource-Name": "true"})["name"] == "1"


def test_our_client_says_that_a_project_of_digits_is_a_name(harbor: RunningHarbor) -> None:
    harbor.ask("POST", "/api/v2.0/projects", json={"project_name": "2026"}, user=ADMIN)
    harbor.push(repository="2026/web", user=ADMIN)
    assert harbor.api(ADMIN).artifact("2026", "web", "v1")
    assert harbor.ask("GET", "/api/v2.0/projects/2026/repositories/web", user=ADMIN).status_code == 404


def test_a_robot_may_neither_read_a_project_nor_delete_unless_it_was_granted(harbor: RunningHarbor) -> None:
    harbor.push()
    assert harbor.ask("GET", "/api/v2.0/projects/shop").status_code == 403
    assert harbor.ask("DELETE", f"/api/v2.0{place()}/artifacts/v1").status_code == 403
    harbor.sandbox.grant(ROBOT, {"pull", "artifact:delete"})
    assert harbor.ask("DELETE", f"/api/v2.0{place()}/artifacts/v1").status_code == 200


RIGHTS = [
    ("GET", "", "artifact:read", 200),
    ("POST", "/scan", "scan:create", 202),
    ("GET", "/additions/vulnerabilities", "artifact-addition:read", 200),
    ("GET", "/tags", "tag:list", 200),
]


@pytest.mark.parametrize(("method", "path", "right", "status"), RIGHTS)
def test_each_right_is_one_of_its_own(harbor: RunningHarbor, method: str, path: str, right: str, status: int) -> None:
    harbor.push()
    ask = f"/api/v2.0{place()}/artifacts/v1{path}"
    every = {one for _, _, one, _ in RIGHTS} | {"pull", "push", "scan:read", "repository:read"}
    harbor.sandbox.grant(ROBOT, every - {right})
    assert harbor.ask(method, ask).status_code == 403
    harbor.sandbox.grant(ROBOT, {right})
    assert harbor.ask(method, ask).status_code == status


@pytest.mark.parametrize("pushed", [False, True])
def test_what_the_scan_gate_needs_is_proven_without_a_scan(harbor: RunningHarbor, pushed: bool) -> None:
    if pushed:
        harbor.push()
    assert harbor.api().check_scan("shop", "team-a/api") is True
    harbor.sandbox.grant(ROBOT, DEFAULT_RIGHTS - {"artifact-addition:read"})
    assert harbor.api().check_scan("shop", "team-a/api") is False
    harbor.sandbox.grant(ROBOT, DEFAULT_RIGHTS - {"scan:create"})
    unable = refusal(harbor.api().check_scan, "shop", "team-a/api")
    assert unable.reason is Reason.SCAN_UNAVAILABLE
    assert unable.evidence == f"{ROBOT} may not start scans in shop: it needs `scan: create`"
    harbor.sandbox.grant(ROBOT, DEFAULT_RIGHTS - {"artifact:read"})
    blind = refusal(harbor.api().check_scan, "shop", "team-a/api")
    assert blind.reason is Reason.REGISTRY_UNAUTHORIZED
    assert "`artifact: read`" in blind.evidence
    assert not pushed or harbor.artifact(user=ADMIN).get("scan_overview") is None


# Tags and artifacts


def test_a_push_moves_a_tag_and_the_old_image_stays_without(harbor: RunningHarbor) -> None:
    harbor.push()
    harbor.push(layer=b"another")
    assert tags_of(harbor, digest_of(image()[0])) == set()
    assert harbor.artifact("v1")["digest"] == digest_of(image(b"another")[0])
    assert len(harbor.get(f"{place()}/artifacts", user=ADMIN)) == 2
    assert len(harbor.get(f"{place()}/artifacts?q=tags=v1", user=ADMIN)) == 1


def test_a_promotion_deletes_the_tag_and_sets_it_anew(harbor: RunningHarbor) -> None:
    harbor.push("prod")
    harbor.push("v2", layer=b"another")
    path = f"/api/v2.0{place()}/artifacts"
    harbor.sandbox.grant(ROBOT, DEFAULT_RIGHTS | {"tag:create", "tag:delete"})
    assert harbor.ask("POST", f"{path}/v2/tags", json={"name": "prod"}).status_code == 409
    assert harbor.ask("DELETE", f"{path}/prod/tags/prod").status_code == 200
    assert harbor.ask("POST", f"{path}/v2/tags", json={"name": "prod"}).status_code == 201
    assert harbor.registry().digest(REPOSITORY, "prod") == digest_of(image(b"another")[0])
    assert tags_of(harbor, "prod") == {"v2", "prod"}
    listed = harbor.ask("GET", f"/v2/{REPOSITORY}/tags/list?n=1")
    assert listed.json() == {"name": REPOSITORY, "tags": ["prod"]}
    assert "last=prod" in listed.headers["Link"]


def test_an_artifact_goes_with_all_its_tags(harbor: RunningHarbor) -> None:
    harbor.push("v1")
    harbor.push("v2")
    assert harbor.ask("DELETE", f"/api/v2.0{place()}/artifacts/v1", user=ADMIN).status_code == 200
    assert harbor.ask("GET", f"/v2/{REPOSITORY}/manifests/v2", headers={"Accept": MANIFEST}).status_code == 404


def test_a_retry_over_an_immutable_tag_is_refused_though_nothing_differs(harbor: RunningHarbor) -> None:
    harbor.push("v1")
    harbor.sandbox.change("shop", immutable=(Immutable(tags="v*"),))
    assert harbor.push("v1").status_code == 412
    assert harbor.push("latest").status_code == 201
    assert harbor.artifact("v1")["tags"][0]["immutable"] is False  # "latest" came later and is shown first
    assert {tag["name"]: tag["immutable"] for tag in harbor.artifact("v1")["tags"]} == {"v1": True, "latest": False}


def test_an_image_that_an_index_names_cannot_be_deleted_before_the_index(harbor: RunningHarbor) -> None:
    child = harbor.push_index()
    path = f"/api/v2.0{place()}/artifacts"
    refused = harbor.ask("DELETE", f"{path}/{child}", user=ADMIN)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (412, "VIOLATE_FOREIGN_KEY_CONSTRAINT")
    assert harbor.ask("DELETE", f"/v2/{REPOSITORY}/manifests/v1", user=ADMIN).status_code == 202
    assert harbor.ask("DELETE", f"{path}/{child}", user=ADMIN).status_code == 200
    assert harbor.ask("GET", f"/v2/{REPOSITORY}/tags/list").status_code == 404


def test_the_catalog_is_for_the_admin(harbor: RunningHarbor) -> None:
    harbor.push()
    assert harbor.ask("GET", "/v2/_catalog", user=SYSTEM).status_code == 401
    assert harbor.ask("GET", "/v2/_catalog", user=ADMIN).json() == {"repositories": [REPOSITORY]}


def test_an_image_has_no_referrers(harbor: RunningHarbor) -> None:
    harbor.push()
    answer = harbor.ask("GET", f"/v2/{REPOSITORY}/referrers/{digest_of(image()[0])}")
    assert (answer.status_code, answer.json()["manifests"]) == (200, [])


@pytest.mark.parametrize("path", ["shop/Upper/manifests/v1", "shop/../x/manifests/v1", "shop/x/other", "_odd"])
def test_what_is_no_path_of_a_registry_is_not_found(harbor: RunningHarbor, path: str) -> None:
    request = requests.Request("GET", f"{harbor.url}/v2/{path}", auth=(ADMIN, "Harbor12345")).prepare()
    request.url = f"{harbor.url}/v2/{path}"
    with requests.Session() as session:
        assert session.send(request, timeout=5).status_code == 404


def test_a_manifest_is_taken_only_with_what_it_names(harbor: RunningHarbor) -> None:
    answer = harbor.push_manifest(REPOSITORY, "v1", image()[0])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "MANIFEST_BLOB_UNKNOWN")
    too_large = harbor.push_manifest(REPOSITORY, "v1", b" " * (4 * 1024 * 1024 + 1))
    assert too_large.status_code == 413
