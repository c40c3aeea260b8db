"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.output import Format
from orchestrator.domain import durations

URL = "http://127.0.0.1:8480"
"""The address of Pilotage if none is given."""
HELP = ["-h", "--help"]
"""The options of every command that print its help."""


def duration(text: str) -> float:
    """Read a length of time on the command line."""
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"`{text}` {error}") from error


Url = Annotated[
    str, typer.Option("--url", envvar="PILOTAGE_URL", help="Address of Pilotage.", metavar="URL", show_envvar=True)
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="PILOTAGE_TOKEN_FILE",
        metavar="FILE",
        help="File with the API token; one that others can read is refused. PILOTAGE_TOKEN takes precedence."
        " Default: `token` in the state folder beside the configuration, if it is there.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="PILOTAGE_CONFIG", metavar="FILE", help="The configuration. Default: pilotage.yaml."
    ),
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the answer.", metavar="text|json")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100, help="Show at most this many.")]
Cursor = Annotated[str, typer.Option("--cursor", help="Where the previous page ended.", metavar="CURSOR")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the run to its end and exit with its result.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        parser=duration,
        metavar="TIME",
        help="Follow the run for this long, as in 90s or 20m; it goes on.",
    ),
]
Compact = Annotated[bool, typer.Option("--compact", help="Show only stages that are at work, wait or failed.")]
NoColour = Annotated[bool, typer.Option("--no-color", help="No colour. NO_COLOR does the same.")]
RunId = Annotated[int, typer.Argument(metavar="RUN", help="Number of the run.", min=1)]
AppName = Annotated[str, typer.Argument(metavar="APP", help="Name of the app.")]
EnvironmentName = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Name of the environment.")]
