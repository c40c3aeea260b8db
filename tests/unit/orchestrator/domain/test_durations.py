"""Lengths of time: read as people write them, written as people read them."""

import pytest

from orchestrator.domain.durations import apart, noted, seconds, short, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90.0), ("90s", 90.0), (" 10 m ", 600.0), ("1.5h", 5400.0), ("1d", 86400.0), ("0", 0.0)],
)
def test_a_length_of_time_is_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1w", "1h30m", "1e3", "nan"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a length of time"):
        seconds(text)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "0.0 s"),
        (4.16, "4.2 s"),
        (9.94, "9.9 s"),
        (9.97, "10 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.7, "1m00s"),
        (60, "1m00s"),
        (130.2, "2m10s"),
        (3599.7, "1h00m"),
        (3600, "1h00m"),
        (3965, "1h06m"),
        (90000, "25h00m"),
    ],
)
def test_a_length_of_time_is_written(length: float, expected: str) -> None:
    assert words(length) == expected


@pytest.mark.parametrize(
    ("length", "waited", "told", "text"),
    [
        (130, 0, 0, "2m10s"),
        (130, 4.9, 0, "2m10s"),
        (130, 5, 5, "2m05s, waited 5.0 s"),
        (2032, 1902, 1902, "2m10s, waited 31m42s"),
        (7, 7, 7, "0.0 s, waited 7.0 s"),
    ],
)
def test_a_wait_is_told_apart_from_work(length: float, waited: float, told: float, text: str) -> None:
    assert noted(waited) == told
    assert apart(length, waited) == text


@pytest.mark.parametrize(
    ("length", "text"), [(90 * 86400.0, "90d"), (5400.0, "90m"), (3600.0, "1h"), (45.0, "45s"), (0.0, "0s")]
)
def test_a_length_is_written_as_in_a_file(length: float, text: str) -> None:
    assert short(length) == text
    assert seconds(text) == length
