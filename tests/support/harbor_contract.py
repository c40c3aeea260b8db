"""The contract of Harbor for tests: the definitions of its swagger.yaml and recorded answers."""

from functools import cache
from typing import Any

import jsonschema
import yaml

from tests.support.contracts import CONTRACTS, contract

Json = dict[str, Any]


@cache
def definitions() -> Json:
    found = dict(yaml.safe_load((CONTRACTS / "harbor/swagger.yaml").read_text())["definitions"])
    found["ExtraAttrs"] = {}  # says "object" for values that may be anything (Go's interface{})
    return found


def sample(name: str) -> Any:
    return contract(f"harbor/samples/{name}.json")


def without_nulls(value: Any) -> Any:
    """Leave null fields out: Harbor writes nil slices and maps as null, against its own schema."""
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def check(definition: str, body: Any) -> None:
    schema = {"$ref": f"#/definitions/{definition}", "definitions": definitions()}
    jsonschema.Draft4Validator(schema).validate(without_nulls(body))
    properties = definitions()[definition].get("properties", {})
    assert set(body) <= set(properties), f"{definition} has no {set(body) - set(properties)}"
