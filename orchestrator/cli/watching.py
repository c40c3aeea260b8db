"""Watch a run to its end: read its state, follow it, and exit with the code of its final state."""

import time
from contextlib import closing
from dataclasses import dataclass

from orchestrator.cli import summary
from orchestrator.cli.api import Api, Json
from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.feed import Feed, is_final
from orchestrator.cli.output import Format, say, say_json, warn
from orchestrator.cli.views import HEARTBEAT, View, terminal_view


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How a run is watched.

    :param timeout: seconds to wait; None: as long as it takes. :param heartbeat: seconds of silence of plain views.
    """

    timeout: float | None = None
    output: Format = Format.TEXT
    compact: bool = False
    colour: bool = True
    heartbeat: float = HEARTBEAT


def watch(api: Api, run_id: int, options: WatchOptions) -> Code:
    """Watch a run to its end, print its summary and return the exit code.

    :raises CliError: there is no such run, or Pilotage cannot be reached any more.
    """
    run = api.run(run_id)
    json = options.output is Format.JSON
    view = terminal_view(json=json, compact=options.compact, colour=options.colour)
    code = None
    try:
        view.show(run)
        if not is_final(run):
            with closing(Feed(api, run_id)) as feed:
                run, code = _follow(feed, run, options, view)
    except KeyboardInterrupt:
        code = Code.DETACHED
    except CliError as error:
        warn(f"Run {run_id} goes on; see it again with `pilotage run watch {run_id}`.")
        raise error from error.__cause__
    finally:
        view.close()
    return _end(api, run, code, options)


def _follow(feed: Feed, run: Json, options: WatchOptions, view: View) -> tuple[Json, Code | None]:
    deadline = time.monotonic() + options.timeout if options.timeout is not None else None
    quiet_since = time.monotonic()
    while not is_final(run):
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            return run, Code.TIMED_OUT
        pause = options.heartbeat - (now - quiet_since)
        event = feed.next(pause if deadline is None else min(pause, deadline - now))
        if event is not None and event.kind == "state" and event.data.get("state"):
            if event.data != run:
                quiet_since = time.monotonic()
            run = event.data
            view.show(run)
        if time.monotonic() - quiet_since >= options.heartbeat:
            view.beat(run)
            quiet_since = time.monotonic()
    return run, None


def _end(api: Api, run: Json, code: Code | None, options: WatchOptions) -> Code:
    if options.output is Format.JSON:
        say_json(run)
    elif code is None:
        for line in summary.ending(run, api.page(run)):
            say(line)
    else:
        say(api.page(run))
    again = f"run {run.get('id')} goes on; see it again with `pilotage run watch {run.get('id')}`."
    if code is Code.TIMED_OUT:
        warn(f"The time to wait is over; {again}")
    if code is Code.DETACHED:
        warn(f"Detached; {again}")
    return code if code is not None else summary.exit_code(run)
