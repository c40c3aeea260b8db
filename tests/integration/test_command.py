"""The ``pilotage`` command as a process: what is loaded for it, completion, Ctrl-C, and a reader that goes away."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from orchestrator.cli import COMMANDS
from orchestrator.cli.errors import MEANINGS
from tests.support.commands import RUN_URL
from tests.support.contracts import ROOT
from tests.support.fake_api import FakeApi, fake_api, stage
from tests.support.fake_api import run as api_run

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


def silent(api: FakeApi) -> Iterator[bytes]:
    yield b": hello\n\n"
    api.over.wait(20)


def test_ctrl_c_detaches_with_130_and_says_how_to_come_back() -> None:
    # What a shell starts in the background ignores Ctrl-C, and so would all that it starts: these tests too.
    watch = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from orchestrator.cli import main; main()"
    )
    with fake_api() as api:
        api.runs[42] = api_run(stages=[stage("build", "running")])
        api.streams = [lambda: silent(api)]
        process = subprocess.Popen(
            [sys.executable, "-c", watch, "run", "watch", "42", "--url", api.url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert first.endswith("build running\n")
    assert out.splitlines()[-1] == RUN_URL
    assert err == "Detached; run 42 goes on; see it again with `pilotage run watch 42`.\n"
