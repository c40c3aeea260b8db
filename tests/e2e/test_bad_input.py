"""Names and bodies that mean harm go through hook and API: a clear answer, nothing run, nothing lost."""

import hashlib
import hmac
import json
import uuid
from pathlib import Path

import pytest
import requests
import yaml

from orchestrator.cli.errors import CliError
from orchestrator.sandbox.platform import FORGE_USER, HOOK_SECRET, SOURCE
from tests.support.whole_loop import Json, Loop, succeeded

HOSTILE = (
    "--upload-pack=touch /tmp/pilotage-was-here",
    "../../x",
    "$(touch /tmp/pilotage-was-here)",
    "b" * 250,
    "배포/없음",
    "a..b",
    "a b",
    "x\ny",
)
TRACE = Path("/tmp/pilotage-was-here")


def post(loop: Loop, body: bytes) -> requests.Response:
    """Send a push event as GitHub does, with a good signature."""
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "Content-Type": "application/json",
        "X-Hub-Signature-256": "sha256=" + hmac.digest(HOOK_SECRET.encode(), body, "sha256").hex(),
    }
    return requests.post(f"{loop.product.url}/webhooks/github", data=body, headers=headers, timeout=30)


def event(loop: Loop, name: str, commit: str) -> Json:
    repository = {"full_name": SOURCE, "clone_url": loop.platform.repo_url(SOURCE), "default_branch": "main"}
    head = {"id": commit, "message": "Harm", "author": {"name": "Eve", "email": "eve@example.com"}}
    return {
        "ref": f"refs/heads/{name}",
        "before": "0" * 40,
        "after": commit,
        "created": True,
        "deleted": False,
        "forced": False,
        "repository": repository,
        "head_commit": head,
        "commits": [head],
        "pusher": {"name": FORGE_USER},
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_branch_in_a_hook_is_answered_and_runs_nothing(loop: Loop, name: str) -> None:
    commit = hashlib.sha1(name.encode()).hexdigest()
    answer = post(loop, json.dumps(event(loop, name, commit)).encode())
    assert answer.status_code in (200, 400), answer.text
    assert not loop.runs_of(commit)
    assert not TRACE.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_ref_in_the_api_ends_in_one_sentence(loop: Loop, name: str) -> None:
    said = ask(loop, name)
    assert said.startswith("Not possible (HTTP 4") or "commit_not_found" in said, said
    assert "\n" not in said
    assert not TRACE.exists()


def ask(loop: Loop, ref: str) -> str:
    """Ask for a run of a ref; return the refusal, or how the run ended."""
    try:
        run = loop.end(loop.start(environment="manual", ref=ref))
    except CliError as error:
        return str(error)
    return f"{run['state']}, {run['reason']}: {run['sentence']}"


def test_a_body_of_25_megabytes_is_refused_and_the_next_one_taken(loop: Loop) -> None:
    huge = json.dumps({"ref": "refs/heads/main", "padding": "x" * (25 * 1024 * 1024)}).encode()
    assert post(loop, huge).status_code == 413
    newest = loop.api.get("/deliveries", {"outcome": "refused", "limit": 1})["items"][0]
    assert (newest["hook"], newest["reason"], newest["size"]) == ("github", "too_large", len(huge))
    commit = loop.push(branch="deploy/cli")
    succeeded(loop.end(loop.run_of(commit)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("apps", 0, "repo"), "ext::sh -c touch% /tmp/pilotage-was-here"),
        (("apps", 0, "repo"), "file:///etc"),
        (("gitops", "repo"), "--upload-pack=sh"),
        (("apps", 0, "build", "dockerfile"), "../Dockerfile"),
        (("apps", 0, "build", "context"), "../.."),
        (("apps", 0, "environments", 0, "values"), "../values.yaml"),
        (("apps", 0, "environments", 0, "values"), "/etc/passwd"),
    ],
)
def test_a_hostile_configuration_is_refused_by_the_key(
    loop: Loop, tmp_path: Path, key: tuple[str | int, ...], value: str
) -> None:
    config = yaml.safe_load((loop.product.folder / "pilotage.yaml").read_text())
    place = config
    for part in key[:-1]:
        place = place[part]
    place[key[-1]] = value
    file = tmp_path / "pilotage.yaml"
    file.write_text(yaml.safe_dump(config))
    done = loop.cli("config", "check", "--config", str(file))
    assert done.returncode == 1, done.stdout
    assert str(key[-1]) in done.stdout + done.stderr
    assert not TRACE.exists()
