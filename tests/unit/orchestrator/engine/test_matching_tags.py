"""A tag of which only a clone can tell the commit deploys like any other; a branch always names its commit."""

import pytest

from orchestrator.domain.apps import App, Environment, GitAccess
from orchestrator.domain.events import Push, RefChange, RefKind, RepoNames
from orchestrator.engine.matching import match

URL = "https://git.example.com/acme/plate-web.git"
PROD = Environment(name="prod", values="values.yaml", argocd="plate-web-prod", branch="main", tag="v*")
APP = App(name="plate-web", source=GitAccess(url=URL), image="plate/plate-web", environments=(PROD,))


def ignored(change: RefChange) -> str:
    push = Push(event="push", repo=RepoNames(full_name="acme/plate-web", urls=(URL,)), changes=(change,))
    return match(push, [APP], lambda _: False).ignored


@pytest.mark.parametrize("commit", [None, "a" * 40])
def test_a_tag_deploys_with_or_without_its_commit(commit: str | None) -> None:
    tag = RefChange(ref="refs/tags/v1", kind=RefKind.TAG, name="v1", after="b" * 40, commit=commit, created=True)
    assert ignored(tag) == ""


@pytest.mark.parametrize(
    "change",
    [
        RefChange(ref="refs/tags/v1", kind=RefKind.TAG, name="v1"),
        RefChange(ref="refs/heads/main", kind=RefKind.BRANCH, name="main", after="b" * 40),
        RefChange(ref="refs/heads/main", kind=RefKind.BRANCH, name="main", after="b" * 40, commit="b" * 7),
    ],
)
def test_a_change_without_anything_to_build_does_not(change: RefChange) -> None:
    assert ignored(change) == "commit"
