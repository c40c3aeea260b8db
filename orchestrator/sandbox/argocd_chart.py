"""What a chart folder of the GitOps repo asks to run: values merged as Helm merges them, then a few settings.

Templates are not executed. The stand-in knows the settings that nearly every chart has (image, replicas, port,
environment, probe) under their usual names; a change of any other value or template still counts as a change.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

MAX_REPLICAS = 3
"""Containers of one application; a laptop is not a cluster."""

Read = Callable[[str], bytes | None]


class RenderError(Exception):
    """The chart does not render; worded as Helm and Argo CD word it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is to run. ``manifest`` differs whenever anything in the chart or its values differs.

    :param port: of the container, 0: none. :param probe: path of the readiness probe, "": none.
    :param deadline: seconds until a rollout without progress is given up; 0: the stand-in's own.
    """

    manifest: str
    image: str
    replicas: int = 1
    port: int = 0
    probe: str = ""
    env: tuple[tuple[str, str], ...] = ()
    deadline: float = 0.0


class _Loader(yaml.CSafeLoader):
    """YAML as Go reads it: ``123e45`` is a number, which is how a tag gets lost in Helm (helm#1707)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)


def render(read: Read, folder: str, value_files: Sequence[str], templates: str = "") -> Workload:
    """Resolve a chart folder to what is to run.

    :param read: gives the content of a path of the repository, None when it is missing.
    :param value_files: relative to `folder`, or rooted at the repository with a leading slash; later ones win.
    :param templates: any text that changes with the chart's templates.
    :raises RenderError: a file is missing or is no YAML mapping, or there is no usable image.
    """
    chart = read(_join(folder, "Chart.yaml"))
    if chart is None:
        if read(_join(folder, "values.yaml")) is None:
            raise RenderError(f"{folder}: app path does not exist")
        raise RenderError(_helm("Chart.yaml file is missing"))
    values = _mapping(read(_join(folder, "values.yaml")) or b"", "values.yaml")
    for name in value_files:
        content = read(_join("", name) if name.startswith("/") else _join(folder, name))
        if content is None:
            raise RenderError(_helm(f"open {_join(folder, name)}: no such file or directory"))
        values = merge(values, _mapping(content, name))
    about = [_mapping(chart, "Chart.yaml"), values, templates]
    manifest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
    return _workload(values, manifest)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values as Helm does: maps deeply, everything else replaced, and a null removes the key."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _workload(values: Mapping[str, Any], manifest: str) -> Workload:
    return Workload(
        manifest=manifest,
        image=_image(values.get("image")),
        replicas=max(0, min(MAX_REPLICAS, _number(values, ("replicaCount", "replicas"), 1))),
        port=_number(
            values, ("containerPort", "service.targetPort", "service.containerPort", "service.port", "port"), 0
        ),
        probe=_probe(values),
        env=_env(values.get("env")),
        deadline=float(_number(values, ("progressDeadlineSeconds",), 0)),
    )


def _image(value: object) -> str:
    """Write the image as a template would; tag and digest are both kept, as a pod spec may hold both."""
    if isinstance(value, str) and value:
        return value
    image = value if isinstance(value, Mapping) else {}
    repository, tag, digest = (_scalar(image.get(key)) for key in ("repository", "tag", "digest"))
    if not repository:
        raise RenderError(_helm("execution error at (templates/deployment.yaml): image.repository is required"))
    if not tag and not digest:
        raise RenderError(_helm("execution error at (templates/deployment.yaml): image.tag is required"))
    registry = _scalar(image.get("registry"))
    name = f"{registry}/{repository}" if registry else repository
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _probe(values: Mapping[str, Any]) -> str:
    names = ("readinessProbe.httpGet.path", "readinessProbe.path", "probes.readiness.path", "probe.path")
    more = ("healthCheck.path", "probePath", "livenessProbe.httpGet.path")
    found = (_at(values, name) for name in names + more)
    return next((path for path in found if isinstance(path, str) and path.startswith("/")), "")


def _env(value: object) -> tuple[tuple[str, str], ...]:
    """Read the environment from a map, or from a list of ``{name, value}``; references to secrets are left out."""
    if isinstance(value, Mapping):
        return tuple((str(key), _scalar(item)) for key, item in value.items() if not isinstance(item, Mapping))
    items = value if isinstance(value, list) else []
    return tuple((str(i["name"]), _scalar(i["value"])) for i in items if isinstance(i, Mapping) and "value" in i)


def _number(values: Mapping[str, Any], names: Sequence[str], default: int) -> int:
    found = (_at(values, name) for name in names)
    return next((int(n) for n in found if isinstance(n, int) and not isinstance(n, bool)), default)


def _at(values: object, name: str) -> object:
    for part in name.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _scalar(value: object) -> str:
    """Print a scalar as Go's templates do: a float loses the digits that people typed."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _mapping(content: bytes, name: str) -> dict[str, Any]:
    try:
        loaded = yaml.load(content, _Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise RenderError(
            _helm(f"failed to parse {name}: error converting YAML to JSON: {_one_line(error)}")
        ) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise RenderError(
            _helm(f"failed to parse {name}: cannot unmarshal into Go value of type map[string]interface")
        )
    return loaded


def _helm(words: str) -> str:
    command = "helm template . --include-crds"
    return f"failed to execute helm template command: `{command}` failed exit status 1: Error: {words}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _join(folder: str, name: str) -> str:
    return posixpath.normpath(posixpath.join("/", folder, name.lstrip("/"))).lstrip("/")
