"""``pilotage token``: create, list and revoke API tokens, straight in the database."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.options import Config, Output
from orchestrator.cli.output import Format, say, say_json, tell

if TYPE_CHECKING:
    from orchestrator.store.database import Database

_MOST_DAYS = 36_500
"""A hundred years: every calendar and database can tell of that day."""
_LAST = 2**31 - 1
"""The last number that a table has."""
_TIMES = ("created_at", "expires_at", "revoked_at")

app = typer.Typer(help="API tokens.", no_args_is_help=True)


@app.callback()
def token() -> None:
    """API tokens."""


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what uses it, such as a person or a pipeline.")],
    role: Annotated[
        str, typer.Option(help="viewer reads, deployer starts and stops runs, admin does everything.")
    ] = "viewer",
    days: Annotated[
        int | None, typer.Option(min=1, max=_MOST_DAYS, help="Days until it expires. Default: never.")
    ] = None,
    config: Config = None,
) -> None:
    """Create a token. It is printed once and stored only as a hash.

    \b
    Example:
      pilotage token create ci-pipeline --role deployer --days 90
    """
    from orchestrator.services import tokens
    from orchestrator.store.database import now

    expires_at = now() + days * 86400 if days else None
    try:
        with _database(config) as database:
            plain = tokens.create(database, name, role, expires_at)
    except ValueError as error:
        raise CliError(str(error), Code.USAGE) from error
    say(plain)


@app.command("list")
def list_tokens(config: Config = None, output: Output = Format.TEXT) -> None:
    """List all tokens, revoked ones too; never the tokens themselves.

    \b
    Example:
      pilotage token list -o json
    """
    from orchestrator.services import tokens
    from orchestrator.services.views import rfc3339
    from orchestrator.store.rows import moment

    with _database(config) as database:
        found = tokens.list_all(database)
    if output is Format.JSON:
        say_json({"items": [one | {name: rfc3339(moment(one.get(name))) for name in _TIMES} for one in found]})
        return
    rows = [(one["id"], one["name"], one["role"], *(_when(one.get(name)) for name in _TIMES)) for one in found]
    tell(("ID", "NAME", "ROLE", "CREATED", "EXPIRES", "REVOKED"), rows, "No tokens.")


@app.command("revoke")
def revoke(
    number: Annotated[
        int, typer.Argument(metavar="ID", help="Number of the token, from `token list`.", min=1, max=_LAST)
    ],
    config: Config = None,
) -> None:
    """Revoke a token; it counts no more from the next request on.

    \b
    Example:
      pilotage token revoke 3
    """
    from orchestrator.services import tokens

    with _database(config) as database:
        revoked = tokens.revoke(database, number)
    if not revoked:
        raise CliError(f"There is no valid token {number}; see `pilotage token list`.", Code.USAGE)
    say(f"Token {number} is revoked.")


def _when(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


@contextmanager
def _database(config: Path | None) -> Iterator["Database"]:
    from orchestrator.cli import assembly

    with closing(assembly.open_database(assembly.load_store_settings(config))) as database:
        assembly.check_schema(database)
        yield database
