"""The ``pilotage`` command itself: the table of commands and the help."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.cli import COMMANDS, Entry, command, load, main
from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.output import clean, one_line, width
from orchestrator.cli.reference import command_line


def commands() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        try:
            found = load(name)
        except CliError:
            continue
        inner = getattr(found, "commands", None)
        if inner is None:
            yield name, found
        for sub_name, sub in (inner or {}).items():
            yield f"{name} {sub_name}", sub


def test_every_command_has_an_example() -> None:
    assert [name for name, found in commands() if "Example" not in (found.help or "")] == []


@pytest.mark.parametrize("group", ["", *(name for name in COMMANDS if hasattr(load(name), "commands"))])
def test_no_summary_is_cut(group: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*group.split(), "--help"])

    _, _, summaries = capsys.readouterr().out.partition("Commands:\n")
    assert summaries
    assert [line for line in summaries.splitlines() if line.endswith("...")] == []


@pytest.fixture(scope="module")
def reference() -> str:
    """The page of the commands, without blanks: its lines are longer than those of the help."""
    return "".join(command_line().split())


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_the_reference_has_what_help_prints(name: str, reference: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])

    said = "".join(capsys.readouterr().out.split())
    assert COMMANDS[name.split(maxsplit=1)[0]].hidden or said in reference


def test_a_command_that_is_not_installed_takes_nothing_else_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "gone", Entry("orchestrator.cli.no_such_module:app", "Gone."))
    monkeypatch.setitem(cli.COMMANDS, "half", Entry("orchestrator.cli.completion:no_such_command", "Half."))

    for name in ("gone", "half"):
        with pytest.raises(SystemExit) as ended:
            main([name])
        assert ended.value.code == Code.USAGE
        assert capsys.readouterr().err == f"pilotage: `pilotage {name}` is not part of this installation.\n"
    assert command().name is not None


def test_a_library_that_is_missing_is_not_taken_for_a_missing_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_command.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "broken", Entry("broken_command:app", "Broken."))

    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load("broken")


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"], ["run", "show", "x"]])
def test_wrong_use_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == Code.USAGE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", shell])
    script = capsys.readouterr().out

    assert "_PILOTAGE_COMPLETE" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=10)


def test_the_words_of_a_service_at_the_end_of_a_command_move_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = "Refused(Reason.ARGOCD_REFUSED, 'no \\x1b]0;title\\x07\\x1b[2Jright\\x9b31m')"
    source = f"""
        import typer
        from orchestrator.domain.errors import Refused
        from orchestrator.domain.reasons import Reason
        app = typer.Typer()
        @app.command()
        def look() -> None:
            raise {said}
    """
    (tmp_path / "refused_command.py").write_text(dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "refused", Entry("refused_command:app", "Refused."))

    with pytest.raises(SystemExit):
        main(["refused"])
    error = capsys.readouterr().err
    assert "(no right31m)" in error
    assert error.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x07\x08b\x9bc", "abc"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("한글 e\u0301", "한글 e\u0301"),
        (None, ""),
    ],
)
def test_control_characters_of_others_are_taken_out(text: object, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"), [("한글 이름", 6, "한글 …"), ("abcdef", 6, "abcdef"), ("a\n b", 0, "a b")]
)
def test_a_line_is_cut_by_columns(text: str, limit: int, expected: str) -> None:
    assert one_line(text, limit) == expected
    assert limit == 0 or width(one_line(text, limit)) <= limit
