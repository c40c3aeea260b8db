"""Our own commits are recognised, and nobody else's."""

import pytest

from orchestrator.domain.apps import GitAccess, Gitops
from orchestrator.domain.events import RefChange, RefKind
from orchestrator.domain.ownership import is_gitops, is_own_commit, run_of

BOT = "pilotage-bot@example.com"
BUMP = "deploy(plate-web): stg to sha-1f0c5e9a7b3d\n\nPilotage-Run: 7\nPilotage-Source: 1f0c5e9\n"


def change(message: str = "Mend", author: str = "a@example.com", committer: str = "") -> RefChange:
    return RefChange(
        ref="refs/heads/main",
        kind=RefKind.BRANCH,
        name="main",
        message=message,
        author_email=author,
        committer_email=committer,
    )


@pytest.mark.parametrize(
    "own",
    [
        change(author=BOT),
        change(author=BOT.upper()),
        change(committer=BOT),
        change(committer=BOT.upper()),
        change(author=BOT, committer="noreply@github.com"),
        change(BUMP),
        change(f"{BUMP}\n\n"),
    ],
)
def test_our_commits_are_ours(own: RefChange) -> None:
    assert is_own_commit(own, BOT, in_gitops=True)


@pytest.mark.parametrize(
    "other",
    [
        change(),
        change(author="x" + BOT),
        change('Revert "deploy"\n\nPilotage-Run: 7 was wrong\n\nIt broke.'),
        change("Explain Pilotage-Run: trailers"),
        change("Mend\n\nSee Pilotage-Run: 7"),
    ],
)
def test_the_commits_of_others_are_not(other: RefChange) -> None:
    assert not is_own_commit(other, BOT, in_gitops=True)


@pytest.mark.parametrize(
    ("message", "author", "committer", "own"),
    [
        (BUMP, "a@example.com", "", False),
        ("Mend", BOT, "", True),
        (BUMP, BOT, "", True),
        ("Mend", "a@example.com", BOT, True),
    ],
)
def test_where_we_do_not_push_the_address_counts_and_a_copied_trailer_does_not(
    message: str, author: str, committer: str, own: bool
) -> None:
    assert is_own_commit(change(message, author, committer), BOT, in_gitops=False) is own


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("https://git.example.com/platform/gitops.git", True),
        ("git@git.example.com:platform/gitops.git", True),
        ("http://gitea:3000/platform/gitops", True),
        ("https://git.example.com/platform/gitops-web.git", False),
        ("https://git.example.org/platform/gitops.git", False),
    ],
)
def test_the_repository_that_we_push_to_is_known_by_each_of_its_addresses(address: str, ours: bool) -> None:
    access = GitAccess(url="https://git.example.com/platform/gitops.git")
    gitops = Gitops(access=access, aliases=("http://gitea:3000/platform/gitops.git",))
    assert is_gitops([address], gitops) is ours
    assert is_gitops(["https://git.example.com/acme/web.git", address], gitops) is ours
    assert not is_gitops([], gitops)


def test_the_address_may_be_configured_in_any_case() -> None:
    assert is_own_commit(change(author=BOT), BOT.upper(), in_gitops=False)


def test_without_an_address_only_the_trailer_counts() -> None:
    assert not is_own_commit(change(author=""), "", in_gitops=True)
    assert is_own_commit(change(BUMP), "", in_gitops=True)


@pytest.mark.parametrize(
    ("number", "run"),
    [("12", 12), ("", None), ("0", None), ("-1", None), ("twelve", None), ("²", None), ("9" * 11, None)],
)
def test_a_commit_of_ours_names_its_run(number: str, run: int | None) -> None:
    assert run_of({"Pilotage-Run": number, "Reviewed-by": "Ann"}) == run
    assert run_of({}) is None
