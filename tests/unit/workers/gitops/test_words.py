"""Foreign text on one line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.gitops.words import LIMIT, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("  two\n lines\t and \r\n blanks ", "two lines and blanks"),
        ("red \x1b[31mtext\x00\x7f\x85", "red [31mtext"),
        ("user\u202etxt.exe\u2066", "usertxt.exe"),
        ("한글 \U0001f469\u200d\U0001f680", "한글 \U0001f469\u200d\U0001f680"),
        ("lone \ud83d surrogate", "lone surrogate"),
        (None, ""),
        (7, ""),
        (["x"], ""),
    ],
)
def test_what_people_cannot_read_goes(text, line):
    assert one_line(text) == line


def test_a_long_text_keeps_its_beginning_and_its_end():
    line = one_line("ComparisonError: " + "rpc error: " * 100 + "yaml: line 23: did not find expected key")
    assert line.startswith("ComparisonError: rpc error")
    assert line.endswith("yaml: line 23: did not find expected key")
    assert " … " in line
    assert len(line) <= LIMIT


@given(st.text(max_size=800), st.integers(min_value=20, max_value=300))
def test_any_text_fits_and_is_harmless(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert not {unicodedata.category(char) for char in line} & {"Cc", "Cs"}
    assert line == line.strip()
