"""Where Helm values name images, as charts commonly write them; pure.

=============================================  ====================================================
``image: {repository: h/p, tag: "1"}``         the tag, with or without ``registry`` beside it
``image: {repository: p, tag: "1"}``           with the registry in ``global.imageRegistry``
``image: h/p:1``                               the whole image, in a key that is or ends with "image"
=============================================  ====================================================
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.domain.paths import MAX_STEPS, Index, Key, Step, parse_path
from orchestrator.domain.refs import Reference
from workers.gitops.loading import load
from workers.shapes import mapping, text

_NAMES = ("repository", "name")
"""How charts call what stands beside the tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKey:
    """A value that names the version of an image.

    ``key``: its path. ``value``: what stands there, as `Environment.value`. ``image``: as all files together say.
    """

    key: str
    value: Literal["tag", "image"]
    image: Reference


def read_values(raw: bytes) -> Mapping[str, Any]:
    """Read a values file; what is no YAML, no map, or more than one document counts as empty."""
    return mapping(load(raw))


def merged(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Lay values over each other as Helm does: maps key by key, all else as a whole."""
    values: dict[str, Any] = {}
    for above in files:
        values = _over(values, above, {})
    return values


def holds(values: Mapping[str, Any], key: str) -> bool:
    """Tell whether something stands at the path `key`, one of those that `image_keys` made."""
    node: Any = values
    for step in parse_path(key).steps:
        if isinstance(step, Key) and isinstance(node, Mapping) and step.text in node:
            node = node[step.text]
        elif isinstance(step, Index) and isinstance(node, list) and step.number < len(node):
            node = node[step.number]
        else:
            return False
    return True


def image_keys(values: Mapping[str, Any]) -> list[ImageKey]:
    """List the values that name images, in their order; each container once, however many aliases lead to it."""
    everywhere = text(mapping(values.get("global")).get("imageRegistry"))
    return [_named(steps, node, everywhere) for steps, node in _walk((), values, set()) if _is_named(steps, node)]


def _is_named(steps: tuple[Step, ...], node: object) -> bool:
    if isinstance(node, Mapping):
        return isinstance(node.get("tag"), str | int | float) and bool(_repository(node))
    last = steps[-1].text if isinstance(steps[-1], Key) else ""
    return isinstance(node, str) and last.lower().endswith("image") and bool(Reference.parse(node).version)


def _named(steps: tuple[Step, ...], node: Any, everywhere: str) -> ImageKey:
    if isinstance(node, str):
        return ImageKey(key=_written(steps), value="image", image=Reference.parse(node))
    registry = text(node.get("registry")) or everywhere
    image = Reference.parse(f"{_repository(node)}:{node['tag']}")
    if registry and not image.host:
        image = Reference.parse(f"{registry.rstrip('/')}/{_repository(node)}:{node['tag']}")
    return ImageKey(key=_written((*steps, Key("tag"))), value="tag", image=image)


def _repository(node: Mapping[str, Any]) -> str:
    return next(filter(None, (text(node.get(name)) for name in _NAMES)), "")


def _walk(steps: tuple[Step, ...], node: object, seen: set[int]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    if isinstance(node, str):
        yield steps, node
    if not isinstance(node, Mapping | list) or id(node) in seen or len(steps) >= MAX_STEPS - 1:
        return
    seen.add(id(node))
    if isinstance(node, Mapping):
        yield steps, node
        inner: Iterable[tuple[Step, object]] = ((Key(name), one) for name, one in node.items() if _is_key(name))
    else:
        inner = ((Index(number), one) for number, one in enumerate(node))
    for step, one in inner:
        yield from _walk((*steps, step), one, seen)


def _is_key(name: object) -> bool:
    return isinstance(name, str) and bool(name)


def _written(steps: tuple[Step, ...]) -> str:
    return "".join(f".{step}" if isinstance(step, Key) else str(step) for step in steps)[1:]


def _over(below: Mapping[str, Any], above: Mapping[str, Any], laid: dict[tuple[int, int], Any]) -> dict[str, Any]:
    """Lay one map over another, level by level; neither is changed.

    :param laid: what was made of two maps already, as aliases may lead to the same two again and again.
    """
    both = id(below), id(above)
    if both not in laid:
        made = laid[both] = dict(below)
        for name, value in above.items():
            known = below.get(name)
            is_map = isinstance(known, dict) and isinstance(value, Mapping)
            made[name] = _over(mapping(known), value, laid) if is_map else value
    result: dict[str, Any] = laid[both]
    return result
