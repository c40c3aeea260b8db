"""The stand-in of Argo CD keeps the contract of the real one: shapes, presence of fields, order, and no lies."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.argocd import RunningArgo, healthy, phase, running
from tests.support.contracts import CONTRACTS, needs_contract

Json = dict[str, Any]


@pytest.fixture
def argocd(tmp_path: Path) -> Iterator[RunningArgo]:
    """One of its own, to change at will."""
    with running(tmp_path) as made:
        yield made


@cache
def definitions() -> Json:
    return json.loads((CONTRACTS / "argocd/swagger.json").read_text())["definitions"]


def check(definition: str, body: Json) -> None:
    """Validate against the definition of swagger.json (its references already are JSON Schema's)."""
    schema = {"$ref": f"#/definitions/{definition}", "definitions": definitions()}
    jsonschema.Draft4Validator(schema).validate(body)


def unknown(definition: str, body: Json) -> list[str]:
    """Name the fields of an object that the definition does not have, one level deep per named definition."""
    known = definitions()[definition]
    found = []
    for key, value in body.items():
        field = known.get("properties", {}).get(key)
        if field is None:
            found.append(f"{definition}.{key}")
            continue
        inner = field.get("$ref") or field.get("items", {}).get("$ref")
        for item in value if isinstance(value, list) else [value]:
            if inner and isinstance(item, dict):
                found += unknown(inner.rsplit("/", 1)[-1], item)
    return found


@needs_contract
def test_every_object_of_a_whole_deploy_has_the_shape_of_the_contract(argocd):
    argocd.follow()
    second = argocd.repo.chart("helm/shop-api", tag="v2")
    argocd.client.get("shop-api", refresh="normal")
    argocd.wait(healthy(second))
    argocd.repo.chart("helm/shop-api", tag="[")
    argocd.client.get("shop-api", refresh="hard")
    story = argocd.story()
    assert len(story) > 6
    for app in story:
        check("v1alpha1Application", app)
        assert unknown("v1alpha1Application", app) == []


@needs_contract
def test_all_other_answers_have_the_shape_of_the_contract(argocd):
    one = "/api/v1/applications/shop-api"
    for path, definition in [
        ("/api/v1/applications", "v1alpha1ApplicationList"),
        (f"{one}/resource-tree", "v1alpha1ApplicationTree"),
        (f"{one}/events", "eventsEventList"),
        ("/api/v1/session/userinfo", "sessionGetUserInfoResponse"),
        ("/api/v1/account/can-i/applications/sync/shop/shop-api", "accountCanIResponse"),
        ("/api/version", "versionVersionMessage"),
        ("/api/v1/applications/none", "runtimeError"),
    ]:
        answer = argocd.get(path)
        assert answer.headers["Content-Type"] == "application/json"
        check(definition, answer.json())
        if definition not in ("v1alpha1ApplicationTree",):  # its nodes embed a struct that swagger leaves out
            assert unknown(definition, answer.json()) == []


@needs_contract
def test_what_our_client_sends_has_the_shape_of_the_contract():
    body = {"name": "a", "prune": False, "project": "p", "appNamespace": "n", "infos": [{"name": "a", "value": "b"}]}
    check("applicationApplicationSyncRequest", body)
    assert unknown("applicationApplicationSyncRequest", body) == []


def shape(value: object, at: str = "") -> set[str]:
    """List the paths of an object's fields; the items of a list count as one."""
    if isinstance(value, dict):
        return {f"{at}.{key}" for key in value}.union(*(shape(item, f"{at}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return set[str]().union(*(shape(item, f"{at}[]") for item in value))
    return set()


def sample(number: str) -> Json:
    return json.loads(next(CONTRACTS.glob(f"argocd/samples/{number}-*.json")).read_text())


ANNOTATIONS = {
    ".metadata.annotations",
    ".metadata.annotations.argocd.argoproj.io/refresh",
    ".metadata.annotations.argocd.argoproj.io/refresh-timestamp",
}
MESSAGE = {".status.health.message"}


SITUATIONS: dict[str, tuple[str, Callable[[Json, str], bool]]] = {
    "before anybody noticed": ("01", lambda app, new: app["status"]["sync"]["revision"] != new),
    "refresh asked for": ("02", lambda app, new: "annotations" in app["metadata"] and phase(app) == "Succeeded"),
    "operation queued": ("03", lambda app, new: "operation" in app and phase(app) == ""),
    "operation succeeded, status behind": (
        "06",
        lambda app, new: app["status"]["sync"]["status"] == "OutOfSync" and phase(app) == "Succeeded",
    ),
    "all is well": ("08", lambda app, new: healthy(new)(app)),
    "does not render": ("12", lambda app, new: app["status"]["sync"]["status"] == "Unknown"),
}


@needs_contract
def test_each_situation_has_the_fields_of_its_sample(argocd):
    argocd.follow()
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    argocd.client.get("shop-api", refresh="normal")
    argocd.wait(healthy(new))
    argocd.repo.chart("helm/shop-api", tag="[")
    argocd.client.get("shop-api", refresh="normal")
    ours = argocd.story()
    for words, (number, is_it) in SITUATIONS.items():
        found = [app for app in ours if "revision" in app["status"]["sync"] and is_it(app, new)]
        assert found, words
        extra = {path for path in shape(found[0]) ^ shape(sample(number)) if path not in ANNOTATIONS | MESSAGE}
        assert extra == set(), words


def test_a_new_revision_is_never_seen_beside_the_status_of_the_old_one(argocd):
    """The window that makes clients report success too early does not exist in Argo CD, so not here either."""
    argocd.follow()
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    argocd.client.get("shop-api", refresh="normal")
    argocd.wait(healthy(new))
    seen = [app for app in argocd.story() if healthy(new)(app)]
    assert seen
    for app in seen:
        assert app["status"]["summary"]["images"] == ["registry.invalid/shop/api:v2"]
        assert app["status"]["operationState"]["syncResult"]["revision"] == new


def test_the_order_of_a_deploy(argocd):
    argocd.follow()
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    answer = argocd.client.get("shop-api", refresh="normal")
    assert "annotations" not in answer["metadata"], "the answer of a refresh comes after its comparison"
    assert answer["status"]["sync"]["revision"] == new
    argocd.wait(healthy(new))
    steps = [
        (
            "annotations" in app["metadata"],
            app["status"]["sync"].get("revision") == new,
            app["status"]["sync"]["status"],
            "operation" in app,
            phase(app),
        )
        for app in argocd.story()[1:]
    ]
    assert (
        steps
        == [
            (True, False, "Synced", False, "Succeeded"),
            (True, True, "OutOfSync", False, "Succeeded"),
            (False, True, "OutOfSync", False, "Succeeded"),
            (False, True, "OutOfSync", True, ""),
            (False, True, "OutOfSync", True, "Running"),
            (False, True, "OutOfSync", False, "Succeeded"),
            (False, True, "Synced", False, "Succeeded"),
        ][: len(steps)]
    )
    assert len(steps) >= 6


def test_a_commit_that_changes_nothing_here_moves_the_revision_without_an_operation(argocd):
    before = argocd.client.get("shop-api")
    new = argocd.repo.push({"README.md": "hello\n"})
    after = argocd.client.get("shop-api", refresh="normal")
    assert after["status"]["sync"] | {"revision": ""} == before["status"]["sync"] | {"revision": ""}
    assert after["status"]["sync"]["revision"] == new
    assert after["status"]["operationState"] == before["status"]["operationState"]


def test_history_keeps_ten_syncs_that_succeeded(argocd):
    for number in range(12):
        revision = argocd.repo.chart("helm/shop-api", tag=f"h{number}")
        argocd.client.get("shop-api", refresh="normal")
        found = argocd.wait(healthy(revision))
    history = found["status"]["history"]
    assert [entry["id"] for entry in history] == list(range(3, 13))
    assert history[-1]["revision"] == revision


RENDERING = {
    "a values file is missing": ({"helm/shop-api/values-prod.yaml": None}, "values-prod.yaml: no such file"),
    "no YAML": ({"helm/shop-api/values.yaml": "image: ["}, "failed to parse values.yaml"),
    "no mapping": ({"helm/shop-api/values.yaml": "- a"}, "cannot unmarshal"),
    "no tag": ({"helm/shop-api/values-prod.yaml": "image: {tag: null}"}, "image.tag is required"),
    "no repository": ({"helm/shop-api/values.yaml": "image: {}"}, "image.repository is required"),
    "no chart": ({"helm/shop-api/Chart.yaml": None}, "Chart.yaml file is missing"),
}


@pytest.mark.parametrize("case", RENDERING)
def test_what_does_not_render_is_a_comparison_error_at_the_branchs_name(argocd, case):
    files, words = RENDERING[case]
    for name in [name for name, text in files.items() if text is None]:
        (argocd.repo.clone / name).unlink()
    argocd.repo.push({name: text for name, text in files.items() if text is not None})
    status = argocd.client.get("shop-api", refresh="normal")["status"]
    assert (status["sync"]["status"], status["sync"]["revision"]) == ("Unknown", "main")
    assert status["health"]["status"] == "Healthy", "the old pods run on"
    assert [c["type"] for c in status["conditions"]] == ["ComparisonError"]
    assert words in status["conditions"][0]["message"]


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("tag: 1.10", "registry.invalid/shop/api:1.1"),
        ("tag: 123e4", "registry.invalid/shop/api:1230000"),
        ("tag: 0123456", "registry.invalid/shop/api:42798"),
        ("tag: 1234567", "registry.invalid/shop/api:1234567"),
        ('tag: "123e4"', "registry.invalid/shop/api:123e4"),
        ("registry: r.invalid\n  repository: api\n  tag: v2", "r.invalid/api:v2"),
        ("digest: sha256:abc", "registry.invalid/shop/api:v1@sha256:abc"),
    ],
)
def test_values_are_read_as_go_reads_them(argocd, text, image):
    first = argocd.repo.push({"helm/shop-api/values.yaml": "image: {repository: registry.invalid/shop/api, tag: v1}"})
    revision = argocd.repo.push({"helm/shop-api/values-prod.yaml": f"image:\n  {text}\n"})
    assert revision != first
    argocd.client.get("shop-api", refresh="normal")
    assert argocd.wait(healthy(revision))["status"]["summary"]["images"] == [image]
