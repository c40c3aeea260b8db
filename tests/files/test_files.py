"""The files that other programs read: YAML and Dockerfiles, by the linters of their kind."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Its `${VAR}` are taken out before YAML reads it, so it need not be YAML; its own reader has tests.
NOT_YAML = {"pilotage.example.yaml"}
YAML = sorted(
    file.relative_to(ROOT).as_posix()
    for pattern in ("*.yaml", "*.yml", "charts/**/*.yaml", "charts/**/*.yml", "docs/**/*.yaml")
    for file in ROOT.glob(pattern)
    if "templates" not in file.parts and file.name not in NOT_YAML
)
DOCKERFILES = sorted(file.name for file in ROOT.glob("Dockerfile*"))


def _said(*command: str) -> str:
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return answer.stdout + answer.stderr


@pytest.mark.skipif(not YAML, reason="there are none")
def test_yaml_files_are_written_well() -> None:
    assert _said(".venv/bin/yamllint", "--strict", "--config-file", ".ci/yamllint.yaml", *YAML) == ""


@pytest.mark.skipif(not DOCKERFILES, reason="there is no Dockerfile")
def test_dockerfiles_are_written_well() -> None:
    if not (ROOT / ".venv/bin/hadolint").exists() and shutil.which("hadolint") is None:
        pytest.skip("no hadolint for this machine")
    # Debian's packages are not pinned (DL3008): a pinned one is gone from the archive with the next security update.
    assert _said(".venv/bin/hadolint", "--ignore", "DL3008", *DOCKERFILES) == ""
