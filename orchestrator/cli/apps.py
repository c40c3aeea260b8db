"""``pilotage app``: what runs where, and holding, releasing, rolling back and promoting it."""

import time
import uuid
from collections.abc import Iterator
from typing import Annotated

import typer

from orchestrator.cli import options as o
from orchestrator.cli.api import Api, Json, connect, segment
from orchestrator.cli.app_words import details, row, warn_of_unread
from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.output import Format, one_line, say, say_json, tell, warn
from orchestrator.cli.runs import finish
from orchestrator.cli.watching import WatchOptions

_HEAD = ("APP", "ENVIRONMENT", "IN GIT NOW", "ARGO CD NOW", "COMMITTED", "PROVEN HEALTHY", "LAST RUN", "HOLD", "WHY")
_PATIENCE = 60.0
"""Seconds to wait until the relay has looked at the branches."""
_PAUSE = 0.5
app = typer.Typer(help="Apps: what runs where; hold, release, roll back and promote.", no_args_is_help=True)


@app.command("list")
def list_apps(output: o.Output = Format.TEXT, url: o.Url = o.URL, token_file: o.TokenFile = None) -> None:
    """List apps and their environments with what runs there.

    It shows what the GitOps branch and Argo CD were last seen to say, what Pilotage committed last, what was last
    proven healthy, and the last run. `pilotage app show` says when each was seen, and why where it is unknown.

    \b
    Example:
      pilotage app list
    """
    answer = connect(url, token_file).get("/apps")
    if output is Format.JSON:
        say_json(answer)
        return
    rows = [row(app, env) for app in answer.get("items", []) for env in app.get("environments", [])]
    tell(_HEAD, rows, "No apps are configured.")
    for one in answer.get("items", []):
        warn_of_unread(one)
    for one in answer.get("stray_holds", []):
        names = f"{one_line(one.get('app'))} {one_line(one.get('environment'))}"
        said = f"{names} is on hold by {one_line(one.get('by'))}: {one_line(one.get('reason'))}."
        warn(f"{said} It is no longer configured; `pilotage app release {names}` releases it.")


