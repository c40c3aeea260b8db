"""Every field that a log line can have: its type and what it means. What is not in this table does not come out.

The types are those of Elasticsearch, so that an index template and a shipper can be made from the table
(`docs/reference/log-fields.json`). A field never changes its type, and no field has fields of its own.
"""

from dataclasses import dataclass
from typing import Any, Literal

FieldType = Literal["date", "keyword", "long", "text"]

LIBRARY_EVENT = "library message"
"""The event of lines that a library wrote; its words are in ``detail``."""
MAX_TEXT = 2000
"""Characters of a value; more is cut."""
MAX_STACK = 8000
"""Characters of ``err_stack``, the last ones: with them a line stays below 16 KiB, where container runtimes cut."""

_LONG = 2**63 - 1
"""The largest number of type ``long``; a line with a larger one would be taken by nobody."""


@dataclass(frozen=True, slots=True)
class LogField:
    """A field. ``always``: every line has it."""

    kind: FieldType
    meaning: str
    always: bool = False


FIELDS: dict[str, LogField] = {
    "ts": LogField("date", "When, as RFC 3339 in UTC with microseconds.", always=True),
    "level": LogField("keyword", "`debug`, `info`, `warning`, `error` or `critical`.", always=True),
    "service": LogField(
        "keyword",
        "Which process: `web`, `webhooks`, `relay`, `worker` (both queues), `worker-build`, `worker-deploy`, "
        "`migrate` or `up`.",
        always=True,
    ),
    "logger": LogField("keyword", "Which module, ours or a library's.", always=True),
    "event": LogField(
        "keyword",
        f"What happened: a constant text. `{LIBRARY_EVENT}`: a library says so, its words are in `detail`.",
        always=True,
    ),
    "run": LogField("long", "The run, by its number."),
    "stage": LogField("keyword", "The stage of the run."),
    "app": LogField("keyword", "The app."),
    "env": LogField("keyword", "The environment."),
    "delivery": LogField("keyword", "The webhook request, by the id that the forge gave it."),
    "delivery_id": LogField("long", "The same webhook request, by our number: as in the API."),
    "request_id": LogField("keyword", "The HTTP request: as in the answer's `X-Request-Id` and in its problem."),
    "trace_id": LogField("keyword", "The run's OpenTelemetry trace; only where traces are switched on."),
    "outcome": LogField(
        "keyword",
        "How it ended. A look at a stage: `done`, `wait`, `fail`, `troubled` (tried again) or `stopped`."
        " A run: its state. A delivery: `runs`, `ignored`, `duplicate` or `pong`.",
    ),
    "reason": LogField("keyword", "Why, as a code; see [reason codes](reason-codes.md)."),
    "detail": LogField("text", "What exactly, in free words."),
    "duration_ms": LogField("long", "How long it took, in milliseconds."),
    "trigger": LogField("keyword", "Why the run exists: `push`, `manual`, `rerun`, `promotion`, `poll`, `rollback`."),
    "commit": LogField("keyword", "The source commit."),
    "branch": LogField("keyword", "The branch."),
    "forge": LogField("keyword", "The kind of forge that a webhook request came from."),
    "channel": LogField("keyword", "The notification channel, by its configured name."),
    "duty": LogField("keyword", "Which of the relay's duties."),
    "process": LogField("keyword", "Which process of `pilotage up`, or which thread."),
    "pid": LogField("long", "Its process id."),
    "version": LogField("keyword", "The version of Pilotage."),
    "method": LogField("keyword", "The HTTP method."),
    "path": LogField("keyword", "The path that was asked for, without the query and that of `server.external_url`."),
    "status": LogField("long", "The HTTP status of the answer."),
    "remote": LogField("keyword", "The address that asked."),
    "actor": LogField("keyword", "Who asked: the name of the API token, or of the person who clicked in a chat."),
    "err_type": LogField("keyword", "The class of the exception."),
    "err_msg": LogField("text", "The exception's words."),
    "err_stack": LogField("text", "The traceback, in one text."),
}
"""Name -> field, in the order in which a line has them."""


def fit(name: str, value: Any) -> Any:
    """Return a value as the field's type wants it; what does not fit becomes text."""
    if FIELDS[name].kind == "long" and isinstance(value, int):
        return max(-_LONG, min(int(value), _LONG))
    text = value if isinstance(value, str) else str(value)
    cut = text[-MAX_STACK:] if name == "err_stack" else text[:MAX_TEXT]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


def faults(event: dict[str, Any]) -> list[str]:
    """Say what is wrong with a line's fields: unknown ones, and values of another type."""
    found = []
    for name, value in event.items():
        known = FIELDS.get(name)
        if known is None:
            found.append(f"{name}: is not in orchestrator/log_fields.py")
        elif known.kind == "long" and (isinstance(value, bool) or not isinstance(value, int)):
            found.append(f"{name}: {value!r} is not a whole number")
        elif known.kind != "long" and not isinstance(value, str):
            found.append(f"{name}: {value!r} is not a text")
    return found


def as_json() -> dict[str, Any]:
    """Return the table for programs: the fields, and the mapping of an Elasticsearch index template."""
    return {
        "fields": {
            name: {"type": field.kind, "always": field.always, "meaning": field.meaning}
            for name, field in FIELDS.items()
        },
        "mappings": {"dynamic": False, "properties": {name: _mapping(field) for name, field in FIELDS.items()}},
    }


def _mapping(field: LogField) -> dict[str, Any]:
    return {"type": field.kind} | ({"ignore_above": MAX_TEXT} if field.kind == "keyword" else {})
