"""The platform in ``charts/``: its Applications, projects and values files, as plain data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
ARGOCD = CHARTS / "environments/argocd"
TOOLS = CHARTS / "development-tools"
GITOPS = "https://git.example.com/platform/gitops.git"
"""The placeholder for the repository that `charts/` is copied to."""

Json = dict[str, Any]


def read(path: Path) -> Any:
    """Read a file with one YAML document."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def resources() -> list[Json]:
    """Read everything that the app-of-apps manages."""
    files = sorted((ARGOCD / "apps").glob("*.yaml"))
    return [one for file in files for one in yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)]


def named(kind: str) -> dict[str, Json]:
    """Return the resources of a kind by their names."""
    return {one["metadata"]["name"]: one for one in resources() if one["kind"] == kind}


def sources(application: Json) -> list[Json]:
    """Return the sources of an Application, one or several."""
    spec = application["spec"]
    return list(spec.get("sources") or [spec["source"]])


def value_files(application: Json) -> Iterator[Path]:
    """Yield where each values file of an Application lies in this repository."""
    for source in sources(application):
        for name in source.get("helm", {}).get("valueFiles", []):
            ref, _, rest = name.removeprefix("$").partition("/")
            if name.startswith("$"):
                assert any(one.get("ref") == ref and one["repoURL"] == GITOPS for one in sources(application)), name
                yield ROOT / rest
            elif name.startswith("/"):
                yield ROOT / name.removeprefix("/")
            else:
                yield ROOT / source["path"] / name


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over values: the dotted path of each scalar (list items without an index) and what it is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value
