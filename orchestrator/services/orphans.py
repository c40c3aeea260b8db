"""What the tables have of apps, environments and destinations that are not configured any more: a sentence each."""

from collections.abc import Iterator, Sequence

from orchestrator.domain.apps import Settings
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import Reference
from orchestrator.store import figures
from orchestrator.store.database import Connection
from orchestrator.store.database import now as clock

_LATELY = 7 * 86400.0
"""Seconds after its last run for which an environment that is gone is named: one that is retired is not for ever."""
_NAMED = 5
"""Runs that a sentence names; of the others it gives the number."""


def orphans(connection: Connection, settings: Settings) -> list[str]:
    """Say what the configuration has left behind, and what becomes of it; nothing where that is nothing.

    What is under a former name has not been left behind: the next start takes it along.
    """
    return [
        *_runs(connection, settings),
        *_holds(connection, settings),
        *_histories(connection, settings),
        *_messages(connection, settings),
    ]


def _runs(connection: Connection, settings: Settings) -> Iterator[str]:
    found: dict[tuple[tuple[str, str], bool], list[int]] = {}
    for run_id, where, reason in figures.reasons_of_active(connection):
        if not settings.has(*settings.name_of(*where)):
            found.setdefault((where, reason == Reason.AWAITING_APPROVAL), []).append(run_id)
    for (where, waits), ids in found.items():
        place, one = "/".join(where), len(ids) == 1
        state = ("waits" if one else "wait") + " for approval" if waits else ("is" if one else "are") + " under way"
        end, soon = ("it ends" if one else "they end"), ("the next hour" if waits else "the next minutes")
        yield (
            f"{_named(ids)} of {place} {state}, and {place} is not configured: {end} as `app_removed` in {soon},"
            f" unless {_comes_back(place)}."
        )


def _holds(connection: Connection, settings: Settings) -> Iterator[str]:
    for where, (why, by, _) in sorted(figures.holds(connection).items()):
        if settings.has(*settings.name_of(*where)):
            continue
        place = "/".join(where)
        yield (
            f"{place} is on hold by {by or 'nobody'} ({why}), and is not configured: the hold stops nothing, unless"
            f" {_comes_back(place)}; `pilotage app release {' '.join(where)}` ends it."
        )


def _histories(connection: Connection, settings: Settings) -> Iterator[str]:
    """Name what was at work lately and may only be called otherwise now: an app still makes images of its name."""
    left = [one for one in figures.with_history(connection) if not settings.has(*settings.name_of(*one))]
    apps = {app.image: app.name for app in settings.apps}
    for where, standing in sorted(figures.standings(connection, left).items()):
        run = standing.last
        app = apps.get(Reference.parse(run.image).path) if run else None
        if run is None or app is None or run.created_at.timestamp() < clock() - _LATELY:
            continue
        place = "/".join(where)
        yield (
            f"{place} is not configured, and {app} makes its image: if it has another name now, put the old one into"
            " `former_names` there, or the order of commits, holds and what was proven begin anew."
        )


def _messages(connection: Connection, settings: Settings) -> Iterator[str]:
    known = {name for one in settings.channels for name in (one.name, *one.former_names)}
    for channel, number in sorted(figures.pending_notifications(connection).items()):
        if channel in known:
            continue
        wait, end = ("message waits", "it is") if number == 1 else ("messages wait", "they are")
        yield (
            f"{number} {wait} for {channel}, which is no destination of the configuration: {end} given up a day after"
            f" being written, unless one has that `name` by then."
        )


def _comes_back(place: str) -> str:
    return f"you put {place} back or name it in `former_names` of what it is called now"


def _named(ids: Sequence[int]) -> str:
    if len(ids) == 1:
        return f"Run {ids[0]}"
    first, more = [str(one) for one in ids[:_NAMED]], len(ids) - _NAMED
    last = f"{more} more" if more > 0 else first.pop()
    return f"Runs {', '.join(first)} and {last}"
