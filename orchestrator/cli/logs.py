"""Read the log of a run: what is there now, or until the run is over."""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from orchestrator.cli import summary
from orchestrator.cli.api import Api, Json, unreachable
from orchestrator.cli.errors import Code
from orchestrator.cli.feed import Feed
from orchestrator.cli.output import Format, as_json, say, warn
from orchestrator.domain.errors import Unavailable

PATIENCE = 3600.0
"""Seconds that one wait for the next line may last before the next wait begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Which lines are wanted: of one stage or all (""), after a number or from the start (None)."""

    run: int
    stage: str = ""
    after: int | None = None
    output: Format = Format.TEXT


def logs(api: Api, reading: Reading, *, follow: bool) -> Code:
    """Print the lines; if there are none, say why on standard error.

    :raises CliError: there is no such run, or Pilotage cannot be reached.
    """
    run = api.run(reading.run)
    last = reading.after
    lines = _followed(api, reading) if follow else _present(api, reading)
    try:
        with closing(lines):
            for line in lines:
                _tell(line, reading.output)
                last = int(line.get("n", -1))
    except KeyboardInterrupt:
        stage = f" --stage {reading.stage}" if reading.stage else ""
        after = f" --after {last}" if last is not None else ""
        warn(f"Detached; go on with `pilotage run logs {reading.run} -f{stage}{after}`.")
        return Code.DETACHED
    if last == reading.after:
        warn(_why_empty(run, reading))
    return Code.SUCCEEDED


def _present(api: Api, reading: Reading) -> Generator[Json, None, None]:
    params = {"stage": reading.stage, "after": reading.after}
    try:
        with closing(api.stream(f"/runs/{reading.run}/logs", "application/x-ndjson", params)) as lines:
            for line in lines:
                if line:
                    yield json.loads(line)
    except Unavailable as error:
        raise unreachable(api.url, error) from error


def _followed(api: Api, reading: Reading) -> Generator[Json, None, None]:
    with closing(Feed(api, reading.run, reading.after, reading.stage)) as feed:
        while True:
            event = feed.next(PATIENCE)
            if event is not None and event.kind == "line":
                yield {"n": event.id, **event.data}
            elif event is not None and event.kind == "end":
                return


def _tell(line: Json, output: Format) -> None:
    if output is Format.JSON:
        say(as_json(line))
    else:
        say(str(line.get("text") or ""))


def _why_empty(run: Json, reading: Reading) -> str:
    more = " after the line named" if reading.after is not None else ""
    if not reading.stage:
        return f"Run {reading.run} has no log lines{more}; its state: {summary.state_words(run)}."
    stage = next((stage for stage in summary.stages(run) if stage.get("name") == reading.stage), {})
    text = f"Stage {reading.stage} has no log lines{more}; its state: {summary.state_words(stage)}."
    return f"{text} {summary.why(stage)}".strip()
