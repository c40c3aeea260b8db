"""How a run looks while it is watched: plain lines for a pipe, a tree for a terminal, nothing for JSON."""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from orchestrator.cli import summary
from orchestrator.cli.api import Json
from orchestrator.cli.output import instant, one_line, say, stamp
from orchestrator.domain.durations import words

HEARTBEAT = 30.0
"""Seconds without a change after which a plain view prints a sign of life."""
_BUSY = ("running", "waiting", "failed")
_STYLES = {"running": "blue", "waiting": "yellow", "succeeded": "green", "failed": "red", "cancelled": "magenta"}


class View(Protocol):
    """What a watcher tells as the run goes on."""

    def show(self, run: Json) -> None:
        """Tell the state that was just read."""

    def beat(self, run: Json) -> None:
        """Tell that nothing has changed for a while."""

    def close(self) -> None:
        """Tell nothing more."""


class Silent:
    """Tells nothing: the caller wants one JSON document at the end."""

    def show(self, run: Json) -> None:
        """Tell nothing."""

    def beat(self, run: Json) -> None:
        """Tell nothing."""

    def close(self) -> None:
        """Tell nothing."""


class Plain:
    """One line per change of state, with its time in UTC; no cursor movement, no colour."""

    def __init__(self, compact: bool = False) -> None:
        self._compact = compact
        self._told: dict[str, tuple[object, ...]] = {}
        self._advice = ""

    def show(self, run: Json) -> None:
        """Print what is new since the last look; of the run itself only what none of its stages says."""
        shown = [stage for stage in summary.stages(run) if self._is_shown(stage)]
        for stage in shown:
            self._change(str(stage.get("name")), stage)
        if run.get("state") != "running" and all(_said(stage) != _said(run) for stage in shown):
            self._change(f"run {run.get('id')}", run)
        if (advice := _advice(run)) != self._advice:
            self._advice = advice
            if advice:
                say(f"{stamp(datetime.now(UTC))} {advice}")

    def beat(self, run: Json) -> None:
        """Print that the run is still at work, and on what."""
        busy = next((stage for stage in summary.stages(run) if stage.get("state") in _BUSY), run)
        age = f" for {lasted}" if (lasted := _age(busy, run)) else ""
        name = f"{busy['name']} " if "name" in busy else ""
        say(f"{stamp(datetime.now(UTC))} still {name}{summary.state_words(busy)}{age}")

    def close(self) -> None:
        """Print nothing."""

    def _is_shown(self, stage: Json) -> bool:
        return stage.get("reason") != "not_reached" and (not self._compact or stage.get("state") in _BUSY)

    def _change(self, name: str, thing: Json) -> None:
        state, news = thing.get("state"), (*_said(thing), thing.get("attempt"))
        if state in (None, "queued") or self._told.get(name) == news:
            return
        # What runs began at a known time; how a later look finds it changed at an unknown one.
        began = "started_at" if state == "running" and name not in self._told else ""
        self._told[name] = news
        when = instant(thing.get("finished_at") or thing.get(began)) or datetime.now(UTC)
        time = f" in {summary.took(thing)}" if thing.get("finished_at") and summary.took(thing) else ""
        sentence = summary.why(thing) if state in ("waiting", "failed", "cancelled") else ""
        say(f"{stamp(when)} {name} {summary.state_words(thing)}{time}" + (f": {sentence}" if sentence else ""))


def _advice(run: Json) -> str:
    """Return what a person must do so that a run that waits goes on; "" where nobody must do anything."""
    return summary.next_step(run) if run.get("state") == "waiting" else ""


def _said(thing: Json) -> tuple[object, object]:
    return thing.get("state"), thing.get("reason")


class Live:
    """A tree that is redrawn in place; gone again when the run is over, so that the summary stands alone."""

    def __init__(self, compact: bool, colour: bool) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        self._compact = compact
        self._run: Json = {}
        self._screen: Any = Screen(
            get_renderable=self._draw,
            console=Console(no_color=not colour, highlight=False),
            refresh_per_second=4,
            transient=True,
        )

    def show(self, run: Json) -> None:
        """Draw the state that was just read."""
        self._run = run
        self._screen.start(refresh=True)

    def beat(self, run: Json) -> None:
        """Nothing: the times that count up show that it is alive."""

    def close(self) -> None:
        """Take the tree away."""
        self._screen.stop()

    def _draw(self) -> Any:
        from rich.text import Text

        run = self._run
        text = Text(no_wrap=True, overflow="ellipsis")
        head = f"run {run.get('id')} {run.get('app')} / {run.get('environment')} {one_line(run.get('title'), 60)}\n"
        text.append(head, style="bold")
        for stage in summary.stages(run):
            if self._compact and stage.get("state") not in _BUSY:
                continue
            state = str(stage.get("state"))
            line = f"  {summary.SIGNS.get(state, '?')} {stage.get('name'):<7} {summary.state_words(stage)}"
            text.append(
                f"{line}  {_age(stage, run)}  {summary.why(stage) if state in _BUSY else ''}\n",
                _STYLES.get(state, ""),
            )
        if advice := _advice(run):
            text.append(f"{advice}\n")
        return text


def _age(thing: Json, run: Json) -> str:
    """Write how long a stage, or the run, took or goes on; one that waits for its turn, for how long it does."""
    if thing.get("finished_at"):
        return summary.took(thing)
    waits = thing.get("state") == "waiting" or thing is run
    since = instant(thing.get("started_at") or (run.get("waiting_since") if waits else None))
    return words(max(0.0, (datetime.now(UTC) - since).total_seconds())) if since else ""


def view_for(environ: Mapping[str, str], *, json: bool, compact: bool, colour: bool) -> View:
    """Choose the view: JSON tells nothing, a terminal gets the tree, everything else plain lines."""
    if json:
        return Silent()
    if sys.stdout.isatty() and environ.get("TERM", "dumb") != "dumb":
        return Live(compact, colour and not environ.get("NO_COLOR"))
    return Plain(compact)


def terminal_view(*, json: bool, compact: bool, colour: bool) -> View:
    """Choose the view for this process's own terminal and environment."""
    return view_for(os.environ, json=json, compact=compact, colour=colour)
