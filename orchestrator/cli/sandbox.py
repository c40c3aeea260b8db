"""``pilotage sandbox``: the stand-ins as services of their own, for the demo of ``docker-compose.yml``."""

import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.errors import CliError, Code, ending
from orchestrator.cli.output import say
from orchestrator.domain.errors import PilotageError

if TYPE_CHECKING:
    from orchestrator.sandbox.wiring import Credentials

app = typer.Typer(help="The stand-ins of the demo as services.", no_args_is_help=True)

_SHAPE = "these have three parts with dots between them; `pilotage init --demo` writes one."
LOOK = 5.0
"""Seconds between two checks whether the other side of a door can be reached."""
PATIENCE = 3
"""Failed checks after which a door ends, so that it is started anew."""


@app.callback()
def sandbox() -> None:
    """The stand-ins of the demo as services."""


@app.command("serve")
def serve(
    state_dir: Annotated[Path, typer.Option("--state-dir", metavar="FOLDER", help="Where their files are.")],
    hook: Annotated[str, typer.Option("--hook", metavar="URL", help="Pilotage's address, for the forge's hooks.")],
) -> None:
    """Serve a forge, Harbor, Argo CD and a chat until SIGTERM.

    Their addresses are those of `docker-compose.yml`. Their secrets come from HARBOR_PASSWORD, GITOPS_TOKEN,
    ARGOCD_TOKEN and GITHUB_SECRET.

    \b
    Example:
      pilotage sandbox serve --state-dir /var/lib/sandbox --hook http://webhooks:8480
    """
    from orchestrator.cli.api import host_of
    from orchestrator.sandbox import samples
    from orchestrator.sandbox.platform import SOURCE, Platform
    from orchestrator.sandbox.wiring import COMPOSE

    credentials = _credentials()
    host_of(hook)
    _check_name(COMPOSE.name)
    ended = _until_told()
    try:
        with Platform(state_dir, apps=samples.APPS, addresses=COMPOSE, credentials=credentials) as platform:
            platform.hook_to(hook)
            say(f"forge {platform.forge.clone_url(SOURCE)}  Harbor {platform.harbor_url}")
            ended.wait()
    except PilotageError as error:
        raise ending(error) from error


@app.command("door")
def door(
    port: Annotated[int, typer.Argument(metavar="PORT", min=1, max=65535, help="Port on this loopback.")],
    host: Annotated[str, typer.Argument(metavar="HOST", help="Host that the same port leads to.")],
) -> None:
    """Hand connections to a local port on to another host.

    Each connection to the port of 127.0.0.1 leads to the same port of the host.

    It ends when the host cannot be reached for a while: a container that shares the network of another one has to be
    started again after that one was.

    \b
    Example:
      pilotage sandbox door 8483 sandbox
    """
    from orchestrator.sandbox.door import Door

    ended = _until_told()
    opened = Door(("127.0.0.1", port), (host, port))
    opened.start()
    missed = 0
    while not ended.wait(LOOK):
        missed = 0 if opened.leads_somewhere() else missed + 1
        if missed >= PATIENCE:
            raise CliError(f"{host}:{port} cannot be reached.", Code.UNREACHABLE)
    opened.stop()


def _credentials() -> "Credentials":
    """Read the secrets. :raises CliError: one is missing, or would open nothing."""
    from orchestrator.sandbox.argocd_http import is_token
    from orchestrator.sandbox.wiring import Credentials

    names = {
        "hook": "GITHUB_SECRET",
        "robot": "HARBOR_PASSWORD",
        "forge": "GITOPS_TOKEN",
        "argocd": "ARGOCD_TOKEN",
    }
    missing = [name for name in names.values() if not os.environ.get(name)]
    if missing:
        raise CliError(f"Not set: {', '.join(missing)}; `pilotage init --demo` writes them.", Code.USAGE)
    if not is_token(os.environ[names["argocd"]]):
        raise CliError(f"{names['argocd']} is no token of Argo CD: {_SHAPE}", Code.USAGE)
    return Credentials(**{field: os.environ[name] for field, name in names.items()})


def _check_name(host: str) -> None:
    """See that the stand-ins can be reached by their name. :raises CliError: there is no such host."""
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        hint = "it is one of docker-compose.yml; without that use `pilotage demo --stay`"
        raise CliError(f"There is no host `{host}` here: {hint}.", Code.USAGE) from error


def _until_told() -> threading.Event:
    """Return an event that is set when the process is told to end."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended
