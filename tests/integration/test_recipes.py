"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the source."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"<!-- recipe (\w+): (create|replace) ([\w./-]+)(?:: (.*?))? -->\n```\w+\n(.*?)```", re.DOTALL)
COPIED = ("orchestrator", "webhooks", "workers", "tests/contract", "tests/support", "pyproject.toml")
CHECKS = {
    "forge": ["tests/contract/test_forges.py", "-k", "acme or payloads_of_our_own"],
    "notifier": ["tests/contract/notifiers", "-k", "acme or defaults"],
    "stage": ["tests/contract/test_stages.py"],
}


def follow(recipe: str, folder: Path) -> None:
    """Do what the blocks of a recipe say; what is replaced must be there exactly once."""
    for name, act, path, old, block in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        file = folder / path
        if name != recipe:
            continue
        if act == "create":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block, encoding="utf-8")
            continue
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path}: {old!r}"
        file.write_text(text.replace(old, block.rstrip("\n")), encoding="utf-8")


def copy(folder: Path) -> None:
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "tests" / "__init__.py").touch()


@pytest.mark.parametrize("recipe", CHECKS)
def test_a_recipe_leads_to_something_that_passes_the_contract_tests(recipe: str, tmp_path: Path) -> None:
    copy(tmp_path)
    follow(recipe, tmp_path)

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *CHECKS[recipe]]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    least = {"forge": 10, "notifier": 6, "stage": 10}[recipe]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found[1]) >= least, done.stdout[-500:]