@app.command()
def show(
    app_name: o.AppName,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Show one app: what is there now, and what runs have done.

    \b
    Example:
      pilotage app show plate-web
    """
    answer = connect(url, token_file).get(f"/apps/{segment(app_name)}")
    if output is Format.JSON:
        say_json(answer)
        return
    for env in answer.get("environments", []):
        say(f"{one_line(answer.get('name'))} {one_line(env.get('name'))}")
        for name, value in details(env).items():
            if value:
                say(f"  {name:<15} {value}")
    warn_of_unread(answer)


@app.command()
def poll(
    app_name: o.AppName,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Look for pushes whose hook was lost, now.

    The branches that the app names exactly are compared with where they were last seen. That is done by itself, too,
    every `server.poll_interval`.

    \b
    Example:
      pilotage app poll plate-web
    """
    api, path = connect(url, token_file), f"/apps/{segment(app_name)}"
    api.post(f"{path}/poll", key=str(uuid.uuid4()))
    found = _polled(api, path, time.monotonic() + _PATIENCE)
    if output is Format.JSON:
        say_json(found)
    else:
        for line in _poll_lines(app_name, found):
            say(line)
    if found.get("problem"):
        raise CliError(f"{app_name}: {one_line(found['problem'])}", Code.FAILED)


def _polled(api: Api, path: str, deadline: float) -> Json:
    while True:
        found: Json = api.get(path).get("poll") or {}
        if found.get("done_at"):
            return found
        if time.monotonic() > deadline:
            said = f"The relay has not looked within {_PATIENCE:.0f} s; it will as soon as it runs and has the time."
            raise CliError(said, Code.TIMED_OUT)
        time.sleep(_PAUSE)  # there is no event for "the relay has looked"


def _poll_lines(app_name: str, found: Json) -> Iterator[str]:
    branches, missing = (", ".join(map(one_line, found.get(name) or ())) for name in ("branches", "missing"))
    yield from (f"run {run} started" for run in found.get("runs") or ())
    if not found.get("runs") and not found.get("problem"):
        yield f"{app_name}: nothing has moved without being known ({branches or 'no branch is there'})."
    if missing:
        yield f"{app_name}: not there: {missing}."


@app.command()
def hold(
    app_name: o.AppName,
    environment: o.EnvironmentName,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown to everyone who waits.")] = "",
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Stop deploys to an environment until it is released.

    Runs wait, rollbacks do not.

    \b
    Example:
      pilotage app hold plate-web prod --reason "release freeze"
    """
    api = connect(url, token_file)
    before = _environment(api, app_name, environment).get("hold")
    answer = api.post(_path(app_name, environment, "hold"), {"reason": reason})
    _tell(
        answer,
        f"{app_name}/{environment} is on hold; let it go on with `pilotage app release {app_name} {environment}`.",
        output,
    )
    if before:
        whose, why = one_line(before.get("by")), one_line(before.get("reason"))
        warn(f"It was already, by {whose}: {why}. This replaces that.")


@app.command()
def release(
    app_name: o.AppName,
    environment: o.EnvironmentName,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Let deploys to an environment go on.

    \b
    Example:
      pilotage app release plate-web prod
    """
    api = connect(url, token_file)
    held = _environment(api, app_name, environment).get("hold", True)
    answer = api.post(_path(app_name, environment, "release"))
    _tell(answer, f"{app_name}/{environment} {'is released' if held else 'was not on hold'}.", output)


@app.command()
def rollback(
    app_name: o.AppName,
    environment: o.EnvironmentName,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="RUN", help="Go back to what this run deployed. Default: the one before."),
    ] = None,
    wait: o.Wait = False,
    timeout: o.Timeout = None,
    compact: o.Compact = False,
    no_color: o.NoColour = False,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Bring back what was deployed before.

    It is a new run and a new commit, and does not wait for approval. It is not promoted by itself: environments that
    are promoted from this one stay as they are.

    \b
    Example:
      pilotage app rollback plate-web prod --wait
      pilotage app rollback plate-web prod --to 17
    """
    api = connect(url, token_file)
    undo = _undo(api, app_name, environment)
    answer = api.post(_path(app_name, environment, "rollback"), {"to": to}, str(uuid.uuid4()))
    options = WatchOptions(timeout=timeout, output=output, compact=compact, colour=not no_color)
    finish(api, answer, wait=wait, options=options, note=f"To undo it: `{undo}`." if undo else "")


@app.command()
def promote(
    app_name: o.AppName,
    environment: o.EnvironmentName,
    wait: o.Wait = False,
    timeout: o.Timeout = None,
    compact: o.Compact = False,
    no_color: o.NoColour = False,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Bring what is proven in the environment before to this one.

    It does not wait for approval.

    \b
    Example:
      pilotage app promote plate-web prod --wait
    """
    api = connect(url, token_file)
    answer = api.post(_path(app_name, environment, "promote"), key=str(uuid.uuid4()))
    finish(
        api,
        answer,
        wait=wait,
        options=WatchOptions(timeout=timeout, output=output, compact=compact, colour=not no_color),
    )


def _undo(api: Api, app_name: str, environment: str) -> str:
    """Name the command that brings back what is in Git now, or "" if that is unknown."""
    in_git = _environment(api, app_name, environment).get("in_git")
    if not isinstance(in_git, dict):
        return ""
    if not in_git.get("proven"):  # only what was proven is rolled back to
        return f"pilotage run rerun {in_git.get('run')}"
    return f"pilotage app rollback {app_name} {environment} --to {in_git['verdict']['id']}"


def _environment(api: Api, app_name: str, environment: str) -> Json:
    """Read an environment before an action changes it; {} if it cannot be read."""
    try:
        envs = api.get(f"/apps/{segment(app_name)}").get("environments", [])
    except CliError:
        return {}  # nothing may stand in the way of a rollback
    return next((env for env in envs if env.get("name") == environment), {})


def _path(app_name: str, environment: str, action: str) -> str:
    return f"/apps/{segment(app_name)}/environments/{segment(environment)}/{action}"


def _tell(answer: Json, sentence: str, output: Format) -> None:
    if output is Format.JSON:
        say_json(answer)
    else:
        say(sentence)
