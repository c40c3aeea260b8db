"""The sample apps of the demo, and their GitOps repository: the charts of ``charts/applications`` as they are."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

APP, API = APPS = ("plate-web", "plate-api")
IMAGE = f"plate/{APP}"
CHARTS = "charts/applications"
"""Folder of the charts in the GitOps repository, as in the repository that they come from."""
CHART = f"{CHARTS}/{APP}"
PROGRESS_DEADLINE = 5
"""Seconds until a rollout of the demo is given up; the charts wait for five minutes."""


def source_files(base_image: str, greeting: str) -> dict[str, str]:
    """Return the files of plate-web's repository; `base_image` is a BusyBox in the same private registry."""
    return {
        "Dockerfile": _dockerfile(base_image, "httpd -f -p 8080 -h /www"),
        "www/index.html": f"<!doctype html><title>plate-web</title><h1>{greeting}</h1>\n",
        ".dockerignore": "*.md\n.git\n",
        "README.md": "# plate-web\n\nThe demo's app: one page, served by BusyBox.\n",
    }


def api_files(base_image: str, greeting: str) -> dict[str, str]:
    """Return the files of plate-api's repository; its chart probes two paths."""
    return {
        "Dockerfile": _dockerfile(base_image, "httpd -f -p 8080 -h /www"),
        "www/greeting.json": f'{{"greeting": "{greeting}"}}\n',
        "www/healthz": "ok\n",
        "www/readyz": "ok\n",
    }


def broken_files(base_image: str) -> dict[str, str]:
    """Return a change after which the container cannot start."""
    return {"Dockerfile": _dockerfile(base_image, "sh -c 'echo cannot open /etc/plate/config.yaml; exit 1'")}


def _dockerfile(base_image: str, command: str) -> str:
    return f"FROM {base_image}\nCOPY www /www\nEXPOSE 8080\nUSER 1000:1000\nCMD {command}\n"


def gitops_files(registry_host: str, environments: Mapping[str, int], apps: Sequence[str] = (APP,)) -> dict[str, str]:
    """Return the files of the GitOps repository: every chart, and for each app a values file per environment.

    :param registry_host: replaces the host in the charts' ``image.repository``.
    :param environments: name -> replicas. Each values file is the chart's own for staging with these replicas.
    """
    folder = _charts()
    files = {
        f"{CHARTS}/{path.relative_to(folder).as_posix()}": path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    for name in [name for name in files if name.endswith("/values.yaml")]:
        image = name.split("/")[-2]
        values = _set(files[name], "  repository", f"{registry_host}/plate/{image}")
        files[name] = _set(values, "progressDeadlineSeconds", str(PROGRESS_DEADLINE))
    for app in apps:
        staging = files[f"{chart_of(app)}/values-stg.yaml"]
        for name, replicas in environments.items():
            files[f"{chart_of(app)}/values-{name}.yaml"] = _set(staging, "replicaCount", str(replicas))
    return files


def chart_of(app: str) -> str:
    """Return the folder of an app's chart in the GitOps repository."""
    return f"{CHARTS}/{app}"


def source_of(app: str) -> str:
    """Name an app's repository on the forge."""
    return f"acme/{app}"


def _charts() -> Path:
    """Return the folder of the charts: in a wheel beside this file, in a checkout at the top."""
    packed = Path(__file__).parent / "charts"
    return packed if packed.is_dir() else Path(__file__).parents[2] / CHARTS


def _set(text: str, key: str, value: str) -> str:
    """Replace the value of the only line that begins with `key`; everything else stays, comments included."""
    changed, found = re.subn(rf"(?m)^({re.escape(key)}): .*$", rf"\1: {value}", text)
    if found != 1:
        raise ValueError(f"{found} lines begin with {key!r}")
    return changed
