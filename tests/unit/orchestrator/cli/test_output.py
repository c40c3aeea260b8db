"""Tables on terminals of every width: nothing is cut, and a pipe gets one line per row."""

import json

import pytest

from orchestrator.cli.output import say, say_json, table, warn, width, wrapped

HEAD = ("APP", "STATE", "WHY")
ROWS = [("plate-web", "failed", "A person cancelled the run."), ("plate-api", "succeeded", "")]


HOSTILE = "no \x1b]0;title\x07\x1b[2Ja\x9b31m\u202eb\n\t한글"
"""What a service may answer, or somebody may call a branch."""


def test_nothing_that_is_printed_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    warn(HOSTILE)
    assert capsys.readouterr() == ("no a31mb\n\t한글\n", "no a31mb\n\t한글\n")


def test_json_loses_nothing_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"ref": HOSTILE})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"ref": HOSTILE}
    assert "한글" in printed
    assert [sign for sign in printed if not sign.isprintable()] == ["\n"] * 3


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    return monkeypatch


def test_a_pipe_gets_one_line_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert table(HEAD, ROWS) == [
        "APP        STATE      WHY",
        "plate-web  failed     A person cancelled the run.",
        "plate-api  succeeded",
    ]


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            49,
            [
                "APP        STATE      WHY",
                "plate-web  failed     A person cancelled the run.",
                "plate-api  succeeded",
            ],
        ),
        (
            42,
            [
                "APP        STATE      WHY",
                "plate-web  failed     A person cancelled",
                "                      the run.",
                "plate-api  succeeded",
            ],
        ),
        (
            24,
            [
                "APP        STATE",
                "    WHY",
                "plate-web  failed",
                "    A person cancelled",
                "    the run.",
                "plate-api  succeeded",
            ],
        ),
        (
            19,
            [
                "APP    plate-web",
                "STATE  failed",
                "WHY    A person cancelled",
                "       the run.",
                "",
                "APP    plate-api",
                "STATE  succeeded",
                "",
            ],
        ),
    ],
)
def test_a_terminal_shows_the_whole_table(columns: int, lines: list[str], screen: pytest.MonkeyPatch) -> None:
    screen.setenv("COLUMNS", str(columns))
    assert table(HEAD, ROWS) == lines


@pytest.mark.parametrize("room", [1, 2, 5, 7, 80])
@pytest.mark.parametrize("text", ["", "한글 이름이 깁니다", "a bc sha256:0123456789 d", "CrashLoopBackOff"])
def test_lines_are_broken_by_columns_and_lose_nothing(text: str, room: int) -> None:
    lines = wrapped(text, room)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width(line) <= max(room, 2) for line in lines)
