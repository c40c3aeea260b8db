"""Checks the plain tree against the models, and puts pydantic's errors in our words, at the keys of the file."""

from collections.abc import Iterator
from pathlib import Path as Folder
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.checks import closest
from orchestrator.config.document import Document
from orchestrator.config.files import FOLDER
from orchestrator.config.models import Config
from orchestrator.config.problems import Path
from orchestrator.domain.apps import Secret

_SENTENCES = {
    "missing": "is required",
    "string_type": "must be a text",
    "list_type": "must be a list (`- ...`)",
    "tuple_type": "must be a list (`- ...`)",
    "dict_type": "must be a mapping (`key: value`)",
    "model_type": "must be a mapping (`key: value`)",
    "bool_parsing": "must be `true` or `false`",
    "bool_type": "must be `true` or `false`",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "string_too_short": "is empty",
    "too_short": "is empty",
}


def fit(document: Document, folder: Folder) -> Config | None:
    """Read the tree into the models; every mismatch becomes a problem of the document, and the answer None.

    :param folder: where the file is.
    """
    tree = document.tree
    if isinstance(tree, dict):
        tree = {name: value for name, value in tree.items() if not name.startswith("x-")}
    try:
        return Config.model_validate(tree, context={FOLDER: folder})
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            _translate(document, details)
        return None


def _translate(document: Document, details: ErrorDetails) -> None:
    path: Path = tuple(part for part in details["loc"] if part != "[key]")
    if any(path[:length] in document.broken for length in range(len(path) + 1)):
        return
    document.add(path, _sentence(path, details))


def _sentence(path: Path, details: ErrorDetails) -> str:
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"is not a key that is known here; {closest(str(path[-1]), _known(path[:-1]))}"
    if kind == "literal_error":
        return f"must be {details['ctx']['expected']}".replace("'", "`")
    if kind == "string_pattern_mismatch":
        return "has a name with other signs than letters, digits and `_`"
    return _SENTENCES.get(kind) or details["msg"][0].lower() + details["msg"][1:]


def _known(path: Path) -> list[str]:
    """List the keys that the mapping at `path` may have."""
    model: Any = Config
    for part in path:
        if isinstance(part, str):
            model = next((inner for name, _, inner in keys(model) if name == part), None)
        if model is None:
            return []
    return [name for name, _, _ in keys(model)]


def keys(model: type[BaseModel]) -> Iterator[tuple[str, Any, type[BaseModel] | None]]:
    """Yield the keys of a model as the file spells them: name, field, and the model under the key if there is one."""
    for name, field in model.model_fields.items():
        yield field.alias or name, field, model_of(field.annotation)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Find the model inside ``X``, ``X | None``, ``list[X]`` and ``Annotated[X, ...]``; None for a plain value."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return next((model for part in inner if (model := model_of(part))), None)


def secrets(value: Any, path: Path = ()) -> Iterator[tuple[Path, Secret]]:
    """Yield every secret of a validated model with its place in the file."""
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from secrets(item, (*path, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from secrets(item, (*path, key))
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from secrets(getattr(value, name), (*path, field.alias or name))
