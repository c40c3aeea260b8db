"""The API keeps what its OpenAPI document promises, whatever is sent to it (schemathesis)."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from orchestrator.domain.runs import RunState
from orchestrator.web.api import CALLS
from orchestrator.web.calls import Call
from orchestrator.web.openapi import path_of
from tests.support.databases import sqlite_database
from tests.support.web import Web, make_web

EXAMPLES = 15
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
)
"""Who gets in is tested for each call by itself; input that fits may still name what is not there."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    folder = tmp_path_factory.mktemp("api")
    web = make_web(sqlite_database(folder), folder)
    for state in RunState:
        web.log(web.run(state), "a line", "\x1b[31manother\x1b[0m")
    web.streams.close()  # a stream that is followed ends after the first look
    return web


@pytest.fixture(scope="module")
def schema(web: Web) -> Any:
    load_all_checks()
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", web.app)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_answer_is_one_that_is_documented(schema: Any, web: Web, call: Call, mode: GenerationMode) -> None:
    operation = schema[path_of(call)][call.method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        return  # there is nothing that could be sent wrongly
    wanted = set(CHECKED) - ({"not_a_server_error"} if call.name == "get_readiness" else set())  # here, 503 is news
    checks: list[Callable[..., Any]] = [check for check in CHECKS.get_all() if check.__name__ in wanted]
    assert len(checks) == len(wanted)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: Any) -> None:
        headers = {"Authorization": f"Bearer {web.tokens['admin']}"}
        case.call_and_validate(headers=headers, checks=checks)

    answers()
