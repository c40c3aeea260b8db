"""The OpenAPI 3.1 document, made from the table of calls and the models: what is documented is what is checked."""

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from orchestrator.web.answers import ProblemView
from orchestrator.web.api import CALLS
from orchestrator.web.calls import KEY_HEADER, Call
from orchestrator.web.models import MAX_ID
from orchestrator.web.problems import MEDIA_TYPE

VERSION = "1"
_REF = "#/components/schemas/{model}"
_ARGUMENT = re.compile(r"<(?:(int)[^:>]*:)?(\w+)>")
_TITLES = {
    400: "The request is malformed.",
    401: "There is no valid token.",
    403: "The token's role is not enough, or a browser was led here by another site.",
    404: "There is no such thing.",
    406: "The log cannot be had in this form.",
    409: "Not in this state, or the first request with this key is still being carried out.",
    413: "The body is too large.",
    415: "The body is not JSON by its content type.",
    422: "The input is not what the call takes, or the key was used for another request.",
    429: "The token follows as many logs as one may at a time.",
    500: "Pilotage made a mistake.",
    503: "A service that we need does not answer.",
}


def document(root: str = "") -> dict[str, Any]:
    """Make the document. :param root: the path under which the API is served; "" = none."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(path_of(call), {})[call.method.lower()] = _operation(call, schemas)
    used = {model.__name__ for model in _models() if model not in {call.query for call in CALLS}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pilotage",
            "version": VERSION,
            "description": "From a Git push to a proven, healthy deployment. Errors are RFC 9457 problems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": root or "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(call.tag for call in CALLS)],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name in used | _nested(schemas)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token, `plt_...`."},
            },
        },
    }


def path_of(call: Call) -> str:
    """Return a call's path as OpenAPI writes it."""
    return _ARGUMENT.sub(r"{\2}", call.rule)


def statuses_of(call: Call) -> tuple[int, ...]:
    """Return the statuses of errors that a call can answer with."""
    found = {500, *call.problems}
    if call.role is not None:
        found |= {401, 403, 503}
    if _ARGUMENT.search(call.rule):
        found.add(404)
    if call.checks_query:
        found.add(422)
    if call.body is not None:
        found |= {400, 404, 409, 413, 415, 422}
    return tuple(sorted(found))


def _models() -> list[type[BaseModel]]:
    named = [model for call in CALLS for model in (call.query, call.body, call.answer) if model is not None]
    return [*dict.fromkeys(named), ProblemView]


def _schemas() -> dict[str, dict[str, Any]]:
    # Answers have no defaults and requests no computed fields: one schema for both directions is exact.
    _, defined = models_json_schema([(model, "validation") for model in _models()], ref_template=_REF)
    found: dict[str, dict[str, Any]] = defined["$defs"]
    one_of = ["ref", "commit", "image"]
    found["StartRun"]["oneOf"] = [{"required": [name], "properties": {name: {"type": "string"}}} for name in one_of]
    for name in one_of:  # in the model, null stands for "not given"; in JSON, the field is left out
        field = found["StartRun"]["properties"][name]
        field.update(next(one for one in field.pop("anyOf") if one.get("type") == "string"))
        field.pop("default", None)
    return dict(sorted(found.items()))


def _nested(schemas: dict[str, dict[str, Any]]) -> set[str]:
    """Name the schemas that others refer to."""
    return set(re.findall(r"'#/components/schemas/(\w+)'", repr(schemas)))


def _operation(call: Call, schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.summary,
        "tags": [call.tag],
        "parameters": [*_arguments(call), *_parameters(call, schemas)],
        "responses": {str(call.status): _success(call)} | {str(one): _problem(one) for one in statuses_of(call)},
    }
    if call.role is not None:
        made |= {"security": [{"bearer": []}], "x-role": call.role.value}
    if call.body is not None:
        schema = schemas[call.body.__name__]
        content = {"application/json": {"schema": {"$ref": _REF.format(model=call.body.__name__)}}}
        made["requestBody"] = {"required": bool(schema.get("required")), "content": content}
    return made


def _arguments(call: Call) -> list[dict[str, Any]]:
    kinds = {"int": {"type": "integer", "minimum": 0, "maximum": MAX_ID}, "": {"type": "string", "minLength": 1}}
    return [
        {"name": name, "in": "path", "required": True, "schema": kinds[kind]}
        for kind, name in _ARGUMENT.findall(call.rule)
    ]


def _parameters(call: Call, schemas: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if call.query is not None:
        for name, schema in schemas[call.query.__name__]["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": _without_null(schema)})
    if call.body is not None:
        text = "Carry this request out once, however often it is sent with this key within 24 hours."
        schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[!#-+\--~]+$"}
        found.append({"name": KEY_HEADER, "in": "header", "required": False, "description": text, "schema": schema})
    if call.name == "get_log":
        text = "Number of the last line that was read: where a stream goes on; counts more than `after`."
        schema = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
        found.append({"name": "Last-Event-ID", "in": "header", "required": False, "description": text,
                      "schema": schema})  # fmt: skip
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a query parameter as it is when it is sent: a query has no null."""
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default", "title")}
    kinds = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    return {**kinds[0], **rest} if kinds else rest


def _success(call: Call) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if call.answer is not None:
        schema = {"$ref": _REF.format(model=call.answer.__name__)}
    headers = {"X-Request-Id": {"schema": {"type": "string"}}}
    if call.status == 202 and call.answer is not None and "api_url" in call.answer.model_fields:
        headers["Location"] = {"schema": {"type": "string"}}
    media = [kind.partition(";")[0] for kind in call.media]
    return {
        "description": call.summary + ".",
        "headers": headers,
        "content": {one: {"schema": schema} for one in media},
    }


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="ProblemView")}
    return {"description": _TITLES[status], "content": {MEDIA_TYPE: {"schema": schema}}}
