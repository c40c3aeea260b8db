"""What the forges' pushes share: names that can be used, and changed files only when the list is complete."""

import json
from typing import Any

import pytest

from orchestrator.domain.events import Push
from tests.support.hooks import own_case
from webhooks.forges import FORGES
from webhooks.forges.github import MAX_COMMITS, MAX_FILES
from webhooks.headers import Headers

CASE = own_case("github", "push-branch")
ONE = json.loads(CASE.body)["commits"][0]


def paths(forge: str = "github", **fields: Any) -> frozenset[str] | None:
    case = own_case(forge, "push-branch")
    body = json.dumps(json.loads(case.body) | fields).encode()
    parsed = FORGES[forge].parse(Headers(case.headers().items()), body)
    assert isinstance(parsed, Push)
    return parsed.changes[0].paths


def other(**lists: list[str]) -> dict[str, Any]:
    return {"id": "2" * 40, "added": [], "modified": [], "removed": []} | lists


def test_the_files_of_all_commits_count() -> None:
    commits = [ONE, other(removed=["old.py"]), other(modified=["web/app.py", "한글.md"])]
    assert paths(commits=commits) == {"web/menu.py", "web/app.py", "old.py", "한글.md"}


@pytest.mark.parametrize(
    "fields",
    [
        {"forced": True},
        {"forced": None},
        {"before": "0" * 40},
        {"after": "0" * 40},
        {"ref": "refs/tags/v1"},
        {"commits": []},
        {"commits": [ONE, other()]},
        {"commits": [ONE, {"id": "2" * 40}]},
        {"commits": [ONE] * MAX_COMMITS},
        {"commits": [other(added=[f"{n}.txt" for n in range(MAX_FILES)])]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_list_that_may_have_gaps_is_no_list(fields: dict[str, Any]) -> None:
    assert paths(**fields) is None


@pytest.mark.parametrize("forge", [name for name in FORGES if name != "github"])
def test_without_a_flag_for_forced_pushes_there_is_no_list(forge: str) -> None:
    assert paths(forge) is None


@pytest.mark.parametrize("broken", ["", None, "https://git.example.com:port/a/b", "http://[::1/a/b", "x" * 3_000])
def test_an_address_that_is_none_is_left_out(broken: str | None) -> None:
    case = own_case("github", "push-branch")
    payload = json.loads(case.body)
    payload["repository"] |= {"html_url": broken}
    parsed = FORGES["github"].parse(Headers(case.headers().items()), json.dumps(payload).encode())
    assert parsed.repo is not None
    assert parsed.repo.urls == (payload["repository"]["clone_url"], payload["repository"]["ssh_url"])


@pytest.mark.parametrize("forge", [name for name in FORGES if name != "gogs"])
def test_the_message_of_an_annotated_tag_is_that_of_the_commit_behind_it(forge: str) -> None:
    case = own_case(forge, "push-tag-annotated")
    parsed = FORGES[forge].parse(Headers(case.headers().items()), case.body)
    assert isinstance(parsed, Push)
    (change,) = parsed.changes
    assert change.message == "Show the menu of the day\n\n오늘의 메뉴"
    assert (change.author_name, change.author_email) == ("김하늘", "haneul@example.com")


@pytest.mark.parametrize("forge", FORGES)
def test_a_deleted_ref_has_nothing_to_build_whatever_else_is_sent(forge: str) -> None:
    case = own_case(forge, "push-branch")
    payload = json.loads(case.body) | {"ref": "refs/tags/v1", "after": "0" * 40}
    parsed = FORGES[forge].parse(Headers(case.headers().items()), json.dumps(payload).encode())
    assert isinstance(parsed, Push)
    assert [(change.deleted, change.commit) for change in parsed.changes] == [(True, None)]


@pytest.mark.parametrize("forge", FORGES)
def test_only_the_newest_commits_message_counts(forge: str) -> None:
    """Forges list commits in different orders; the one that was pushed to is found by its id."""
    case = own_case(forge, "push-branch")
    payload = json.loads(case.body)
    older = {"id": "3" * 40, "message": "An older one [skip ci]"}
    for commits in ([older, *payload["commits"]], [*payload["commits"], older]):
        body = json.dumps(payload | {"commits": commits}).encode()
        parsed = FORGES[forge].parse(Headers(case.headers().items()), body)
        assert isinstance(parsed, Push)
        assert parsed.changes[0].skip == ""
        assert parsed.changes[0].message.startswith("Show the menu")
