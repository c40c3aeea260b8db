"""How the pages word times, durations, states and commits."""

from datetime import timedelta

import pytest

from orchestrator.domain.runs import RunState, StageState
from orchestrator.services.views import rfc3339
from orchestrator.web import words
from tests.support.factories import NOW


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "just now"),
        (-5, "just now"),
        (50, "1 min ago"),
        (600, "10 min ago"),
        (7200, "2 h ago"),
        (3 * 86400, "3 d ago"),
        (30 * 86400, "2026-10-25"),
    ],
)
def test_how_long_ago(seconds: float, expected: str) -> None:
    assert words.ago(rfc3339(NOW - timedelta(seconds=seconds)), NOW) == expected


def test_nothing_is_worded_as_nothing() -> None:
    assert (words.ago(None, NOW), words.took(None), words.moment(None)) == ("", "", "")


def test_a_moment_says_its_zone() -> None:
    assert words.moment(rfc3339(NOW)) == "2026-11-24 09:00:00 UTC"


def test_every_state_has_a_sign_of_its_own() -> None:
    states = {state.value for state in (*RunState, *StageState)}
    assert len({words.glyph(state) for state in states}) == len(states)
    assert words.glyph("something new") == "?"


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("failed", "degraded", "failed"),
        ("failed", "timed_out", "timed out"),
        ("failed", "build_timeout", "timed out"),
        ("cancelled", "superseded", "superseded"),
        ("skipped", "not_reached", "not reached"),
    ],
)
def test_some_reasons_are_worded_as_states(state: str, reason: str, expected: str) -> None:
    assert words.state({"state": state, "reason": reason}) == expected


def test_commits_digests_and_refs_are_shortened() -> None:
    assert words.short("a" * 40) == "a" * 12
    assert words.short("sha256:" + "b" * 64) == "sha256:" + "b" * 12
    assert words.ref_name("refs/heads/feature/x") == "feature/x"
    assert words.ref_name("refs/tags/v1") == "v1"
    assert words.ref_name("main") == "main"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Approve it with `pilotage run approve 5`.", "Approve it with <code>pilotage run approve 5</code>."),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("it`s 5 < 6 & <b>", "it`s 5 &lt; 6 &amp; &lt;b&gt;"),
        ("`<script>`", "<code>&lt;script&gt;</code>"),
        ("``", "``"),
    ],
)
def test_what_is_between_backticks_is_code_and_nothing_becomes_markup(said: str, shown: str) -> None:
    assert words.coded(said) == shown


@pytest.mark.parametrize(
    ("text", "sought", "shown"),
    [
        ("no fault", "FAULT", "no <mark>fault</mark>"),
        ("a <b> a", "a", "<mark>a</mark> &lt;b&gt; <mark>a</mark>"),
        ("1 < 2", "<", "1 <mark>&lt;</mark> 2"),
        ("a.b axb", "a.b", "<mark>a.b</mark> axb"),
        ("nothing", "x", "nothing"),
    ],
)
def test_what_is_looked_for_is_marked_and_all_else_stays_plain(text: str, sought: str, shown: str) -> None:
    assert words.marked(text, sought) == shown


def test_of_a_line_of_dots_the_first_ones_are_marked() -> None:
    shown = words.marked("." * 4000, ".")
    assert shown.count("<mark>") == words.MARKS
    assert shown.striptags() == "." * 4000
