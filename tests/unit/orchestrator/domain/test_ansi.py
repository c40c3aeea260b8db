"""Log lines for readers without a terminal."""

import json

import pytest

from orchestrator.domain.ansi import inert, plain, readings


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plain text", "plain text"),
        ("\x1b[1;31merror\x1b[0m: no", "error: no"),
        ("\x1b[38;2;1;2;3mcolour\x1b[m", "colour"),
        ("\x1b[2K\x1b[1Gdone", "done"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Btext", "text"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("windows\r", "windows"),
        ("a\tb\x00c\x08d", "a\tbcd"),
        ("한국어 \x1b[32m완료\x1b[0m", "한국어 완료"),
        ("an end \x1b", "an end "),
        ("a\x85b\x9bc\xa0d", "abc\xa0d"),
        ("a \u202egnorts\u202c b \u2067c\u2069", "a gnorts b c"),
    ],
)
def test_escape_sequences_are_taken_out(line: str, expected: str) -> None:
    assert plain(line) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain \x1b[31m", r'"plain \u001b[31m"'),
        ("한국어 \u00a0\u00e4", '"한국어 \u00a0\u00e4"'),
        ("a\x7f\x85\x9b31m", r'"a\u007f\u0085\u009b31m"'),
        ("\u2028\u202e\u2066\u2069", r'"\u2028\u202e\u2066\u2069"'),
    ],
)
def test_json_says_the_same_without_what_a_terminal_obeys(text: str, expected: str) -> None:
    written = inert(json.dumps(text, ensure_ascii=False))
    assert written == expected
    assert json.loads(written) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", []),
        ("se\x1b[31mcr\x1b[0met", ["secret", "secret", "secret"]),
        ("se\rcret", ["se\rcret", "secret", "secret"]),
        ("sex\bcret", ["sexcret", "sexcret", "secret"]),
    ],
)
def test_a_text_is_read_in_each_way_in_which_it_may_be_shown(text: str, expected: list[str]) -> None:
    assert list(readings(text)) == expected
