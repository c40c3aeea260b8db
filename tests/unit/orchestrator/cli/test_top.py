"""The ``pilotage`` command itself: the table of commands, the help, and what is loaded for it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.cli import COMMANDS, Entry, command, load, main
from orchestrator.cli.errors import MEANINGS, CliError, Code
from orchestrator.cli.output import clean, one_line, width

ROOT = Path(__file__).parents[4]
LARGE = ("sqlalchemy", "alembic", "celery", "flask", "docker", "git", "requests", "pydantic", "rich", "yaml")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_help_text_loads_none_of_the_large_libraries() -> None:
    code = (
        "import sys; from orchestrator.cli import command\n"
        "command().main(['--help'], prog_name='pilotage', standalone_mode=False)\n"
        f"loaded = sorted(set({LARGE!r}) & set(sys.modules))\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )

    done = run("-c", code)

    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name, entry in COMMANDS.items() if not entry.hidden)


def test_the_module_runs_as_a_program_and_explains_its_exit_codes() -> None:
    done = run("-m", "orchestrator.cli", "--help")

    assert done.returncode == 0
    assert all(f"{code.value:<4} {meaning}" in done.stdout for code, meaning in MEANINGS.items())


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


@pytest.mark.parametrize(
    ("words", "expected"),
    [("pilotage ru", "run"), ("pilotage run sta", "start"), ("pilotage run list --sta", "--state")],
)
def test_a_shell_completes_commands_and_options(words: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from orchestrator.cli import main; main()"],
        cwd=ROOT,
        env={
            "PYTHONPATH": str(ROOT),
            "_PILOTAGE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert expected in done.stdout.split()


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    script = "import sys\nfrom orchestrator.cli.output import say\nfor _ in range(100000): say('x' * 100)"
    reader = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" | head -n 1; exit', sys.executable, script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (reader.stdout.strip(), reader.stderr) == ("x" * 100, "")


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
