"""The reference pages, made from the code that they describe.

A page is one function that returns Markdown, and one row of `PAGES`; a test compares what is committed with it.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from orchestrator.cli.errors import MEANINGS, CliError, Code
from orchestrator.cli.options import HELP
from orchestrator.cli.output import say
from orchestrator.domain import durations

FOLDER = Path("docs/reference")
WIDTH = 100
"""Columns of the help texts on the page."""

_HEAD = "<!-- Made by `make docs`; changes belong into {source}. -->\n\n# {title}\n\n*Reference. {kind}*\n\n{text}\n"

_METRICS = """\
`GET /metrics` of a `web` process (and of `pilotage up`) answers for **all** processes, in Prometheus's text format
and without a token. There is no port to scrape on a worker, a relay or a webhook endpoint.

* What follows from the tables is counted in the transaction that makes it true: a delivery, the end of a stage or a
  run, a deployment, a message. It is there exactly once, whatever is killed and however many processes there are.
* What only a process knows (requests to Argo CD, registry and Harbor, answers of web and webhooks, pushes made again)
  is added up in the process and written with its next transaction. A process that is killed takes with it what it
  has counted since then: seconds.
* What is now (queues, ages, workers alive) is read when Prometheus asks. A worker or relay is alive when it was seen
  in the last 60 seconds.

No metric is counted from the history: how many runs there are makes no difference. Counters outlive restarts,
upgrades and the removal of old rows; they begin with the database. What has known label values is 0 from the start.

**Several web replicas tell the same.** Scrape one address for all of them (the Service), or take the maximum over the
replicas before anything is added up, as the rules and dashboards in `charts/pilotage` do:

```promql
sum by (result) (max by (app, env, result) (rate(pilotage_runs_total[5m])))
```

To scale workers of a pool, use the runs that wait for a worker or have one:

```promql
sum(max by (queue, state) (pilotage_queue_runs{queue="build", state=~"ready|running"}))
```

