"""The ``pilotage`` command: a table of commands, each loaded only when it is called.

So ``pilotage --help`` imports none of the large libraries, and a part that is not installed takes nothing else away.
"""

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from orchestrator.cli.errors import MEANINGS, CliError, Code, ending
from orchestrator.cli.options import HELP
from orchestrator.cli.output import clean, have_streams, silence
from orchestrator.cli.proxies import spare_loopback
from orchestrator.domain.errors import PilotageError
from orchestrator.domain.wording import plainly


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: where it is (``module:attribute``, a function or a Typer group) and its line in the help."""

    target: str
    help: str
    hidden: bool = False


_SERVE = "orchestrator.cli.serve"
COMMANDS: dict[str, Entry] = {
    "up": Entry(f"{_SERVE}:up", "Run everything on this machine: web, webhooks, relay and workers."),
    "demo": Entry(f"{_SERVE}:demo", "Show a whole deploy on this machine, without any service of yours."),
    "init": Entry("orchestrator.cli.init:init", "Write .env and pilotage.yaml for docker-compose.yml."),
    "doctor": Entry(f"{_SERVE}:doctor", "Check every service that the configuration names."),
    "discover": Entry("orchestrator.cli.discover:discover", "Find what Argo CD deploys, as apps to configure."),
    "config": Entry("orchestrator.cli.configs:app", "Check the configuration; have it taken anew."),
    "run": Entry("orchestrator.cli.runs:app", "Start, follow, repeat and stop runs."),
    "app": Entry("orchestrator.cli.apps:app", "See what runs where; hold, release, roll back, promote."),
    "delivery": Entry("orchestrator.cli.deliveries:app", "See the webhook requests that arrived."),
    "token": Entry("orchestrator.cli.tokens:app", "Create, list and revoke API tokens."),
    "web": Entry(f"{_SERVE}:web", "Run the API and the pages."),
    "webhooks": Entry(f"{_SERVE}:webhooks", "Run the webhook endpoint alone."),
    "worker": Entry(f"{_SERVE}:worker", "Run a worker."),
    "relay": Entry(f"{_SERVE}:relay", "Run the relay: wake-ups, leases, polling."),
    "alive": Entry("orchestrator.cli.alive:alive", "Probe the relay or a worker on this machine."),
    "migrate": Entry(f"{_SERVE}:migrate", "Bring the database to this version."),
    "sandbox": Entry("orchestrator.cli.sandbox:app", "Serve the stand-ins of the demo."),
    "completion": Entry("orchestrator.cli.completion:completion", "Print a shell's completion script."),
    "docs": Entry("orchestrator.cli.reference:docs", "Write the reference pages.", hidden=True),
}
"""Every command, in the order of the help text."""


class Commands(TyperGroup):
    """The top of the command: knows the names from the table and loads what is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(
                TyperCommand(name, help=entry.help, short_help=entry.help, hidden=entry.hidden, rich_markup_mode=None)
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the name by the command itself, loading its module."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, placeholder if name is None else load(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Carry out what was called; what is wrong with a value is told without the checker's own words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = plainly(error.message)
            raise


def load(name: str) -> Any:
    """Load the command called `name`. :raises CliError: this installation does not have it."""
    module_name, attribute = COMMANDS[name].target.split(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name != module_name:
            raise
        raise CliError(f"`pilotage {name}` is not part of this installation.", Code.USAGE) from error
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer()
        found.command(name)(function)
    found.rich_markup_mode = None
    found._add_completion = False
    command = typer.main.get_command(found)
    command.name = name
    return command


def _version(asked: bool) -> None:
    if asked:
        from orchestrator.version import version

        typer.echo(f"pilotage {version()}")
        raise typer.Exit


_CODES = "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())
_app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": HELP},
)


@_app.callback(
    help="Takes a Git push to a proven, healthy deployment.\n\n\b\nExample:\n  pilotage demo\n  pilotage run list\n\n"
    f"\b\nExit codes:\n{_CODES}"
)
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options of ``pilotage`` itself."""


def command() -> Any:
    """Make the whole command, for calling it and for describing it."""
    return typer.main.get_command(_app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. :param arguments: without the program's name; None: those of this process."""
    have_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    spare_loopback(os.environ)
    if "_PILOTAGE_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        command().main(args=None if arguments is None else list(arguments), prog_name="pilotage")
    except CliError as error:
        _end(error)
    except (PilotageError, OSError) as error:
        _end(ending(error))


def _end(error: CliError) -> None:
    """Say why the command ends, and end it."""
    with contextlib.suppress(OSError):  # who closed standard error still gets the exit code
        print(clean(f"pilotage: {error}"), file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # else Python would end with a code of its own
        silence(sys.stdout)
    sys.exit(error.code)
