"""Questions that may stay without an answer, and how many of them there are at a time."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.services.readiness import AGAIN, MOST, Question
from tests.support.waiting import until


class Silent:
    """Answers each question with its number, but only when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.speak = threading.Event()

    def __call__(self) -> int:
        self.asked += 1
        mine = self.asked
        self.speak.wait(60)
        return mine


class Clock:
    """Stands still until it is set."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def silent():
    one = Silent()
    yield one
    one.speak.set()


def question(ask: Callable[[], int], clock: Clock | None = None, patience: float = 0.001) -> Question[int]:
    return Question(ask, Reason.DATABASE_UNAVAILABLE, patience=patience, steady=clock or Clock())


def probe(ask: Callable[[], int]) -> None:
    with pytest.raises(Unavailable, match=r"no answer in 0\.001 s") as caught:
        ask()
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE


def answer(ask: Callable[[], int]) -> int:
    """Return the answer, or 0 where none came within a thousandth of a second."""
    with suppress(Unavailable):
        return ask()
    return 0


def test_an_answer_is_passed_on_and_each_question_is_asked_anew() -> None:
    answers = iter([1, 2])
    ask = question(lambda: next(answers), patience=60.0)
    assert [ask(), ask()] == [1, 2]


def test_what_asking_raises_is_passed_on() -> None:
    def away() -> int:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "connection refused")

    with pytest.raises(Unavailable, match="connection refused"):
        question(away, patience=60.0)()


def test_many_probes_of_who_is_silent_ask_once(silent: Silent) -> None:
    ask = question(silent)
    for _ in range(100):
        probe(ask)
    until(lambda: silent.asked, "the question")
    assert silent.asked == 1
    silent.speak.set()
    until(lambda: answer(ask) > 1, "a new question after the answer to the old one")


def test_who_comes_while_a_question_is_out_hears_its_answer(silent: Silent) -> None:
    ask, heard = question(silent, patience=60.0), list[int]()
    threads = [threading.Thread(target=lambda: heard.append(ask())) for _ in range(5)]
    threads[0].start()
    until(lambda: silent.asked == 1, "the first question")
    for thread in threads[1:]:
        thread.start()
    silent.speak.set()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 5
    assert 1 in heard


def test_who_hangs_is_asked_again_after_a_while_and_not_without_end(silent: Silent) -> None:
    clock = Clock()
    ask = question(silent, clock)
    for turn in range(1, 10):
        probe(ask)
        probe(ask)
        until(lambda: silent.asked == min(turn, MOST), f"question {turn}")  # noqa: B023
        clock.seconds += AGAIN
    assert silent.asked == MOST


def test_a_second_question_that_is_answered_is_enough(silent: Silent) -> None:
    clock, respondents = Clock(), iter([silent])

    def any_of_them() -> int:
        return next(respondents, lambda: 7)()

    ask = question(any_of_them, clock)
    probe(ask)
    until(lambda: silent.asked, "the first question")
    clock.seconds += AGAIN
    until(lambda: _answer(ask) == 7, "the answer to the second question")


def _answer(ask: Callable[[], int]) -> int:
    try:
        return ask()
    except Unavailable:
        return 0
