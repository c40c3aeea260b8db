"""The commands that serve: everything on one machine, or one process of it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.errors import CliError, Code, ending
from orchestrator.cli.options import Config, Output
from orchestrator.cli.output import Format, mention, say, say_json
from orchestrator.domain.errors import PilotageError

if TYPE_CHECKING:
    from flask import Flask

    from orchestrator.cli.assembly import Parts


def up(config: Config = None) -> None:
    """Run everything on this machine: web, webhooks, relay, workers, and a broker if none is configured.

    As long as nothing has run here yet (the state folder is empty), a page lists what the configuration lacks.

    \b
    Example:
      pilotage up --config pilotage.yaml
    """
    from orchestrator.cli import assembly
    from orchestrator.cli.first_run import await_configuration
    from orchestrator.cli.supervise import Hangups
    from orchestrator.config import default_path

    hangups = Hangups()
    await_configuration(config)
    hangups.asked = False  # the page looks at the file by itself
    settings = assembly.load_settings(config)
    assembly.log_as("up", settings)
    from orchestrator.cli.everything import run

    file = config or default_path(os.environ)
    run(settings, file, hangups, lambda url: mention(f"Pilotage answers on {url}"))


def web(config: Config = None) -> None:
    """Run the API and the pages.

    \b
    Example:
      pilotage web --config pilotage.yaml
    """
    from orchestrator.cli import assembly

    _serve("web", config, assembly.web_app)


def webhooks(config: Config = None) -> None:
    """Run the webhook endpoint alone, for a host of its own.

    \b
    Example:
      pilotage webhooks --config pilotage.yaml
    """
    from orchestrator.cli import assembly

    _serve("webhooks", config, assembly.webhooks_app)


def worker(
    config: Config = None,
    queue: Annotated[str, typer.Option(help="The pool to serve: build or deploy.")] = "build",
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes of the pool. Default: server.concurrency.")
    ] = None,
) -> None:
    """Run a worker. `build` makes and pushes images and goes on with the run; `deploy` does all that is short.

    \b
    Example:
      pilotage worker --queue build --concurrency 4
    """
    from orchestrator.cli.everything import run_worker
    from orchestrator.domain.runs import QUEUES

    if queue not in QUEUES:
        raise CliError(f"There is no queue {queue!r}; choose one of {', '.join(QUEUES)}.", Code.USAGE)
    parts = _start(f"worker-{queue}", config)
    run_worker(parts, {queue: concurrency or parts.settings.concurrency})


def relay(config: Config = None) -> None:
    """Run the relay: wake-ups, leases, notifications, clicks, Argo CD's changes, lost hooks.

    \b
    Example:
      pilotage relay --config pilotage.yaml
    """
    from orchestrator.cli.everything import run_relay

    run_relay(_start("relay", config))


def migrate(config: Config = None) -> None:
    """Bring the database to the schema of this version. Safe to run twice, and from several machines at once.

    \b
    Example:
      pilotage migrate --config pilotage.yaml
    """
    from orchestrator.cli import assembly
    from orchestrator.store import migrate as migrations

    with _told("migrate"):
        settings = assembly.load_settings(config)
        assembly.log_as("migrate", settings)
        with contextlib.closing(assembly.open_database(settings)) as database:
            migrations.upgrade(database)
            schema = migrations.current(database)
    typer.echo(f"The database is at schema {schema}.", err=True)


def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything up to play with, until Ctrl-C.")] = False,
) -> None:
    """Show a whole deploy on this machine with stand-ins for the forge, Harbor, Argo CD and Slack.

    \b
    Example:
      pilotage demo --stay
    """
    from orchestrator.cli.demo import run

    raise typer.Exit(run(stay=stay))


def doctor(config: Config = None, output: Output = Format.TEXT) -> None:
    """Check every service that the configuration names; one line each, with what to do where one fails.

    \b
    Example:
      pilotage doctor -o json | jq '.items[] | select(.result == "fail")'
    """
    from orchestrator.cli import assembly
    from orchestrator.cli.doctor import examine
    from orchestrator.cli.findings import CheckResult
    from orchestrator.config import default_path

    settings = assembly.read_settings(config)
    items: list[CheckResult] = []
    for found in examine(settings, config or default_path(os.environ)):
        items.append(found)
        if output is Format.TEXT:
            say("\n".join(found.lines()))
    well = all(found.result != "fail" for found in items)
    if output is Format.JSON:
        say_json({"well": well, "items": [asdict(found) for found in items]})
    if not well:
        raise typer.Exit(Code.FAILED)


def _serve(service: str, config: Path | None, make: "Callable[[Parts], Flask]") -> None:
    from orchestrator.cli.claim import listen
    from orchestrator.cli.httpd import Httpd

    parts = _start(service, config)
    listener = listen(parts.settings.bind)
    Httpd(lambda: make(parts), f"fd://{listener.detach()}").run()


def _start(service: str, config: Path | None) -> "Parts":
    from orchestrator.cli import assembly

    with _told(service):
        settings = assembly.load_settings(config)
        assembly.log_as(service, settings)
        parts = assembly.parts(settings)
        with contextlib.closing(parts.database()) as database:
            assembly.check_schema(database)
            assembly.adopt_names(settings, database)
    return parts


@contextlib.contextmanager
def _told(service: str) -> Iterator[None]:
    """Say in the log, in one line, what stops a process from starting: a container has nobody at its terminal."""
    from orchestrator import journal

    journal.configure(service)  # without secrets to hide as yet; `log_as` names them
    try:
        yield
    except (CliError, PilotageError, OSError) as error:
        known = error if isinstance(error, CliError) else ending(error)
        journal.get(__name__).critical("process not started", detail=str(known))
        raise known from error
