"""The chart of Pilotage as its tests ask for it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.support.charts import CHARTS, Case, Document, documents, least, template

CHART = CHARTS / "pilotage"
LEAST = least(CHART)


def case(name: str) -> Case:
    """Return the case of ``ci/NAME.yaml``."""
    return Case(CHART, (*LEAST.values, CHART / f"ci/{name}.yaml"))


def render(tmp_path: Path, values: dict[str, Any] | None = None, base: Case = LEAST) -> list[Document]:
    """Render `base` with more values on top."""
    answer = template("helm4", _on_top(tmp_path, values, base))
    assert answer.returncode == 0, answer.stderr
    return documents(answer.stdout)


def refusal(tmp_path: Path, values: dict[str, Any], base: Case = LEAST) -> str:
    """Return what Helm says to values that it must refuse."""
    answer = template("helm4", _on_top(tmp_path, values, base))
    assert answer.returncode != 0
    return answer.stderr


def notes(tmp_path: Path, values: dict[str, Any] | None = None, base: Case = LEAST) -> str:
    """Return the notes that an installation prints. `helm template` leaves them out, so they become a resource."""
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy, dirs_exist_ok=True)
    text = (copy / "templates/NOTES.txt").read_text(encoding="utf-8")
    (copy / "templates/NOTES.txt").unlink()
    resource = '\nkind: Notes\ntext: {{ include "the.notes" . | toJson }}\n'
    (copy / "templates/notes.yaml").write_text(f'{{{{- define "the.notes" -}}}}{text}{{{{- end }}}}{resource}')
    found = _on_top(tmp_path, values, base)
    answer = template("helm4", Case(copy, found.values), "--show-only", "templates/notes.yaml")
    assert answer.returncode == 0, answer.stderr
    return str(documents(answer.stdout)[0]["text"])


def _on_top(tmp_path: Path, values: dict[str, Any] | None, base: Case) -> Case:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values or {}), encoding="utf-8")
    return Case(base.chart, (*base.values, file))


def named(found: list[Document], kind: str, name: str = "") -> Document:
    """Return the one resource of a kind whose name ends so."""
    (one,) = [one for one in found if one["kind"] == kind and one["metadata"]["name"].endswith(name)]
    return one


def kinds(found: list[Document], kind: str) -> list[str]:
    """List the names of the resources of a kind, without the release's own."""
    names = [one["metadata"]["name"] for one in found if one["kind"] == kind]
    return sorted(name.removeprefix("release-name-pilotage").removeprefix("-") for name in names)


def container(found: list[Document], component: str) -> Document:
    """Return the container of a Deployment."""
    (one,) = named(found, "Deployment", f"-{component}")["spec"]["template"]["spec"]["containers"]
    return dict(one)


def config_text(found: list[Document]) -> str:
    """Return the pilotage.yaml of a rendering."""
    return str(named(found, "ConfigMap", "release-name-pilotage")["data"]["pilotage.yaml"])


def config(found: list[Document]) -> Document:
    """Return it as YAML."""
    return dict(yaml.safe_load(config_text(found)))


def sources(one: Document) -> dict[str, tuple[str, str]]:
    """Return where the environment of a container comes from: variable -> Secret and key."""
    secret = [entry for entry in one["env"] if "valueFrom" in entry]
    references = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in secret}
    return {name: (reference["name"], reference["key"]) for name, reference in references.items()}


def blocks(text: str, mark: str) -> list[str]:
    """Return the code blocks of a Markdown text that follow a mark in a comment, without their indentation."""
    found = re.findall(rf"^( *)<!-- {mark} -->\n *```\w+\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]
