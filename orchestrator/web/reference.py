"""The reference page of the API and the committed OpenAPI document, made from the table of calls."""

import json
from collections.abc import Iterator
from typing import Any

from orchestrator.web import streams
from orchestrator.web.api import CALLS
from orchestrator.web.calls import KEY_HEADER, MAX_BODY, Call
from orchestrator.web.openapi import document, path_of, statuses_of

_HEAD = f"""\
<!-- Made by `make docs`; changes belong into orchestrator/web/. -->

# HTTP API

*Reference. Every call, and what holds for all of them.*

The exact form of every input and answer is in [openapi.json](openapi.json), which a server also gives out at
`/api/v1/openapi.json`. What this page names stays as it is within version 1; new fields may be added to answers.

## Rules for all calls

* **Who asks.** `Authorization: Bearer plt_...`; `pilotage token create` makes a token. A token has a role, and
  each role may do all that the one before may: `viewer`, `deployer`, `admin`. A revoked token counts no more from
  the next request on. Browsers log in with the same tokens; what they change must come from our own pages.
* **Errors** are RFC 9457 problems (`application/problem+json`): `type`, `title`, `status`, `detail` (one sentence),
  `instance`, `errors` (each with `in`, `field`, `message`) and `request_id`. The `type` is stable.
* **Request ids.** Each answer has `X-Request-Id`; one that a client sends (up to 64 letters, digits, `.`, `_`, `-`)
  is kept. It is in our log lines.
* **Lists** come newest first in pages: `limit` (1 to 100) and `cursor`. `next` in the answer is the next page's
  `cursor`, and the header `Link` with `rel="next"` is its address. What is added meanwhile repeats or skips nothing.
* **`{KEY_HEADER}`** may be sent with every POST, 1 to 200 printable ASCII characters without a comma; a request
  with two is refused (400). Within 24 hours a request with the same key, token and content is answered as the first
  one was (with `Idempotent-Replayed: true`) and does nothing; with other content it is refused (422); while the first
  one is still at work it may be refused (409).
* **Limits.** A body has at most {MAX_BODY // 1024} KiB. Unknown fields and parameters are errors (422), and so is a
  field that is there twice (400); `/healthz` and `/metrics` look at no parameters.
* **Times** are RFC 3339 in UTC; durations are seconds.

## Logs

`GET /api/v1/runs/{{run_id}}/logs` answers by `Accept`: `text/plain` (also without `Accept`), `application/x-ndjson`
(one object per line: `n`, `stage`, `at`, `text`) or `text/event-stream`. `format=text` and `format=ndjson` say so in
the address. Terminal escape sequences are taken out unless `ansi=1`. With `follow=1` the answer goes on until the
run is over; `text/event-stream` always does.

| event | data |
| --- | --- |
| `line` | `n`, `stage`, `at`, `text`; the event's id is `n`, which counts the lines of the run from 1 |
| `state` | the run as in a list, at the beginning and after each change of the run or a stage |
| `end` | `{{}}`; the run is over and nothing follows: close the stream |

Each {streams.HEARTBEAT:.0f} s without an event a comment is sent. After {streams.LIFETIME / 60:.0f} min, and when the
server stops, a stream ends without `end`: come back with `Last-Event-ID` (browsers do so by themselves) and it
goes on with the next line. A process follows {streams.MAX_STREAMS} logs at a time, and
{streams.MAX_OF_ONE} of them for one token; one more is answered with 503, or 429, and `Retry-After`.
"""


def render() -> str:
    """Return the page ``docs/reference/api.md`` as Markdown."""
    lines = [_HEAD, "## Calls\n", "| call | role | what it does |", "| --- | --- | --- |"]
    lines += [f"| `{call.method} {path_of(call)}` | {call.role or 'none'} | {call.summary} |" for call in CALLS]
    schemas = document()["components"]["schemas"]
    for call in CALLS:
        lines += ["", *_call(call, schemas)]
    return "\n".join([*lines, ""])


def openapi_text() -> str:
    """Return the committed copy ``docs/reference/openapi.json``."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _call(call: Call, schemas: dict[str, Any]) -> Iterator[str]:
    yield f"### `{call.method} {path_of(call)}`\n"
    yield f"{call.summary}. Role: {call.role or 'none, open to everybody'}.\n"
    for title, model in (("Query", call.query), ("Body", call.body)):
        if model is not None and model.model_fields:
            schema = schemas.get(model.__name__) or model.model_json_schema()
            yield f"{title}:\n"
            yield "| name | form | meaning |\n| --- | --- | --- |"
            for name, field in schema["properties"].items():
                needed = " (required)" if name in schema.get("required", []) else ""
                yield f"| `{name}`{needed} | {_form(field, schemas)} | {field.get('description', '')} |"
            yield ""
    answer = f"`{call.answer.__name__}`" if call.answer else " or ".join(f"`{one}`" for one in call.media)
    yield f"Answer: {call.status}, {answer}. Errors: {', '.join(map(str, statuses_of(call)))}."


def _form(field: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_form(one, schemas) for one in field["anyOf"] if one.get("type") != "null")
    if "$ref" in field:
        return _form(schemas[field["$ref"].rpartition("/")[2]], schemas)
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    default = f", default `{field['default']}`" if field.get("default") not in (None, "") else ""
    low, high = field.get("minimum"), field.get("maximum")
    return f"{field.get('type', '')}{f' {low} to {high}' if low is not None and high is not None else ''}{default}"
