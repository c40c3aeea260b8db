"""Titles of source commits in the GitOps repository: no forge and no tracker acts on one, and all read as before."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.domain.markers import skip_marker
from workers.gitops.titles import JOINER, filled_in, inert

_KEY = r"[A-Z][A-Z0-9_]+-\d+"
_NUMBER = r"(?:[\w./-]*[#!&]\d+|GH-\d+|https?://\S+/\d+)"
ACTS = {
    "closing words of GitHub, Gitea and Bitbucket": rf"(?i)(?:clos|fix|resolv|reopen)\w*:? +(?:issue )?{_NUMBER}",
    "closing words of GitLab": rf"(?i)(?:clos|fix|resolv|implement)\w*:? +(?:issues? +)?(?:{_NUMBER}|{_KEY})",
    "words of Bitbucket": r"(?i)\b(?:issue|bug|ticket)s? +#?\d+",
    "references": rf"{_NUMBER}|{_KEY}",
    "people": r"@\w",
    "smart commits of Jira": r"#[a-z]",
    "commands of GitLab": r"(?m)^\s*/\w",
    "skip markers": r"(?i)\[(?:ci[ _-]skip|skip[ _-]ci|no ci|skip \w+|\w+ skip)\]|\*\*\*NO_CI\*\*\*",
    "trailers": r"(?im)^\s*(?:[a-z]+(?:-[a-z]+)*-by|skip-checks|change-id|BREAKING[ -]CHANGE) *:",
}
PIECES = (
    "Closes", "fix", "Resolves:", "#", "#12", "GH-7", "gh-7", "!3", "&4", "@mina", "acme/web#5", "PROJ-12", "issue 9",
    "#close", "/tag v1", "/", "[skip ci]", "[ci-skip]", "[", "]", "***NO_CI***", "Co-authored-by: M <m@x.y>", "-by:",
    "Signed-off-by :", "skip-checks: true", "BREAKING CHANGE:", "https://git.example.com/a/b/issues/12", "수정", "12",
    " ", ":", "-", "*", "x", "Add", "\n", JOINER,
)  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)


def acting(text: str) -> list[str]:
    return [what for what, form in ACTS.items() if re.search(form, text)]


@given(TEXT)
@example("Add it\nCo-authored-by: M <m@x.y>")
def test_no_title_acts_and_each_reads_the_same(title: str) -> None:
    told = inert(title)
    assert acting(told) == []
    assert skip_marker(told) == ""
    assert told.replace(JOINER, "") == title.replace(JOINER, "")
    assert inert(told) == told


@given(TEXT, st.sampled_from(["{x}", "to {x}", "#{x}", "GH-{x}", "@{x} {x}", "PROJ-{x}: {x}", "issue {x}"]))
def test_nothing_that_is_filled_in_acts(value: str, template: str) -> None:
    told = filled_in(template, x=value)
    assert [what for what in acting(told) if what not in acting(template)] == []
    assert told.replace(JOINER, "") == template.format(x=value.replace(JOINER, ""))


@pytest.mark.parametrize(
    "piece",
    [piece for piece in PIECES if acting(piece)],
)
def test_what_acts_is_changed(piece: str) -> None:
    assert JOINER in inert(piece)


@pytest.mark.parametrize(
    "title",
    ["Change the greeting", "fix(web): the menu", "feat!: pay by card", "인사말 변경", "Use sha-0123abc of v1.2-3",
     "C# & Go", "50% off!", "Keep 3 issues open"],
)  # fmt: skip
def test_an_ordinary_title_is_left_alone(title: str) -> None:
    assert inert(title) == title


def test_what_a_person_wrote_into_the_template_acts_as_it_is_meant_to() -> None:
    told = filled_in("[skip ci] {app}: {environment} to {tag} ({{x}})", app="web", environment="stg", tag="sha-012")
    assert told == "[skip ci] web: stg to sha-012 ({x})"
    assert filled_in("deploy #{run}", run=7) == f"deploy #{JOINER}7"
