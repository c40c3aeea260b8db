"""Our own commits are recognised, and nobody else's."""

import pytest

from orchestrator.domain.events import RefChange, RefKind
from orchestrator.domain.ownership import is_own_commit, run_of

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
    assert is_own_commit(own, BOT)


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
    assert not is_own_commit(other, BOT)


def test_the_address_may_be_configured_in_any_case() -> None:
    assert is_own_commit(change(author=BOT), BOT.upper())


def test_without_an_address_only_the_trailer_counts() -> None:
    assert not is_own_commit(change(author=""), "")
    assert is_own_commit(change(BUMP), "")


@pytest.mark.parametrize(
    ("number", "run"),
    [("12", 12), ("", None), ("0", None), ("-1", None), ("twelve", None), ("²", None), ("9" * 11, None)],
)
def test_a_commit_of_ours_names_its_run(number: str, run: int | None) -> None:
    assert run_of({"Pilotage-Run": number, "Reviewed-by": "Ann"}) == run
    assert run_of({}) is None
