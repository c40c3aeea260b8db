"""``pilotage run``: look at runs, start and stop them, follow them."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer

from orchestrator.cli import options as o
from orchestrator.cli import summary
from orchestrator.cli.api import Api, Json, connect
from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.logs import Reading, logs
from orchestrator.cli.output import Format, instant, say, say_json, tell, warn
from orchestrator.cli.watching import WatchOptions, watch
from orchestrator.domain.durations import words
from orchestrator.domain.refs import is_sha
from orchestrator.domain.runs import RunState, StageName

app = typer.Typer(help="Runs: start, follow, repeat and stop deploys.", no_args_is_help=True)

After = Annotated[
    int | None,
    typer.Option("--after", min=0, metavar="N", help="Only lines after number N: go on where a log ended."),
]


@app.command("list")
def list_runs(
    app_name: Annotated[str, typer.Option("--app", help="Only this app.")] = "",
    environment: Annotated[str, typer.Option("--environment", "--env", help="Only this environment.")] = "",
    state: Annotated[RunState | None, typer.Option("--state", help="Only this state.")] = None,
    commit: Annotated[
        str, typer.Option("--commit", help="Only this source commit: its id, or the beginning of it.")
    ] = "",
    limit: o.Limit = 20,
    cursor: o.Cursor = "",
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """List runs, newest first.

    \b
    Example:
      pilotage run list --app plate-web --state failed
      pilotage run list --commit $(git rev-parse HEAD)
      pilotage run list -o json | jq '.items[].id'
    """
    wanted = {"app": app_name, "environment": environment, "state": state, "commit": commit.lower()}
    api = connect(url, token_file)
    answer = api.get("/runs", {**wanted, "limit": limit, "cursor": cursor})
    if output is Format.JSON:
        say_json(answer)
        return
    rows = _rows(answer)
    if not rows:
        _check_names(api, app_name, environment)
    nothing = "No such runs." if any(wanted.values()) or cursor else "No runs."
    tell(("RUN", "STATE", "APP", "ENVIRONMENT", "COMMIT", "AGE", "TITLE"), rows, nothing)
    if answer.get("next"):
        warn(f"More: --cursor {answer['next']}")


def _rows(answer: Json) -> list[tuple[object, ...]]:
    return [
        (
            run.get("id"),
            summary.state_words(run),
            run.get("app"),
            run.get("environment"),
            str(run.get("commit") or "")[:12],
            _age(run),
            run.get("title") or str(run.get("image") or run.get("ref") or "").removeprefix("refs/heads/"),
        )
        for run in answer.get("items", [])
    ]


def _age(run: Json) -> str:
    since = instant(run.get("created_at"))
    return words(max(0.0, (datetime.now(UTC) - since).total_seconds())) if since else ""


@app.command()
def show(run: o.RunId, output: o.Output = Format.TEXT, url: o.Url = o.URL, token_file: o.TokenFile = None) -> None:
    """Show one run with its stages, its reason and its receipt.

    \b
    Example:
      pilotage run show 42
    """
    api = connect(url, token_file)
    found = api.run(run)
    if output is Format.JSON:
        say_json(found)
        return
    for line in summary.details(found, api.page(found)):
        say(line)


@app.command()
def start(
    app_name: o.AppName,
    environment: Annotated[
        str,
        typer.Argument(metavar="ENVIRONMENT", help="Name of the environment; not needed when there is only one."),
    ] = "",
    ref: Annotated[
        str | None, typer.Option("--ref", help="Branch or tag to deploy. Default: the environment's branch.")
    ] = None,
    commit: Annotated[str | None, typer.Option("--commit", help="Commit to deploy: the full id.")] = None,
    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            help="Tag of an image in the registry, or its digest where `value` is `digest` or `image`.",
        ),
    ] = None,
    key: Annotated[
        str, typer.Option("--idempotency-key", help="Starting again with the same key gives the same run.")
    ] = "",
    wait: o.Wait = False,
    timeout: o.Timeout = None,
    compact: o.Compact = False,
    no_color: o.NoColour = False,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Start a run; prints its number and address at once.

    \b
    Example:
      pilotage run start plate-web stg --ref main --wait --timeout 20m
      pilotage run start plate-web prod --image sha-0123456789ab
    """
    source = _source({"ref": ref, "commit": commit, "image": image})
    api = connect(url, token_file)
    if not environment or not source:
        environment, source = _defaults(api, app_name, environment, source)
    body = {"app": app_name, "environment": environment, **source}
    answer = api.post("/runs", body, key or str(uuid.uuid4()))
    options = WatchOptions(timeout=timeout, output=output, compact=compact, colour=not no_color)
    finish(api, answer, wait=wait, options=options)


def _source(named: dict[str, str | None]) -> dict[str, str]:
    """Return what is to be deployed as the API takes it; nothing where the command does not say.

    :raises CliError: it says more than one thing, an empty one (a variable that is not set), or no whole commit.
    """
    given = {name: text for name, text in named.items() if text is not None}
    if len(given) > 1:
        raise CliError("Give only one of --ref, --commit and --image.", Code.USAGE)
    for name, text in given.items():
        if not text.strip():
            raise CliError(f"--{name} is empty; give it a value, or leave it out.", Code.USAGE)
    if "commit" in given and not is_sha(given["commit"].lower()):
        raise CliError("Give --commit the full 40 digits of the commit; `git rev-parse` prints them.", Code.USAGE)
    return {name: text.lower() if name == "commit" else text for name, text in given.items()}