No label holds a run, a commit, a person or an address."""


def docs(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the pages are.")] = FOLDER,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when a page is not up to date.")
    ] = False,
) -> None:
    """Write the reference pages from the code that they describe.

    \b
    Example:
      pilotage docs --check
    """
    stale = []
    for name, page in PAGES.items():
        file = out / name
        text = page()
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(file))
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            say(f"wrote {file}")
    if check and stale:
        raise CliError(f"Not up to date: {', '.join(stale)}; run `make docs`.", Code.FAILED)


def configuration() -> str:
    """Describe every key of ``pilotage.yaml``: type, default, meaning, example."""
    from orchestrator.config.models import Config

    text = (
        "The file is `pilotage.yaml` in the current folder, or the one that `PILOTAGE_CONFIG` or `--config` names.\n"
        "Check it with `pilotage config check`: every mistake is named at once, with its line.\n\n"
        "`${VAR}` is filled in from the environment, `${VAR:-text}` with `text` when it is not set or empty, and\n"
        "`${file:/run/secrets/x}` from a file without its last newline; a relative path, here and where a key\n"
        "names a file on this machine, starts at the folder of `pilotage.yaml`. What is filled in is never read\n"
        "as YAML, so it may hold any sign. `$$` is a plain `$`; a `$` before anything else stays as it is.\n"
        "Unknown keys and keys given twice are mistakes; top-level keys that begin with `x-` are left alone, as a\n"
        "place for YAML anchors. Lengths of time are seconds or have a unit: `90s`, `10m`, `1h`, `1d`. Keys in\n"
        "**bold** are required.\n\n"
        "White space around a user name, password, token or address, and a line break in it, is a mistake that the\n"
        "check names: it would be sent along. A password may hold blanks inside. The `secret` of a webhook or of a\n"
        "callback is taken as it is, because the other side signs with just what was entered there; the check only\n"
        "warns of white space around a webhook's. Of a variable no newline is taken off: fill a Kubernetes Secret\n"
        "from `printf %s`, not from `echo`."
    )
    lines = [_head("orchestrator/config/models.py", "Configuration", "Every key of `pilotage.yaml`.", text)]
    for name, field, model in _keys(Config):
        lines.append(f"## `{name}`\n\n{field.description}\n")
        if model is not None:
            lines += [
                *_table(("key", "type", "default", "meaning", "example"), _rows(_under(name, field), model)),
                "",
            ]
    return "\n".join(lines)


def reason_codes() -> str:
    """Describe every reason that a run, a stage or a delivery can carry."""
    from orchestrator.domain.reasons import CATALOGUE

    text = (
        "Every state of a run or a stage carries one of these codes: in the API, in messages and as a log field.\n"
        "A code never changes its meaning."
    )
    lines = [_head("orchestrator/domain/reasons.py", "Reason codes", "Why something is as it is, in a word.", text)]
    rows = [(f"`{reason}`", known.text, known.next_step, known.actor) for reason, known in sorted(CATALOGUE.items())]
    return "\n".join([*lines, *_table(("code", "meaning", "next step", "who acts"), rows), ""])


def command_line() -> str:
    """Describe every command with its help text, and the exit codes."""
    from orchestrator.cli import COMMANDS, load

    text = "`pilotage COMMAND --help` prints the same. Completion for a shell: `pilotage completion bash`."
    lines = [
        _head("orchestrator/cli/", "Command line", "Every command, and the exit codes.", text),
        "## Exit codes\n",
    ]
    lines += _table(("code", "meaning"), [(code.value, meaning) for code, meaning in MEANINGS.items()])
    for name, entry in COMMANDS.items():
        if entry.hidden:
            continue
        lines.append(f"\n## `pilotage {name}`\n")
        try:
            lines += _help(f"pilotage {name}", load(name))
        except CliError:
            lines.append(entry.help)
    return "\n".join([*lines, ""])


def http_api() -> str:
    """Describe every call of the HTTP API."""
    from orchestrator.web.reference import render

    return render()


def openapi() -> str:
    """Return the OpenAPI document."""
    from orchestrator.web.reference import openapi_text

    return openapi_text()


def log_fields() -> str:
    """Describe every field of a log line."""
    from orchestrator.log_fields import FIELDS, MAX_STACK, MAX_TEXT

    text = (
        "Every process writes its log to standard output: one JSON object per line, all on one level, each field\n"
        "always of one type. `event` is one constant text for each kind of line; what differs is in the other\n"
        "fields. A line has the ids of what it is about. Build output is never here: it is in the log of its run.\n\n"
        f"A value is cut after {MAX_TEXT} characters, `err_stack` before its last {MAX_STACK}: a line stays below\n"
        "the 16 KiB at which container runtimes cut. Secrets of the configuration are shown as `***`.\n"
        "`server.log_level` or `PILOTAGE_LOG_LEVEL` sets the least that is said; requests of probes and for the\n"
        "pages' own files are said at `debug` only. Libraries say warnings and errors, never less.\n\n"
        "The types are those of Elasticsearch. [log-fields.json](log-fields.json) is the same table for programs,\n"
        "with the mapping of an index template."
    )
    lines = [_head("orchestrator/log_fields.py", "Log fields", "Every field of a log line.", text)]
    rows = [
        (f"`{name}`", field.kind, "always" if field.always else "", field.meaning) for name, field in FIELDS.items()
    ]
    return "\n".join([*lines, *_table(("field", "type", "", "meaning"), rows), ""])


def log_fields_json() -> str:
    """Return the fields of a log line, for programs."""
    from orchestrator.log_fields import as_json

    return json.dumps(as_json(), indent=2, ensure_ascii=False) + "\n"


def metrics() -> str:
    """Describe every metric and every label."""
    from orchestrator.domain.metrics import LABELS, METRICS

    lines = [_head("orchestrator/domain/metrics.py", "Metrics", "Every metric, and its labels.", _METRICS)]
    for metric in METRICS:
        lines.append(f"## `{metric.name}`\n\n{metric.text} ({metric.kind.value})\n")
        for label, values in metric.labels.items():
            known = ", ".join(f"`{value}`" for value in values)
            lines.append(f"* `{label}`: {known or LABELS[label]}")
        if metric.buckets:
            lines.append(f"* buckets: {', '.join(f'{bound:.10g}' for bound in metric.buckets)}")
        lines.append("")
    return "\n".join(
        [*lines, "## Labels\n", *_table(("label", "values"), [(f"`{k}`", v) for k, v in LABELS.items()]), ""]
    )


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "reason-codes.md": reason_codes,
    "metrics.md": metrics,
    "cli.md": command_line,
    "api.md": http_api,
    "openapi.json": openapi,
    "log-fields.md": log_fields,
    "log-fields.json": log_fields_json,
}
"""Every generated page and the function that makes it."""


def _head(source: str, title: str, kind: str, text: str) -> str:
    return _HEAD.format(source=source, title=title, kind=kind, text=text)


def _help(name: str, command: Any) -> Iterator[str]:
    """Yield the help of a command, or of every command of a group."""
    inner = getattr(command, "commands", None)
    if inner is not None:
        for sub_name, sub in inner.items():
            yield from (f"### `{name} {sub_name}`\n", *_help(f"{name} {sub_name}", sub), "")
        return
    context = command.context_class(command, info_name=name, terminal_width=WIDTH, help_option_names=HELP)
    yield f"```text\n{command.get_help(context).rstrip()}\n```"


def _rows(prefix: str, model: Any) -> Iterator[tuple[object, ...]]:
    for name, field, inner in _keys(model):
        path = f"{prefix}.{name}"
        shown = f"**`{path}`**" if field.is_required() else f"`{path}`"
        words = _type(field.annotation, field.metadata)
        yield shown, words, _default(field), field.description, _example(field)
        if inner is not None:
            yield from _rows(_under(path, field), inner)


def _keys(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the keys of a model, required ones first."""
    from orchestrator.config.shape import keys

    return iter(sorted(keys(model), key=lambda known: not known[1].is_required()))


def _under(path: str, field: Any) -> str:
    return f"{path}[]" if _type(field.annotation, []).startswith("list") else path


def _type(annotation: Any, metadata: list[Any]) -> str:
    """Name a type for people; our own types carry their words with them (`ValueType`)."""
    words = next((words for kind in metadata if (words := getattr(kind, "words", ""))), "")
    if words:
        return str(words)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0], list(inner[1:]))
    if origin in (Union, UnionType):
        return _type(next(part for part in inner if part is not type(None)), [])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin is list:
        return f"list of {_type(inner[0], [])}"
    if origin is dict:
        return f"mapping of {_type(inner[1], [])}s"
    return {bool: "`true` or `false`", int: "number", str: "text"}.get(annotation, "mapping")


def _default(field: Any) -> str:
    if field.is_required() or field.default_factory is not None or field.default in (None, "", [], {}):
        return ""
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):  # the file has no other numbers with a point than lengths of time
        return f"`{durations.short(value)}`"
    if "size" in (getattr(kind, "words", "") for kind in field.metadata):
        return f"`{value // 1024**2}MiB`"
    return f"`{value}`"


def _example(field: Any) -> str:
    if not field.examples:
        return ""
    example = field.examples[0]
    if isinstance(example, list):
        example = f"[{', '.join(example)}]"
    if isinstance(example, dict):
        example = "{" + ", ".join(f'{name}: "{value}"' for name, value in example.items()) + "}"
    return f"`{example}`"


def _table(head: tuple[str, ...], rows: Any) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    return lines + [f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
