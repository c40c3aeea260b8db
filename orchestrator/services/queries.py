"""Read models: what the API, the pages and the command line show, each read in one consistent look at the tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.ansi import plain
from orchestrator.domain.apps import App, Settings
from orchestrator.domain.glances import Place, Witness
from orchestrator.domain.runs import Run
from orchestrator.domain.wording import Say, english
from orchestrator.services import targets
from orchestrator.services.app_views import EnvironmentStatus, app_view, deployed_view, hold_view
from orchestrator.services.dora import dora
from orchestrator.services.glance_views import Seen
from orchestrator.services.measures import measure
from orchestrator.services.views import View, delivery_view, run_view
from orchestrator.store import deliveries, figures, glances, logs, notifications, polls, runs, unread
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock
from orchestrator.store.logs import Line
from orchestrator.store.rows import utc
from orchestrator.store.tallies import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a list, newest first. ``next``: the cursor of what follows, or None at the end.

    A cursor is the last id shown: what is added meanwhile comes before it, so nothing is repeated or skipped.
    """

    items: list[View]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Lines of a log. ``last``: the number of the last one that there is; ``earlier``: some are before these."""

    lines: list[Line]
    last: int
    earlier: bool

    @property
    def later(self) -> bool:
        """There are lines after these."""
        return bool(self.lines) and self.lines[-1].n < self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Lines of a log that hold a text: the numbers of all of them, and the first ones whole."""

    numbers: tuple[int, ...]
    first: list[Line]


