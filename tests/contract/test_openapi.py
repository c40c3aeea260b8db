"""The OpenAPI document: valid, committed, and complete."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from orchestrator.services.tokens import Role
from orchestrator.web.api import CALLS
from orchestrator.web.calls import Call
from orchestrator.web.openapi import document, path_of

DOCUMENT = document()


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_call_says_what_it_takes_and_answers(call: Call) -> None:
    operation = DOCUMENT["paths"][path_of(call)][call.method.lower()]
    assert operation["x-role" if call.role else "tags"]
    assert ("requestBody" in operation) == (call.method == "POST")
    assert all(f"{{{one['name']}}}" in path_of(call) for one in operation["parameters"] if one["in"] == "path")
    problems = [status for status in operation["responses"] if status >= "400"]
    assert all(
        operation["responses"][status]["content"].keys() == {"application/problem+json"} for status in problems
    )


def test_reading_needs_a_viewer_changing_a_deployer_and_health_nobody() -> None:
    for call in CALLS:
        open_to_all = call.tag == "health"
        assert call.role == (None if open_to_all else Role.VIEWER if call.method == "GET" else Role.DEPLOYER)


def test_no_schema_is_left_over() -> None:
    text = json.dumps(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text
