"""What the commonest start-up errors say: one sentence with cause and next step, the exit code, and no traceback."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.errors import Code
from orchestrator.cli.product import free_address
from tests.support.configs import ENVIRON, VALID
from tests.support.contracts import ROOT
from tests.support.fake_api import fake_api
from tests.support.loopback import Reply
from tests.support.offline import configuration

SERVING = (("migrate",), ("web",), ("webhooks",), ("worker",), ("relay",))


def pilotage(
    folder: Path, *words: str, out: int = subprocess.PIPE, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder whose configuration may have a section ``server`` from DATABASE and BROKER."""
    file = folder / "pilotage.yaml"
    server = "\nserver: {database: '${DATABASE:-}', broker: '${BROKER:-}', bind: '${BIND:-127.0.0.1:8480}'}\n"
    file.write_text(VALID.replace("example.com", "invalid") + server, encoding="utf-8")
    whole = {
        **os.environ,
        **ENVIRON,
        "PILOTAGE_CONFIG": str(file),
        "PILOTAGE_STATE_DIR": str(folder / "state"),
        **environ,
    }
    command = [sys.executable, "-m", "orchestrator.cli", *words]
    return subprocess.run(
        command, cwd=ROOT, env=whole, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )


def nobody_there() -> str:
    return f"postgresql://pilotage:top-secret@{free_address()}/pilotage"


@pytest.mark.parametrize("command", [("token", "list"), ("token", "create", "ci"), *SERVING, ("up",)])
def test_a_database_that_is_down_is_one_sentence(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = pilotage(tmp_path, *command, DATABASE=nobody_there(), BROKER="redis://127.0.0.1:1", BIND=free_address())

    assert done.returncode == Code.UNREACHABLE
    assert done.stderr.startswith("pilotage: The database did not answer (")
    assert done.stderr.endswith("). Start it or check `server.database`.\n")
    assert "Traceback" not in done.stdout + done.stderr
    assert "top-secret" not in done.stdout + done.stderr
    if command in SERVING:  # a container has nobody at its terminal: the log has it too, in one line
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["event"] for line in lines] == ["process started", "process not started"]
        assert f"pilotage: {lines[-1]['detail']}\n" == done.stderr
        assert "err_stack" not in lines[-1]


@pytest.mark.parametrize("command", [("token", "create", "ci"), ("up",), ("migrate",)])
def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "state"

    done = pilotage(tmp_path, *command, PILOTAGE_STATE_DIR=str(folder))

    assert done.returncode == Code.FAILED
    assert done.stderr == (
        f"pilotage: The state folder {folder} cannot be made ({folder}: Not a directory);"
        " make it, or set another server.state_dir (PILOTAGE_STATE_DIR).\n"
    )


