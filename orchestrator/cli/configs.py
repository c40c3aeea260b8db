"""``pilotage config``: check the configuration before anything runs with it."""

import os
from dataclasses import asdict
from pathlib import Path

import typer

from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.options import Config, Output
from orchestrator.cli.output import Format, count, say, say_json, warn
from orchestrator.config import Checked, ConfigProblem, check, default_path

app = typer.Typer(help="Check the configuration; have it taken anew.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """Check the configuration; have it taken anew."""


@app.command("check")
def check_config(file: Config = None, output: Output = Format.TEXT) -> None:
    """Check the configuration; every problem is named with its line. Exits 1 when there is one.

    \b
    Example:
      pilotage config check --config pilotage.yaml
    """
    path = file or default_path(os.environ)
    checked = check(path, os.environ)
    if output is Format.JSON:
        say_json(_json(checked))
    else:
        _tell(path, checked)
    if checked.settings is None:
        raise typer.Exit(Code.FAILED)


@app.command("reload")
def reload_config(file: Config = None, output: Output = Format.TEXT) -> None:
    """Have the running `pilotage up` take it anew.

    It answers and works on meanwhile. The file is checked first; one with a problem changes nothing. Variables of the
    environment stay as they were at the start. `systemctl reload` can call this.

    \b
    Example:
      pilotage config reload --config pilotage.yaml
    """
    from orchestrator.cli.renewal import Renewed, ask, problems

    path = file or default_path(os.environ)
    checked = check(path, os.environ)
    if checked.settings is None and output is Format.JSON:
        told = f"it has problems: {problems(path, checked)}"
        say_json(asdict(Renewed(file=str(path.absolute()), taken=False, told=told)))
        raise typer.Exit(Code.FAILED)
    if checked.settings is None:
        _tell(path, checked)
        raise typer.Exit(Code.FAILED)
    renewed = ask(Path(checked.settings.state_dir))
    if output is Format.JSON:
        say_json(asdict(renewed))
    elif renewed.taken:
        say(f"{renewed.file}: taken; {renewed.told}")
    if not renewed.taken:
        raise CliError(f"{renewed.file} was not taken, and all goes on as before: {renewed.told}.", Code.FAILED)


def _tell(path: Path, checked: Checked) -> None:
    for warning in checked.warnings:
        warn(f"{path}:{warning.line}: warning: {warning.path}: {warning.message}")
    for problem in checked.problems:
        say(problem.located(path))
    settings = checked.settings
    if settings is None:
        warn(f"{count(len(checked.problems), 'problem')}; nothing was started or changed.")
        return
    environments = sum(len(app.environments) for app in settings.apps)
    say(
        f"{path}: OK, {count(len(settings.apps), 'app')}, {count(environments, 'environment')},"
        f" {count(len(settings.hooks), 'webhook')}, {count(len(settings.channels), 'destination')},"
        f" {count(len(checked.warnings), 'warning')}"
    )


def _json(checked: Checked) -> dict[str, object]:
    def plain(problem: ConfigProblem) -> dict[str, object]:
        return {"path": problem.path, "line": problem.line, "message": problem.message}

    return {
        "ok": checked.settings is not None,
        "problems": [plain(problem) for problem in checked.problems],
        "warnings": [plain(warning) for warning in checked.warnings],
    }
