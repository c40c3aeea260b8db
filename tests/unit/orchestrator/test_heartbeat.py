"""Heartbeat files, and the probe that reads them, by its short way and by the command's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import heartbeat
from orchestrator.__main__ import main
from orchestrator.heartbeat import Heartbeat, age, file_of, found


def beat(folder: Path, seconds_ago: float) -> None:
    file = file_of(folder, "relay")
    file.touch()
    then = file.stat().st_mtime - seconds_ago
    os.utime(file, (then, then))


@pytest.mark.parametrize(
    ("seconds_ago", "options", "code"),
    [
        (0, (), 0),
        (40, (), 0),
        (heartbeat.MAX_AGE + 10, (), 1),
        (40, ("--max-age", "30"), 1),
        (600, ("--max-age", "900"), 0),
        (None, (), 1),
        (0, ("--max-age", "soon"), 2),
        (0, ("--colour",), 2),
    ],
)
def test_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds_ago: float | None, options: tuple[str, ...], code: int
) -> None:
    if seconds_ago is not None:
        beat(tmp_path, seconds_ago)

    def ended(*arguments: str) -> object:
        with pytest.raises(SystemExit) as end:
            main(["alive", "relay", *arguments])
        return end.value.code or 0

    assert ended("--state-dir", str(tmp_path), *options) == code
    monkeypatch.setenv("PILOTAGE_STATE_DIR", str(tmp_path))
    assert ended(*options) == code
    monkeypatch.setattr(heartbeat, "found", lambda _: False)  # the long way says the same
    assert ended(*options) == code


def test_the_probe_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beat(tmp_path, 300)
    for arguments in (["relay"], ["worker-build"], ["web"]):
        with pytest.raises(SystemExit):
            main(["alive", *arguments, "--state-dir", str(tmp_path)])

    assert capsys.readouterr().err.splitlines() == [
        "pilotage: relay is stuck: its last heartbeat is 300 s old.",
        (
            f"pilotage: worker-build has shown no sign of life: there is no {tmp_path}/worker-build.alive;"
            " start it, or name the state folder with --state-dir."
        ),
        "pilotage: There is no service 'web'; choose one of relay, worker-build, worker-deploy.",
    ]


def test_a_probe_that_finds_a_heartbeat_loads_next_to_nothing(tmp_path: Path) -> None:
    beat(tmp_path, 0)
    script = "import sys; from orchestrator.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"
    command = [sys.executable, "-c", script, "alive", "relay", "--state-dir", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert not {"typer", "pydantic", "logging", "argparse"} & set(ended.stdout.split())


def test_a_heartbeat_is_written_now_and_then_however_often_the_loop_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now)
    file = file_of(tmp_path, "relay")
    touch = Heartbeat(file)
    written = []
    for turn in (0.0, 1.0, 4.9, 5.0, 5.1, 10.0):
        now = 1000.0 + turn
        file.unlink(missing_ok=True)
        touch()
        written.append(file.exists())

    assert written == [True, False, False, True, False, True]
    assert age(tmp_path / "nothing") is None
    assert not found(["relay"])
