"""The registry client against the real registry program: a login, a token service, read-only, and nothing at all."""

import hashlib
import json
from pathlib import Path

import pytest
import requests

from orchestrator.domain.apps import Registry, Secret
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.needs import require_program
from tests.support.registry import PASSWORD, USER, Running, real_registry, token_registry
from workers.clients.engine_requests import REVISION_LABEL
from workers.clients.registry import RegistryClient
from workers.clients.registry_answers import MANIFEST_TYPES

COMMIT = "c" * 40


@pytest.fixture(scope="module", autouse=True)
def _registry() -> None:
    require_program("docker-registry")


def put_image(running: Running, repository: str, tag: str) -> str:
    """Put an image without layers into the registry, by its plain API."""
    session = requests.Session()
    session.auth = (USER, PASSWORD)
    config = json.dumps({"config": {"Labels": {REVISION_LABEL: COMMIT}}}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    with session:
        began = session.post(f"http://{running.host}/v2/{repository}/blobs/uploads/", timeout=5)
        session.put(began.headers["Location"], params={"digest": digest}, data=config, timeout=5).raise_for_status()
        kind = MANIFEST_TYPES[1]
        described = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": digest,
        }
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": described, "layers": []})
        url = f"http://{running.host}/v2/{repository}/manifests/{tag}"
        answer = session.put(url, data=manifest, headers={"Content-Type": kind}, timeout=5)
        answer.raise_for_status()
        return answer.headers["Docker-Content-Digest"]


def with_password(registry: Registry, password: str) -> Registry:
    return Registry(url=registry.url, username=registry.username, password=Secret(password), harbor=False)


def test_digest_and_labels_are_read_back(tmp_path: Path) -> None:
    with real_registry(tmp_path) as running:
        digest = put_image(running, "plate/web", "1")
        client = RegistryClient(running.settings)
        client.ping()
        assert client.digest("plate/web", "1") == digest
        assert client.digest("plate/web", digest) == digest
        assert client.digest("plate/web", "2") is None
        assert client.digest("plate/nosuch", "1") is None
        assert client.labels("plate/web", digest) == {REVISION_LABEL: COMMIT}


def test_push_rights_are_proven_and_leave_nothing_behind(tmp_path: Path) -> None:
    with real_registry(tmp_path) as running:
        RegistryClient(running.settings).check_push("plate/web")
        assert list(running.root.rglob("_uploads/*/data")) == []
        with pytest.raises(Refused) as caught:
            RegistryClient(with_password(running.settings, "Wrong-12345")).check_push("plate/web")
        assert caught.value.reason is Reason.REGISTRY_UNAUTHORIZED


def test_a_read_only_registry_is_found_before_the_build(tmp_path: Path) -> None:
    with real_registry(tmp_path, read_only=True) as running, pytest.raises(Refused) as caught:
        RegistryClient(running.settings).check_push("plate/web")
    assert caught.value.reason is Reason.REGISTRY_READ_ONLY


def test_tokens_work_and_say_what_they_allow(tmp_path: Path) -> None:
    with token_registry(tmp_path, ["pull", "push"]) as running:
        client = RegistryClient(running.settings)
        client.ping()
        client.check_push("plate/web")
        assert client.digest("plate/web", "1") is None
        with pytest.raises(Refused, match="allows nothing"):
            RegistryClient(with_password(running.settings, "Wrong-12345")).check_push("plate/web")


def test_a_robot_that_may_only_pull_is_found_before_the_build(tmp_path: Path) -> None:
    with token_registry(tmp_path, ["pull"]) as running, pytest.raises(Refused, match="allows pull") as caught:
        RegistryClient(running.settings).check_push("plate/web")
    assert caught.value.reason is Reason.REGISTRY_UNAUTHORIZED


def test_a_registry_that_is_down_is_unavailable(tmp_path: Path) -> None:
    with real_registry(tmp_path) as running:
        settings = running.settings
    with pytest.raises(Unavailable) as caught:
        RegistryClient(settings).digest("plate/web", "1")
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE
