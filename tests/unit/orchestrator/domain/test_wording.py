"""The one sentence why: text, evidence, and nothing twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.reasons import CATALOGUE, Reason
from orchestrator.domain.runs import RunState, StageName, StageState, Trigger
from orchestrator.domain.wording import (
    MAX_LENGTH,
    Worded,
    english,
    joined,
    next_step,
    plainly,
    said,
    sentence,
    shorten,
    who_acts,
    worded,
)
from orchestrator.engine.taking_back import taken_back
from tests.support.factories import make_run


@pytest.mark.parametrize(
    ("reason", "detail", "expected"),
    [
        (Reason.DONE, "", "The stage reached its aim."),
        (Reason.DONE, "Committed as 0123456789ab", "Committed as 0123456789ab."),
        (Reason.HEALTHY, "", "The commit is live and healthy."),
        (Reason.HEALTHY, "healthy", "The commit is live and healthy."),
        (Reason.BUILD_FAILED, "exit 3", "The image build failed: exit 3."),
        (Reason.BUILD_FAILED, "exit 3.", "The image build failed: exit 3."),
        (Reason.BUILD_FAILED, "two\n  lines", "The image build failed: two lines."),
        (Reason.AWAITING_APPROVAL, "waits for approval", "The run waits for approval."),
        (Reason.ON_HOLD, "on hold: freeze", "The environment is on hold: freeze."),
        (Reason.SUPERSEDED, "superseded by run 44", "Superseded by run 44."),
        (Reason.CANCELLED, "cancelled", "A person cancelled the run."),
        (Reason.CANCELLED, "cancelled by mina", "Cancelled by mina."),
        (
            Reason.DEGRADED,
            "pod web-1: OOMKilled",
            "The application is unhealthy with this commit: pod web-1: OOMKilled.",
        ),
    ],
)
def test_evidence_follows_the_text_unless_it_says_the_same(reason: Reason, detail: str, expected: str) -> None:
    assert sentence(reason, detail) == expected


def test_part_of_a_word_is_not_a_repetition() -> None:
    assert sentence(Reason.BUILD_FAILED, "age build fail") == "The image build failed: age build fail."


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.AWAITING_APPROVAL, "Approve it with `pilotage run approve 7`."),
        (Reason.ON_HOLD, "Release it with `pilotage app release plate-web stg`."),
        (
            Reason.DEGRADED,
            (
                "Read the evidence, correct and push; or go back, if anything was proven there before, with"
                " `pilotage app rollback plate-web stg`."
            ),
        ),
        (Reason.BUILD_FAILED, "Read the end of the build log."),
    ],
)
def test_what_to_do_next_can_be_typed_as_it_is(reason: Reason, expected: str) -> None:
    assert next_step(make_run(reason=reason)) == expected


def test_a_deploy_that_is_taken_back_names_the_run_that_goes_back_and_the_hold() -> None:
    failed = make_run(StageName.HEALTH, StageState.FAILED, state=RunState.FAILED, reason=Reason.DEGRADED)
    release = "the environment is on hold until `pilotage app release plate-web stg`."
    assert next_step(taken_back(failed, 8)) == f"Run 8 goes back. Correct and push; {release}"
    back = make_run(trigger=Trigger.ROLLBACK, actor="run 7", state=RunState.SUCCEEDED, reason=Reason.HEALTHY)
    assert next_step(back) == f"Correct what run 7 brought and push; {release}"
    assert who_acts(back) == "developer"
    assert (next_step(replace(back, actor="mina")), who_acts(replace(back, actor="mina"))) == (
        "Nothing to do.",
        "nobody",
    )
    assert next_step(replace(back, state=RunState.RUNNING, reason=Reason.RUNNING)) == "Nothing to do."


@pytest.mark.parametrize(
    ("at", "state", "reason", "begins", "left", "who"),
    [
        (
            StageName.BUILD,
            RunState.CANCELLED,
            Reason.CANCELLED,
            "",
            "what run 7 brought is still in Git",
            "developer",
        ),
        (StageName.HEALTH, RunState.CANCELLED, Reason.CANCELLED, "", "the image before is in Git", "developer"),
        (StageName.SYNC, RunState.FAILED, Reason.DEGRADED, "Read the evidence", "the image before is", "developer"),
        (
            StageName.CHECK,
            RunState.FAILED,
            Reason.ARGOCD_UNAVAILABLE,
            "Check that its",
            "what run 7 brought",
            "operator",
        ),
    ],
)
def test_a_way_back_that_came_to_nothing_says_what_is_left_and_how_to_get_out(
    at: StageName, state: RunState, reason: Reason, begins: str, left: str, who: str
) -> None:
    ended = StageState.FAILED if state is RunState.FAILED else StageState.CANCELLED
    back = make_run(at, ended, id=8, trigger=Trigger.ROLLBACK, actor="run 7", state=state, reason=reason)
    step = next_step(back)
    assert step.startswith(begins)
    assert f"The environment is on hold and {left}" in step
    assert "`pilotage run rerun 8` goes back once more" in step
    assert step.endswith("`pilotage app release plate-web stg` lets deploys go on.")
    assert who_acts(back) == who


def test_a_sentence_is_bounded() -> None:
    told = sentence(Reason.BUILD_FAILED, "x" * 10_000)
    assert len(told) <= MAX_LENGTH
    assert told.endswith("…")


@pytest.mark.parametrize("reason", list(CATALOGUE))
def test_every_reason_reads_as_one_sentence(reason: Reason) -> None:
    says_itself = reason in (Reason.DONE, Reason.CANCELLED, Reason.SUPERSEDED)
    assert sentence(reason, "evidence").endswith("Evidence." if says_itself else ": evidence.")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("as it is", "as it is"),
        ("a\nb\t c ", "a b c"),
        ("one two three four five six seven", "one two … six seven"),
        ("onetwothreefourfivesix", "…"),
        ("one twothreefourfivesixseven", "one …"),
        ("onetwothreefourfivesixsev end", "… end"),
    ],
)
def test_what_is_too_long_loses_whole_words_of_its_middle(text: str, short: str) -> None:
    assert shorten(text, 20) == short


@given(st.text("ab \n", max_size=80), st.integers(min_value=10, max_value=60))
def test_what_is_left_of_a_text_are_whole_words_of_its_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    begin, cut, end = short.partition("…")
    words = text.split()
    assert begin.split() == words[: len(begin.split())]
    assert not cut or end.split() == words[len(words) - len(end.split()) :]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Input should be a valid integer, unable to parse string as an integer", "must be a whole number"),
        ("Input should be greater than or equal to 1", "must be 1 or more"),
        ("Input should be less than or equal to 100", "must be 100 or less"),
        ("Value error, is no duration", "is no duration"),
        ("Field required", "Field required"),
    ],
)
def test_what_is_wrong_with_a_number_is_said_plainly(message: str, said: str) -> None:
    assert plainly(message) == said


KOREAN = {
    "The image build failed.": "이미지 빌드가 실패했습니다.",
    "A person cancelled the run.": "사람이 실행을 취소했습니다.",
    "The environment is on hold.": "환경이 보류 중입니다.",
}


@pytest.mark.parametrize(
    ("reason", "detail", "expected"),
    [
        (Reason.BUILD_FAILED, "", "이미지 빌드가 실패했습니다."),
        (Reason.BUILD_FAILED, "exit 3", "이미지 빌드가 실패했습니다: exit 3."),
        (Reason.ON_HOLD, "on hold: freeze", "환경이 보류 중입니다: freeze."),
        (Reason.CANCELLED, "cancelled by mina", "사람이 실행을 취소했습니다: cancelled by mina."),
        (Reason.CANCELLED, "cancelled", "사람이 실행을 취소했습니다."),
        (Reason.DONE, "committed as 0123456789ab", "Committed as 0123456789ab."),
        (Reason.SUPERSEDED, "superseded by run 44", "Superseded by run 44."),
    ],
)
def test_in_another_language_the_evidence_stays_as_it_is(reason: Reason, detail: str, expected: str) -> None:
    assert sentence(reason, detail, lambda text: KOREAN.get(text, text)) == expected


def still() -> Worded:
    return worded("run {run} is still {state}", run=7, state=worded("queued"))


@pytest.mark.parametrize(
    ("make", "in_english", "in_korean"),
    [
        (still, "run 7 is still queued", "실행 7: 대기"),
        (lambda: worded("{not a name}"), "{not a name}", "{not a name}"),
        (lambda: worded("it is {what}", what="{queued}"), "it is {queued}", "it is {queued}"),
        (
            lambda: joined(worded("queued"), still()),
            "queued run 7 is still queued",
            "대기 실행 7: 대기",
        ),
        (lambda: "queued", "queued", "queued"),
        (lambda: 7, "7", "7"),
    ],
)
def test_a_text_of_ours_is_said_in_the_readers_language_with_all_that_fills_it(
    make: Callable[[], object], in_english: str, in_korean: str
) -> None:
    korean = {"run {run} is still {state}": "실행 {run}: {state}", "queued": "대기"}
    text = make()
    assert str(text) == in_english
    assert str(said(text, english)) == in_english
    assert str(said(text, lambda form: korean.get(form, form))) == in_korean
