"""The forge stand-in's Git LFS refuses what GitHub, GitLab and Gitea refuse, so that what works here works there."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestrator.sandbox.forge import TOKEN, USER, SandboxForge
from orchestrator.sandbox.forge_lfs import MEDIA_TYPE

REPO = "acme/site"
CONTENT = b"a picture"
OID = hashlib.sha256(CONTENT).hexdigest()
ASKED = {"oid": OID, "size": len(CONTENT)}
HEADERS = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[SandboxForge]:
    started = SandboxForge(state_dir=tmp_path / "forge")
    started.start()
    started.create_repo(REPO)
    started.lfs.put(REPO, CONTENT)
    yield started
    started.stop()


def ask(forge: SandboxForge, question: Any = None, **options: Any) -> requests.Response:
    """Ask where contents are; options replace what a good client sends."""
    body = {"operation": "download", "transfers": ["basic"], "objects": [ASKED], **(question or {})}
    url = f"{options.pop('repo', forge.clone_url(REPO))}/info/lfs/objects/batch"
    return requests.post(url, **{"json": body, "headers": HEADERS, "auth": (USER, TOKEN), "timeout": 10, **options})


def test_a_content_is_handed_out_with_the_token_of_its_answer(forge: SandboxForge) -> None:
    answer = ask(forge)
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    [one] = answer.json()["objects"]
    action = one["actions"]["download"]
    assert requests.get(action["href"], headers=action["header"], timeout=10).content == CONTENT
    assert requests.get(action["href"], auth=(USER, TOKEN), timeout=10).status_code == 401


def test_what_is_there_is_there_after_a_restart(forge: SandboxForge, tmp_path: Path) -> None:
    again = SandboxForge(state_dir=tmp_path / "forge")
    again.start()
    assert "actions" in ask(again).json()["objects"][0]
    again.stop()


@pytest.mark.parametrize(
    ("question", "options", "status"),
    [
        ({}, {"auth": None}, 401),
        ({}, {"auth": (USER, "wrong")}, 401),
        ({}, {"headers": {**HEADERS, "Accept": "application/json"}}, 406),
        ({}, {"headers": {**HEADERS, "Content-Type": "application/json"}}, 415),
        ({}, {"json": None, "data": b"{"}, 400),
        ({}, {"json": []}, 400),
        ({"objects": None}, {}, 400),
        ({"operation": "upload"}, {}, 501),
        ({"transfers": ["ssh"]}, {}, 422),
        ({"hash_algo": "sha512"}, {}, 409),
        ({"objects": [ASKED] * 101}, {}, 413),
    ],
)
def test_a_question_that_breaks_a_rule_is_refused(
    forge: SandboxForge, question: dict[str, Any], options: dict[str, Any], status: int
) -> None:
    answer = ask(forge, question, **options)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
    assert answer.json()["message"]


def test_a_repository_that_is_not_there_has_no_contents(forge: SandboxForge) -> None:
    assert ask(forge, repo=forge.clone_url("acme/other")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"oid": "1" * 64, "size": 1}, 404),
        ({"oid": OID, "size": 1}, 422),
        ({"oid": OID, "size": -1}, 422),
        ({"oid": OID, "size": True}, 422),
        ({"oid": "../x", "size": 1}, 422),
        ({}, 422),
        (7, 422),
    ],
)
def test_an_object_that_cannot_be_had_has_its_own_error(forge: SandboxForge, asked: Any, code: int) -> None:
    one, other = ask(forge, {"objects": [asked, ASKED]}).json()["objects"]
    assert one["error"]["code"] == code
    assert "actions" in other


@pytest.mark.parametrize("redirects", [False, True])
def test_a_store_elsewhere_takes_its_signature_and_no_login(forge: SandboxForge, redirects: bool) -> None:
    store = forge.keep_lfs_elsewhere(redirects=redirects)
    action = ask(forge).json()["objects"][0]["actions"]["download"]
    url = action["href"]
    if redirects:
        answer = requests.get(url, headers=action["header"], timeout=10, allow_redirects=False)
        url = answer.headers["Location"]
    assert url.startswith(store)
    assert requests.get(url, timeout=10).content == CONTENT
    assert requests.get(url, auth=(USER, TOKEN), timeout=10).status_code == 400
    assert requests.get(url.partition("?")[0], timeout=10).status_code == 403
