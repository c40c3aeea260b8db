"""A class name means one thing, wherever in the product it is read."""

import ast
from collections import defaultdict

from tests.support.journals import PACKAGES, ROOT

SECTION = {"orchestrator/config", "orchestrator/domain"}
"""A section of ``pilotage.yaml`` as it is written there, and the value that the rest of the product works with."""
SHARED = {
    "App": SECTION,
    "ArgoCD": SECTION,
    "Author": SECTION,
    "Build": SECTION,
    "Environment": SECTION,
    "Gitops": SECTION,
    "Hook": SECTION,
    "Registry": SECTION,
    "Scan": SECTION,
    "Signing": {"orchestrator/config", "workers/clients"},  # the section, and what Git needs of it
}
"""The names that stand for one concept in two folders."""


def folders_by_name() -> dict[str, list[str]]:
    """Return, for each public class name, the folder of every class that has it."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(file.parent.relative_to(ROOT).as_posix())
    return found


def test_no_two_classes_share_a_name() -> None:
    shared = {name: sorted(folders) for name, folders in folders_by_name().items() if len(folders) > 1}

    assert shared == {name: sorted(folders) for name, folders in SHARED.items()}