class Queries:
    """Answers questions; changes nothing. Every call :raises Unavailable: the database does not answer.

    :param say: the language of sentences.
    """

    def __init__(self, database: Database, settings: Settings, say: Say = english) -> None:
        self._database = database
        self._say = say
        self._settings = settings

    def runs(
        self,
        *,
        app: str = "",
        environment: str = "",
        state: str = "",
        commit: str = "",
        limit: int = 50,
        before: int | None = None,
        base: str | None = None,
    ) -> Page:
        """List runs. `before`: the cursor. `base`: address in front of our own links."""
        wanted = {"app": app, "environment": environment, "state": state, "commit": commit}
        with self._database.read() as connection:
            found = runs.page(connection, **wanted, limit=min(limit + 1, runs.MAX_PAGE), before=before)
        items = [run_view(run, self._settings, base=base, say=self._say) for run in found]
        return _page(items, limit)

    def run(self, run_id: int, *, base: str | None = None) -> View | None:
        """Show one run in full, or None."""
        with self._database.read() as connection:
            run = runs.load(connection, run_id)
            if run is None:
                return None
            attempts = runs.attempts_of(connection, run)
            told = notifications.of_run(connection, run_id)
        return run_view(run, self._settings, base=base, attempts=attempts, notifications=told, say=self._say)

    def load(self, run_id: int) -> Run | None:
        """Read one run as a value, or None."""
        with self._database.read() as connection:
            return runs.load(connection, run_id)

    def lines(self, run_id: int, *, after: int = 0, stage: str = "") -> list[Line]:
        """Read the next lines of a run's log."""
        with self._database.read() as connection:
            return logs.read(connection, run_id, after=after, stage=stage)

    def excerpt(self, run_id: int, count: int, *, line: int = 0, stage: str = "") -> Excerpt:
        """Read `count` lines of a run's log, or of one of its stages.

        :param line: somewhere among them; 0: the last ones.
        """
        with self._database.read() as connection:
            after = logs.before_last(connection, run_id, count, stage)
            if line:
                after = max(0, min(after, line - 1 - count // 4))
            found: list[Line] = []
            while len(found) < count and (more := logs.read(connection, run_id, after=after, stage=stage)):
                found.extend(more[: count - len(found)])
                after = more[-1].n
            first = logs.read(connection, run_id, stage=stage, limit=1)
            last = logs.before_last(connection, run_id, 1, stage) + 1 if found else 0
        return Excerpt(lines=found, last=last, earlier=bool(found and first[0].n < found[0].n))

    def find(self, run_id: int, text: str, count: int, *, stage: str = "") -> Found:
        """Find the lines of a run's log that hold a text, in capitals or small letters; `count` of them whole."""
        first: list[Line] = []
        numbers: list[int] = []
        wanted, after = text.casefold(), 0
        with self._database.read() as connection:
            while more := logs.read(connection, run_id, after=after, stage=stage):
                holding = [line for line in more if wanted in plain(line.text).casefold()]
                numbers.extend(line.n for line in holding)
                first.extend(holding[: count - len(first)])
                after = more[-1].n
        return Found(numbers=tuple(numbers), first=first)

    def deliveries(self, *, hook: str = "", outcome: str = "", limit: int = 50, before: int | None = None) -> Page:
        """List what arrived at the webhooks."""
        with self._database.read() as connection:
            rows = deliveries.page(connection, hook=hook, outcome=outcome, limit=limit + 1, before=before)
            made = runs.of_deliveries(connection, [row["id"] for row in rows])
        return _page([delivery_view(row, made[row["id"]]) for row in rows], limit)

    def delivery(self, delivery_id: int) -> View | None:
        """Show one delivery, or None."""
        with self._database.read() as connection:
            row = deliveries.load(connection, delivery_id)
            made = runs.of_deliveries(connection, [delivery_id])
        return None if row is None else delivery_view(row, made[delivery_id])

    def apps(self) -> list[View]:
        """Show every configured app with what runs where."""
        return self._apps(self._settings.apps)

    def app(self, name: str) -> View | None:
        """Show one app, or None."""
        app = self._settings.app(name)
        return self._apps([app])[0] if app else None

    def rollback_target(self, app: str, environment: str) -> View | None:
        """Show what a rollback would bring back now, or None."""
        with self._database.read() as connection:
            run = targets.of_rollback(connection, app, environment)
        return None if run is None else deployed_view(run)

    def promotion_target(self, app: str, source: str) -> View | None:
        """Show what would be promoted from the environment `source` now, or None."""
        with self._database.read() as connection:
            run = targets.of_promotion(connection, app, source)
        return None if run is None else deployed_view(run)

    def measures(self) -> Sums:
        """Read the values of all metrics; what this process has counted is written down first."""
        self._database.write_counts()
        with self._database.read() as connection:
            return measure(connection, self._settings, clock())

    def dora(self, days: int, *, app: str = "", environment: str = "") -> View:
        """Summarize the deployments of the last `days`."""
        with self._database.read() as connection:
            return dora(connection, clock(), days, app=app, environment=environment)

    def stray_holds(self) -> list[View]:
        """Show the holds of environments that are no longer configured; they count again if these come back."""
        with self._database.read() as connection:
            found = figures.holds(connection)
        configured = {(app.name, env.name) for app in self._settings.apps for env in app.environments}
        return [
            {"app": app, "environment": environment, **hold_view(hold)}
            for (app, environment), hold in sorted(found.items())
            if (app, environment) not in configured
        ]

    def _apps(self, apps: Sequence[App]) -> list[View]:
        places = [(app.name, env.name) for app in apps for env in app.environments]
        with self._database.read() as connection:
            statuses, asked = _statuses(connection, places), polls.last(connection)
            blind = unread.of_apps(connection)
        now = utc(clock())
        return [
            app_view(
                app,
                self._settings,
                {env.name: statuses[app.name, env.name] for env in app.environments},
                now,
                self._say,
                asked.get(app.name),
                blind.get(app.name),
            )
            for app in apps
        ]


def _statuses(connection: Connection, places: Sequence[Place]) -> dict[Place, EnvironmentStatus]:
    standings = figures.standings(connection, places)
    holds, looks = figures.holds(connection), glances.last_looks(connection)
    facts = glances.of_apps(connection, {app for app, _ in places})

    def seen(witness: Witness, place: Place) -> Seen:
        return Seen(facts=facts.get((witness, place)), look=looks.get(witness, glances.LastLook()))

    return {
        place: EnvironmentStatus(
            last=standings[place].last,
            deployed=standings[place].deployed,
            landed=standings[place].landed,
            judged=standings[place].judged,
            hold=holds.get(place),
            git=seen(Witness.GIT, place),
            argocd=seen(Witness.ARGOCD, place),
        )
        for place in places
    }


def _page(items: list[View], limit: int) -> Page:
    return Page(items=items[:limit], next=items[limit - 1]["id"] if len(items) > limit else None)
