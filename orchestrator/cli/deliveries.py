"""``pilotage delivery``: the webhook requests that arrived, and what became of them."""

from collections.abc import Callable
from typing import Annotated

import typer

from orchestrator.cli import options as o
from orchestrator.cli.api import Json, connect
from orchestrator.cli.output import Format, one_line, say, say_json, tell, warn
from orchestrator.domain.events import DeliveryOutcome

app = typer.Typer(help="Deliveries: webhook requests as they arrived.", no_args_is_help=True)


@app.command("list")
def list_deliveries(
    hook: Annotated[str, typer.Option("--hook", help="Only this forge's.")] = "",
    outcome: Annotated[DeliveryOutcome | None, typer.Option("--outcome", help="Only with this outcome.")] = None,
    limit: o.Limit = 20,
    cursor: o.Cursor = "",
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """List deliveries, newest first.

    \b
    Example:
      pilotage delivery list --hook github
    """
    wanted = {"hook": hook, "outcome": outcome, "limit": limit, "cursor": cursor}
    answer = connect(url, token_file).get("/deliveries", wanted)
    if output is Format.JSON:
        say_json(answer)
        return
    rows = [
        (
            item.get("id"),
            item.get("received_at"),
            item.get("hook"),
            item.get("event"),
            item.get("outcome"),
            _what(item),
        )
        for item in answer.get("items", [])
    ]
    nothing = "No such deliveries." if outcome or cursor else "No deliveries."
    tell(("ID", "RECEIVED", "HOOK", "EVENT", "OUTCOME", "WHAT"), rows, _none_of(hook) if hook else nothing)
    if answer.get("next"):
        warn(f"More: --cursor {answer['next']}")


@app.command()
def show(
    delivery: Annotated[int, typer.Argument(metavar="DELIVERY", help="Number of the delivery.", min=1)],
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Show one delivery and what became of it.

    \b
    Example:
      pilotage delivery show 7
    """
    answer = connect(url, token_file).get(f"/deliveries/{delivery}")
    if output is Format.JSON:
        say_json(answer)
        return
    for name, value in answer.items():
        if value not in (None, "", []):
            say(f"{name:<12} {_WORDS.get(name, one_line)(value)}")


def _none_of(hook: str) -> str:
    """Say that a forge sent nothing, and which forges there are if it is none of them (any path is a delivery)."""
    from webhooks.forges import FORGES

    known = "" if hook in FORGES else f"; forges are {', '.join(FORGES)}"
    return f"No such deliveries of `{one_line(hook)}`{known}."


def _what(item: Json) -> str:
    why = (one_line(item.get(name)) for name in ("reason", "detail"))
    return _runs(item.get("runs")) or ": ".join(filter(None, why))


def _changes(changes: object) -> str:
    found = changes if isinstance(changes, list) else []
    return ", ".join(one_line(f"{one.get('ref')} {one.get('commit') or 'deleted'}") for one in found)


def _runs(runs: object) -> str:
    found = runs if isinstance(runs, list) else []
    numbers = [str(run.get("id") if isinstance(run, dict) else run) for run in found]
    return f"run {', '.join(numbers)}" if numbers else ""


_WORDS: dict[str, Callable[[object], str]] = {"runs": _runs, "changes": _changes}
"""What is a list, and how people read it."""
