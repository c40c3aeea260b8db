"""The forge stand-in's payloads have the shape of those that real forges sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.forge import SandboxForge
from orchestrator.sandbox.forge_git import NO_OBJECT, HostedRepository, Moved
from orchestrator.sandbox.forge_payloads import FLAVOURS
from tests.support.contracts import contract_files, needs_contract

REPO = "acme/plate-web"
NOT_OURS = {"installation", "organization", "enterprise", "secret", "token"}
"""Parts of payloads that come with features that the stand-in does not have, or with old versions."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedRepository]:
    forge = SandboxForge(state_dir=tmp_path_factory.mktemp("forge"))
    forge.start()
    forge.create_repo(REPO, {"a": "1"})
    forge.commit(REPO, "main", {"b": "2"}, "Two")
    yield forge._repositories[REPO]
    forge.stop()


def sent(flavour: str, repository: HostedRepository, ref: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a push that brought the newest commit to a branch, or made a tag."""
    first = repository.commits(["main"])[-1].sha
    before = NO_OBJECT if ref.startswith("refs/tags/") else first
    moved = Moved(ref=ref, before=before, after=repository.resolve("main"), user="dev")
    return FLAVOURS[flavour].push("http://127.0.0.1:1", repository, [moved])


@needs_contract
@pytest.mark.parametrize("flavour", sorted(FLAVOURS))
@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/v1"])
def test_a_push_has_every_field_of_the_samples(repository: HostedRepository, flavour: str, ref: str) -> None:
    [ours] = [body for event, body in sent(flavour, repository, ref) if event == "push"]
    for path in contract_files(f"forges/{flavour}/push-*.json"):
        if path.name.endswith(".headers.json"):
            continue
        theirs = json.loads(path.read_text(encoding="utf-8"))
        assert theirs.keys() - NOT_OURS <= ours.keys(), path.name
        for name in ("ref", "before", "after", "commits"):
            assert type(theirs[name]) is type(ours[name]), (path.name, name)


@pytest.mark.parametrize("flavour", sorted(FLAVOURS))
def test_the_commits_of_a_push_have_the_fields_of_the_samples(repository: HostedRepository, flavour: str) -> None:
    [(_, ours)] = sent(flavour, repository, "refs/heads/main")
    assert [commit["added"] for commit in ours["commits"]] == [["b"]]
    for path in contract_files(f"forges/{flavour}/push-branch.*.json"):
        body = json.loads(path.read_text(encoding="utf-8"))
        for commit in body.get("commits", []):
            assert commit.keys() <= ours["commits"][0].keys(), path.name


@needs_contract
@pytest.mark.parametrize("flavour", sorted(FLAVOURS))
def test_the_headers_are_those_of_the_samples(flavour: str) -> None:
    ours = FLAVOURS[flavour].headers("push", "id", "s3cret", b"{}")
    for path in contract_files(f"forges/{flavour}/push-*.headers.json"):
        theirs = json.loads(path.read_text())["headers"]
        assert {name.lower() for name in theirs} <= {name.lower() for name in ours}, path.name


def test_without_a_secret_github_sends_no_signature_and_gitea_an_empty_one() -> None:
    github = FLAVOURS["github"].headers("push", "id", "", b"{}")
    gitea = FLAVOURS["gitea"].headers("push", "id", "", b"{}")

    assert not [name for name in github if "Signature" in name]
    assert (gitea["X-Gitea-Signature"], gitea["X-Hub-Signature-256"]) == ("", "sha256=")


def test_names_with_odd_characters_are_read_whole(tmp_path: Path) -> None:
    forge = SandboxForge(state_dir=tmp_path)
    forge.start()
    try:
        forge.create_repo(REPO, {"a b/한글\t😀.txt": "1", "-n": "2", "a" * 40: "3"})
        [commit] = forge._repositories[REPO].commits(["main"])
        assert sorted(commit.added) == sorted(["a b/한글\t😀.txt", "-n", "a" * 40])
    finally:
        forge.stop()