def _defaults(api: Api, app_name: str, environment: str, source: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Fill in what follows from the app's configuration: its only environment, and the branch of that."""
    known = _environments(api, app_name)
    chosen = environment or (next(iter(known)) if len(known) == 1 else "")
    if not chosen:
        raise CliError(f"Name an environment of `{app_name}`: {', '.join(known)}.", Code.USAGE)
    if chosen not in known:
        raise _unknown("environment", chosen, known)
    branch = str(known[chosen].get("branch") or "")
    if not source and (not branch or set(branch) & set("*?[")):
        raise CliError(f"`{chosen}` follows no single branch; give --ref, --commit or --image.", Code.USAGE)
    return chosen, source or {"ref": branch}


def _environments(api: Api, app_name: str) -> dict[str, Json]:
    """Return the environments of an app by their names. :raises CliError: there is no such app."""
    apps = {str(found.get("name")): found for found in api.get("/apps").get("items", [])}
    if app_name not in apps:
        raise _unknown("app", app_name, apps)
    return {str(found.get("name")): found for found in apps[app_name].get("environments", [])}


def _check_names(api: Api, app_name: str, environment: str) -> None:
    """Refuse a name that does not exist, as opposed to one without runs. :raises CliError: nothing has it."""
    if app_name:
        known = {*_environments(api, app_name)}
    elif environment:
        apps = api.get("/apps").get("items", [])
        known = {str(found.get("name")) for one in apps for found in one.get("environments", [])}
    if environment and environment not in known:
        raise _unknown("environment", environment, known)


def _unknown(what: str, name: str, known: Iterable[str]) -> CliError:
    return CliError(f"There is no {what} `{name}`; known are {', '.join(sorted(known)) or 'none'}.", Code.USAGE)


@app.command()
def rerun(
    run: o.RunId,
    from_stage: Annotated[
        str,
        typer.Option("--from", metavar="STAGE", help="`failed` (the default), `start`, or a stage to begin with."),
    ] = "",
    wait: o.Wait = False,
    timeout: o.Timeout = None,
    compact: o.Compact = False,
    no_color: o.NoColour = False,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Repeat a run; only what it did not prove really runs.

    What the old one proved is proved again and reused. The re-run of an approved run does not wait for approval. That
    of a push ends as `older_commit` when something newer is deployed; see `app rollback` and `run start --commit`.

    \b
    Example:
      pilotage run rerun 42 --wait
      pilotage run rerun 42 --from build
    """
    if from_stage not in ("", "failed", "start", *StageName):
        raise CliError(f"There is no stage `{from_stage}`; known are {', '.join(StageName)}.", Code.USAGE)
    api = connect(url, token_file)
    answer = api.post(f"/runs/{run}/rerun", {"from": from_stage}, str(uuid.uuid4()))
    finish(
        api,
        answer,
        wait=wait,
        options=WatchOptions(timeout=timeout, output=output, compact=compact, colour=not no_color),
    )


@app.command()
def cancel(
    run: o.RunId,
    wait: o.Wait = False,
    timeout: o.Timeout = None,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Ask a run to stop. With --wait it exits 5 when the run is cancelled.

    \b
    Example:
      pilotage run cancel 42
    """
    api = connect(url, token_file)
    answer = api.post(f"/runs/{run}/cancel")
    options = WatchOptions(timeout=timeout, output=output)
    finish(api, {"id": run, **answer}, wait=wait, options=options, note="It is asked to stop.")


@app.command()
def approve(
    run: o.RunId,
    wait: o.Wait = False,
    timeout: o.Timeout = None,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Approve a run that waits for it.

    \b
    Example:
      pilotage run approve 43 --wait
    """
    api = connect(url, token_file)
    answer = api.post(f"/runs/{run}/approve")
    options = WatchOptions(timeout=timeout, output=output)
    finish(api, {"id": run, **answer}, wait=wait, options=options, note="It is approved.")


@app.command("watch")
def watch_run(
    run: o.RunId,
    timeout: o.Timeout = None,
    compact: o.Compact = False,
    no_color: o.NoColour = False,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Follow a run to its end and exit with its result.

    A terminal shows a tree; a pipe gets one line per change, with a sign of life every 30 s. The last line printed is
    the run's address. With `-o json` the finished run is printed as JSON. Exit codes: 0 succeeded, 1 failed, 4 the
    time to wait is over, 5 cancelled or superseded, 130 detached by Ctrl-C (the run goes on).

    \b
    Example:
      pilotage run watch 42 --timeout 20m
    """
    options = WatchOptions(timeout=timeout, output=output, compact=compact, colour=not no_color)
    raise typer.Exit(watch(connect(url, token_file), run, options))


@app.command("logs")
def show_logs(
    run: o.RunId,
    stage: Annotated[str, typer.Option("--stage", "--step", help="Only this stage's lines.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    after: After = None,
    output: o.Output = Format.TEXT,
    url: o.Url = o.URL,
    token_file: o.TokenFile = None,
) -> None:
    """Print the log of a run, at any moment.

    With `-o json` each line is a JSON object.

    \b
    Example:
      pilotage run logs 42 --stage build
      pilotage run logs 42 -f --after 120
    """
    if stage and stage not in tuple(StageName):
        raise CliError(f"There is no stage `{stage}`; known are {', '.join(StageName)}.", Code.USAGE)
    reading = Reading(run=run, stage=stage, after=after, output=output)
    raise typer.Exit(logs(connect(url, token_file), reading, follow=follow))


def finish(api: Api, answer: Json, *, wait: bool, options: WatchOptions, note: str = "") -> None:
    """Print the run that a request gave, and follow it when that is asked for, be it by naming for how long.

    :param note: one more line for people. :raises typer.Exit: with the run's result, after following it.
    """
    wait = wait or options.timeout is not None
    if options.output is Format.TEXT:
        say(f"run {answer.get('id')} {api.page(answer)}")
        if note:
            say(note)
    elif not wait:
        say_json(answer)
    if wait:
        raise typer.Exit(watch(api, int(answer["id"]), options))