def test_doctor_names_such_a_folder_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = pilotage(tmp_path, "doctor", PILOTAGE_STATE_DIR=str(tmp_path / "file" / "state"))

    assert done.returncode == Code.FAILED
    assert f"FAIL  state folder: The state folder {tmp_path}/file/state cannot be made" in done.stdout
    assert "plate-web/stg: values file and application" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_doctor_names_the_file_of_a_doubt(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = pilotage(tmp_path, "doctor", PILOTAGE_STATE_DIR=str(tmp_path / "file" / "state"), GITHUB_SECRET="short")

    assert f"note  {tmp_path}/pilotage.yaml:5: webhooks.github.secret: is short" in done.stdout


def test_doctor_answers_in_json_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = pilotage(
        tmp_path, "doctor", "-o", "json", PILOTAGE_STATE_DIR=str(tmp_path / "file" / "state"), GITHUB_SECRET="short"
    )

    answer = json.loads(done.stdout)
    assert (done.returncode, answer["well"]) == (Code.FAILED, False)
    found = {item["name"]: item for item in answer["items"]}
    assert found["state folder"]["result"] == "fail"
    assert found["github"]["detail"].endswith("/webhooks/github")
    assert any("webhooks.github.secret: is short" in item["detail"] for item in answer["items"])
    assert found["Argo CD"]["next_steps"]


@pytest.mark.parametrize("words", [("run", "list"), ("run", "list", "-o", "json")])
def test_an_answer_that_cannot_be_written_is_one_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    with fake_api() as api, open("/dev/full", "w") as full:
        api.answers["GET /runs"] = Reply(body={"items": [{"id": 1, "state": "queued"}], "next": None})
        done = pilotage(tmp_path, *words, "--url", api.url, out=full.fileno())

    assert (done.returncode, done.stderr) == (
        Code.FAILED,
        "pilotage: The answer cannot be written (No space left on device).\n",
    )


@pytest.mark.parametrize(("streams", "told"), [
    (">&-", "stderr"),
    ("2>&-", "stdout"),
    ("<&- >&-", "stderr"),
    (">/dev/full", "stderr"),
    ("2>/dev/full", "stdout"),
])  # fmt: skip
def test_up_starts_whose_standard_streams_are_closed_or_full(tmp_path: Path, streams: str, told: str) -> None:
    file = tmp_path / "pilotage.yaml"
    file.write_text(configuration(free_address()), encoding="utf-8")
    command = ["sh", "-c", f'exec "$0" -m orchestrator.cli up --config "$1" {streams}', sys.executable, str(file)]
    sign = {"stderr": b"Pilotage answers on ", "stdout": b'"service":"web"'}[told]
    pipe = {told: subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | ENVIRON, **pipe) as up:  # type: ignore[call-overload]
        lines = up.stderr or up.stdout
        assert any(sign in line for line in lines)
        up.terminate()
        lines.read()
    assert up.returncode == 0


def test_without_any_standard_stream_a_command_has_its_exit_code() -> None:
    command = '"$0" -m orchestrator.cli run list --url http://127.0.0.1:1 <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == Code.UNREACHABLE


def test_the_operating_system_s_no_is_one_sentence(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = pilotage(tmp_path, "--help", out=full.fileno())

    assert done.returncode == Code.FAILED
    assert done.stderr.startswith("pilotage: No space left on device.")
    assert "Traceback" not in done.stderr


def test_a_child_that_finds_a_service_down_says_so_in_one_line() -> None:
    script = (
        "import os\n"
        "from orchestrator import journal\n"
        "from orchestrator.cli.supervise import _be_child\n"
        "from orchestrator.domain.errors import Unavailable\n"
        "from orchestrator.domain.reasons import Reason\n"
        "def run(): raise Unavailable(Reason.BROKER_UNAVAILABLE, 'refused')\n"
        "journal.configure('web')\n"
        "_be_child(run, os.getppid())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    (line,) = (json.loads(line) for line in done.stdout.splitlines())
    assert (done.returncode, line["event"], "err_stack" in line) == (1, "process broke", False)
    assert line["detail"] == "The broker did not answer (refused). Start Redis or check `server.broker`."


def test_tokens_are_made_without_the_secrets_of_the_service(tmp_path: Path) -> None:
    assert pilotage(tmp_path, "migrate").returncode == Code.SUCCEEDED
    command = [sys.executable, "-m", "orchestrator.cli", "token", "create", "ci"]
    environ = {"PILOTAGE_CONFIG": str(tmp_path / "pilotage.yaml"), "PILOTAGE_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (Code.SUCCEEDED, "")
    assert done.stdout.startswith("plt_")


@pytest.mark.parametrize("words", [("up",), ("migrate",), ("token", "list")])
def test_an_older_program_leaves_the_database_of_a_newer_one_alone(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert pilotage(tmp_path, "migrate").returncode == Code.SUCCEEDED
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "pilotage.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    done = pilotage(tmp_path, *words)
    assert done.returncode == Code.FAILED
    assert "pilotage: A newer version of Pilotage has changed the database (it is at schema 9999, " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("words", [("create", "ci", "--days", "99999999"), ("revoke", f"{2**64}")])
def test_numbers_that_no_calendar_and_no_table_has_are_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    pilotage(tmp_path, "migrate")
    done = pilotage(tmp_path, "token", *words)
    assert done.returncode == Code.USAGE
    assert "Error: Invalid value" in done.stderr
    assert pilotage(tmp_path, "token", "list").stderr == "No tokens.\n"
