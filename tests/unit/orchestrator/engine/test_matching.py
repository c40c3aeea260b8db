"""Which environments a push deploys to, and why it deploys to none."""

from typing import Any

import pytest

from orchestrator.domain.apps import Build
from orchestrator.domain.events import Push, RefChange, RefKind, RepoNames
from orchestrator.engine.matching import match, watched_branches
from tests.support.factories import COMMIT, make_app, make_environment

APP = make_app(
    environments=(
        make_environment("stg", branch="main"),
        make_environment("review", branch="feature/*"),
        make_environment("prod", branch="", tag="v*"),
    )
)


def moved(name: str = "main", kind: RefKind = RefKind.BRANCH, **fields: Any) -> RefChange:
    prefix = "refs/heads/" if kind is RefKind.BRANCH else "refs/tags/"
    defaults = {"ref": prefix + name, "kind": kind, "name": name, "after": COMMIT, "commit": COMMIT}
    return RefChange(**(defaults | fields))


def pushed(*changes: RefChange, url: str = "https://git.example.com/acme/plate-web.git") -> Push:
    return Push(event="push", repo=RepoNames(full_name="acme/plate-web", urls=(url,)), changes=changes)


def deploys(push: Push, app: Any = APP) -> list[str]:
    return [one.environment.name for one in match(push, [app], lambda _: False).wanted]


@pytest.mark.parametrize(
    ("change", "environments"),
    [
        (moved("main"), ["stg"]),
        (moved("feature/한글"), ["review"]),
        (moved("v1.2", RefKind.TAG), ["prod"]),
        (moved("main", RefKind.TAG), []),
        (moved("develop"), []),
    ],
)
def test_branch_and_tag_rules(change: RefChange, environments: list[str]) -> None:
    assert deploys(pushed(change)) == environments


@pytest.mark.parametrize(
    "url",
    [
        "git@git.example.com:acme/plate-web.git",
        "ssh://git@git.example.com:22/acme/plate-web",
        "https://GIT.example.com/acme/plate-web/",
        "http://git.example.com/Acme/Plate-Web.git",
    ],
)
def test_a_repository_is_known_by_any_of_its_addresses(url: str) -> None:
    assert deploys(pushed(moved(), url=url)) == ["stg"]


def test_an_alias_is_another_address_of_the_repository() -> None:
    app = make_app(aliases=("http://10.0.0.5:3000/acme/plate-web.git",))
    assert deploys(pushed(moved(), url="http://10.0.0.5:3000/acme/plate-web"), app) == ["stg"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (moved(deleted=True, commit=None, after=None), "deleted"),
        (moved("--upload-pack=x"), "ref"),
        (moved("../../x"), "ref"),
        (moved(commit=None), "commit"),
        (moved(skip="[skip ci]"), "skip"),
        (moved("develop"), "branch"),
        (moved("x", RefKind.TAG), "tag"),
    ],
)
def test_why_a_push_is_ignored(change: RefChange, word: str) -> None:
    matched = match(pushed(change), [APP], lambda _: False)
    assert (matched.wanted, matched.ignored) == ((), word)
    assert matched.detail


def test_a_push_to_another_repository_is_ignored() -> None:
    matched = match(pushed(moved(), url="https://git.example.com/acme/other.git"), [APP], lambda _: False)
    assert matched.ignored == "repo"


def test_our_own_commit_never_starts_a_run() -> None:
    assert match(pushed(moved()), [APP], lambda _: True).ignored == "own_commit"


def test_a_push_without_refs_is_ignored() -> None:
    assert match(pushed(), [APP], lambda _: False).ignored == "empty"


@pytest.mark.parametrize(
    ("paths", "built"),
    [
        (frozenset({"web/src/app.py"}), True),
        (frozenset({"api/main.py", "README.md"}), False),
        (frozenset({"api/main.py", "web/x"}), True),
        (None, True),  # the payload cannot know: better one build too many than a deploy too few
    ],
)
def test_path_filters(paths: frozenset[str] | None, built: bool) -> None:
    app = make_app(build=Build(paths=("web/**",)))
    matched = match(pushed(moved(paths=paths)), [app], lambda _: False)
    assert bool(matched.wanted) is built
    assert matched.ignored == ("" if built else "paths")


def test_without_a_filter_every_file_matters() -> None:
    assert match(pushed(moved(paths=frozenset({"README.md"}))), [APP], lambda _: False).wanted


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (moved("main"), True),
        (moved("main", skip="[skip ci]"), True),
        (moved("feature/x"), True),
        (moved("feature/x", deleted=True, commit=None, after=None), True),
        (moved("v1.2", RefKind.TAG), True),
        (moved("v1.2", RefKind.TAG, commit=None), True),
        (moved("develop"), False),
        (moved("main", RefKind.TAG), False),
        (moved("main", commit=None), False),
        (moved("feature/../x"), False),
    ],
)
def test_where_a_ref_is_counts_if_it_deploys_somewhere(change: RefChange, told: bool) -> None:
    assert match(pushed(change), [APP], lambda _: False).told == (((APP, change),) if told else ())


def test_only_exact_branch_names_are_polled() -> None:
    assert watched_branches(APP) == ("main",)
