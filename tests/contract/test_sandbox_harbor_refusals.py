"""The stand-in of Harbor refuses with the status, the code and the words of the real one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestrator.sandbox.harbor import HttpFault, Immutable
from tests.support.contracts import CONTRACTS
from tests.support.harbor import ADMIN, REPOSITORY, ROBOT, SYSTEM, RunningHarbor, image, place, running
from tests.support.harbor_contract import check, sample

ARTIFACT = f"/api/v2.0{place()}/artifacts/v1"


@pytest.fixture
def harbor(tmp_path: Path) -> Iterator[RunningHarbor]:
    with running(tmp_path) as made:
        yield made


Act = Callable[[RunningHarbor], requests.Response]
NO_IMAGE = (
    "the configured scanner Trivy does not support scanning artifact with mime type"
    " application/vnd.oci.image.manifest.v1+json"
)
UNSCANNED = (
    "current image without vulnerability scanning cannot be pulled due to configured policy in 'Prevent images with"
    ' vulnerability severity of "High" or higher from running.\' To continue with pull, please contact your project'
    " administrator for help."
)
NO_RIGHT = "unauthorized to access repository: shop/team-a/api, action: push"


def immutable(harbor: RunningHarbor, act: Act) -> requests.Response:
    harbor.push("8f3e1e7")
    harbor.sandbox.change("shop", immutable=(Immutable(),))
    return act(harbor)


def twice(harbor: RunningHarbor, act: Act) -> requests.Response:
    act(harbor)
    return act(harbor)


def changed(harbor: RunningHarbor, act: Act, **policy: Any) -> requests.Response:
    harbor.push("8f3e1e7")
    harbor.sandbox.change("shop", **policy)
    return act(harbor)


def read_only(harbor: RunningHarbor) -> requests.Response:
    harbor.sandbox.read_only = True
    return harbor.push()


def no_push_right(harbor: RunningHarbor) -> requests.Response:
    harbor.sandbox.grant(ROBOT, {"pull"})
    return harbor.push()


def no_scanner(harbor: RunningHarbor) -> requests.Response:
    harbor.push()
    harbor.sandbox.scanner.available = False
    return harbor.ask("POST", f"{ARTIFACT}/scan")


def no_image(harbor: RunningHarbor) -> requests.Response:
    manifest, config = image(config_type="application/vnd.cncf.helm.config.v1+json")
    harbor.push_blob(REPOSITORY, config)
    harbor.push_blob(REPOSITORY, b"layer")
    assert harbor.push_manifest(REPOSITORY, "v1", manifest).status_code == 201
    return harbor.ask("POST", f"{ARTIFACT}/scan")


def with_cookie(harbor: RunningHarbor) -> requests.Response:
    with requests.Session() as session:
        session.auth = (ROBOT, "Robot-$12345")
        assert session.get(f"{harbor.url}/api/v2.0/projects", timeout=5).status_code == 200
        return session.post(f"{harbor.url}{ARTIFACT}/scan", timeout=5)


def fails(status: int) -> Act:
    def act(harbor: RunningHarbor) -> requests.Response:
        harbor.sandbox.faults.add(HttpFault(status=status))
        return harbor.ask("GET", "/api/v2.0/health")

    return act


OLD_TAG = ARTIFACT.replace("v1", "8f3e1e7")
ERRORS: list[tuple[str, int, str, Act]] = [
    ("who?", 401, "unauthorized", lambda harbor: harbor.ask("GET", ARTIFACT, user=None)),
    ("wrong secret", 401, "unauthorized", lambda harbor: harbor.ask("GET", ARTIFACT, password="wrong")),
    ("other project", 403, "forbidden", lambda harbor: harbor.ask("GET", ARTIFACT.replace("/shop/", "/other/"))),
    ("cookie", 403, "CSRF token not found in request", with_cookie),
    (
        "unknown tag",
        404,
        "artifact shop/team-a/api:nosuch not found",
        lambda harbor: (harbor.push(), harbor.ask("GET", ARTIFACT.replace("v1", "nosuch")))[1],
    ),
    ("unknown repository", 404, "repository shop/team-a/api not found", lambda harbor: harbor.ask("GET", ARTIFACT)),
    (
        "unknown project",
        404,
        "project nosuch not found",
        lambda harbor: harbor.ask("GET", "/api/v2.0/projects/nosuch", user=ADMIN),
    ),
    (
        "project is there",
        409,
        "The project named shop already exists",
        lambda harbor: harbor.ask("POST", "/api/v2.0/projects", user=SYSTEM, json={"project_name": "shop"}),
    ),
    (
        "scan is running",
        409,
        "a previous scan process is Pending",
        lambda harbor: (harbor.push(), twice(harbor, lambda one: one.ask("POST", f"{ARTIFACT}/scan")))[1],
    ),
    (
        "push over immutable",
        412,
        "Failed to process request due to 'team-a/api:8f3e1e7' configured as immutable.",
        lambda harbor: immutable(harbor, lambda one: one.push("8f3e1e7")),
    ),
    (
        "delete immutable tag",
        412,
        "the tag 8f3e1e7 configured as immutable, cannot be deleted",
        lambda harbor: immutable(harbor, lambda one: one.ask("DELETE", f"{OLD_TAG}/tags/8f3e1e7", user=ADMIN)),
    ),
    (
        "delete immutable artifact",
        412,
        "the tag 8f3e1e7 configured as immutable, cannot be deleted",
        lambda harbor: immutable(harbor, lambda one: one.ask("DELETE", OLD_TAG, user=ADMIN)),
    ),
    ("no scanner", 412, "no available scanner for project: 1", no_scanner),
    (
        "no image",
        400,
        NO_IMAGE,
        no_image,
    ),
    ("read only", 403, "The system is in read only mode. Any modification is prohibited.", read_only),
    (
        "unscanned is blocked",
        412,
        UNSCANNED,
        lambda harbor: changed(
            harbor, lambda one: one.ask("GET", f"/v2/{REPOSITORY}/manifests/8f3e1e7"), block_from="High"
        ),
    ),
    (
        "no push right",
        401,
        f"{NO_RIGHT}: {NO_RIGHT}",
        no_push_right,
    ),
    (
        "push without project",
        401,
        "project nosuch not found: project nosuch not found",
        lambda harbor: harbor.push(repository="nosuch/api"),
    ),
    (
        "tag is there",
        409,
        "tag 8f3e1e7 already exists under the repository 2",
        lambda harbor: (
            harbor.push("8f3e1e7"),
            harbor.ask("POST", f"{OLD_TAG}/tags", json={"name": "8f3e1e7"}, user=ADMIN),
        )[1],
    ),
    ("broken", 500, "internal server error", fails(500)),
]


@pytest.mark.parametrize(("status", "message", "act"), [one[1:] for one in ERRORS], ids=[one[0] for one in ERRORS])
def test_a_refusal_has_the_status_and_the_words_of_the_real_one(
    harbor: RunningHarbor, status: int, message: str, act: Act
) -> None:
    answer = act(harbor)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"] == message
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Request-Id"]
    if CONTRACTS.is_dir():
        check("Errors", answer.json())
        assert (status, answer.json()["errors"][0]["code"]) in recorded_codes()


def recorded_codes() -> set[tuple[int, str]]:
    items = [one for one in sample("errors")["items"] if one["body"]]
    return {(one["http_status"], one["body"]["errors"][0]["code"]) for one in items}


def test_a_push_over_the_quota_names_what_there_was_room_for(harbor: RunningHarbor) -> None:
    harbor.sandbox.change("shop", quota=1024)
    answer = harbor.push(layer=b"x" * 4096)
    used = len(image(b"x" * 4096)[1])
    assert answer.status_code == 403
    assert answer.json()["errors"] == [
        {
            "code": "DENIED",
            "message": f"adding 4.0 KiB of storage resource, which when updated to current usage of {used:.1f} B will"
            " exceed the configured upper limit of 1.0 KiB.",
        }
    ]


def test_the_manifest_alone_can_be_over_the_quota(harbor: RunningHarbor) -> None:
    harbor.sandbox.change("shop", quota=len(image()[1]) + len(b"layer") + 10)
    answer = harbor.push()
    assert (answer.request.method, answer.status_code) == ("PUT", 403)
    assert "/manifests/" in str(answer.request.url)


def test_what_a_project_has_already_costs_nothing_again(harbor: RunningHarbor) -> None:
    manifest, config = image()
    harbor.sandbox.change("shop", quota=len(manifest) + len(config) + len(b"layer"))
    assert harbor.push().status_code == 201
    assert harbor.push("v2").status_code == 201
