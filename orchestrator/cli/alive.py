"""``pilotage alive``: the probe of processes that answer no HTTP. It loads next to nothing and uses no network."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator import heartbeat
from orchestrator.cli.errors import CliError, Code


def alive(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="Which process: relay, worker-build or worker-deploy.")
    ],
    max_age: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long ago its last heartbeat may be.")
    ] = heartbeat.MAX_AGE,
    state_dir: Annotated[
        Path,
        typer.Option(envvar="PILOTAGE_STATE_DIR", metavar="FOLDER", help="The state folder. Default: state."),
    ] = Path("state"),
) -> None:
    """Exit 0 when the relay or a worker on this machine has shown lately that it is not stuck, else 1.

    It looks at the age of one file, so it may run every few seconds, and says nothing about broker or database.

    \b
    Example:
      pilotage alive worker-build --max-age 60
    """
    if service not in heartbeat.SERVICES:
        raise CliError(f"There is no service {service!r}; choose one of {', '.join(heartbeat.SERVICES)}.", Code.USAGE)
    file = heartbeat.file_of(state_dir, service)
    age = heartbeat.age(file)
    if age is None:
        step = "start it, or name the state folder with --state-dir"
        raise CliError(f"{service} has shown no sign of life: there is no {file}; {step}.", Code.FAILED)
    if age > max_age:
        raise CliError(f"{service} is stuck: its last heartbeat is {age:.0f} s old.", Code.FAILED)
