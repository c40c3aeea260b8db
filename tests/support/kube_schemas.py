"""Resources against the schemas of Kubernetes (strict: no unknown key) and of what is installed beside it."""

import functools
import importlib.resources
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.support.charts import Document, name_of, need

FOREIGN = ("argoproj.io", "keda.sh", "monitoring.coreos.com")
"""Groups of the resources that Kubernetes itself does not know."""
DEADLINE = 60


def problems(documents: Sequence[Document], version: str) -> list[str]:
    """Check the resources of Kubernetes itself. A kind without a schema is a problem too: nothing is passed over.

    :param version: of Kubernetes, ``1.30``.
    """
    ours = [document for document in documents if not is_foreign(document)]
    return [found for document in ours for found in _problems(document, version)]


def is_foreign(document: Document) -> bool:
    """Tell a resource of Argo CD, KEDA or the Prometheus operator."""
    return str(document["apiVersion"]).split("/")[0] in FOREIGN


def _problems(document: Document, version: str) -> list[str]:
    group, _, rest = document["apiVersion"].rpartition("/")
    suffix = f"{group.split('.')[0]}-{rest}" if group else rest
    validator = _validator(f"{document['kind'].lower()}-{suffix}.json", version)
    if validator is None:
        return [f"{name_of(document)}: Kubernetes {version} has no {document['apiVersion']} {document['kind']}"]
    return [f"{name_of(document)}: {error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@functools.cache
def _validator(name: str, version: str) -> Draft202012Validator | None:
    """Make a validator, or return None where this version has no such kind."""
    folder = importlib.resources.files("kubernetes_validate") / f"kubernetes-json-schema/v{version}.0-local-strict"
    file = folder / name
    if not file.is_file():
        return None
    schema = json.loads(file.read_text())
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(version))


@functools.cache
def _definitions(version: str) -> Registry:
    folder = importlib.resources.files("kubernetes_validate") / f"kubernetes-json-schema/v{version}.0-local-strict"
    return Resource.from_contents(json.loads((folder / "_definitions.json").read_text())) @ Registry()


def foreign_problems(documents: Sequence[Document]) -> list[str]:
    """Check the resources of Argo CD, KEDA and the Prometheus operator, unknown keys included."""
    documents = [document for document in documents if is_foreign(document)]
    if not documents:
        return []
    command = ["node", Path(__file__).with_name("schemas.mjs"), need("node_modules")]
    answer = subprocess.run(
        command, input=json.dumps(documents), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    if answer.returncode != 0:
        raise AssertionError(answer.stderr)
    found = zip(documents, json.loads(answer.stdout), strict=True)
    return [f"{name_of(document)}: {problem}" for document, several in found for problem in several]
