"""Periodic repairs of what a crash or a lost message left behind."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from orchestrator import journal
from orchestrator.domain.apps import App, Settings
from orchestrator.domain.events import Push, RefChange, RepoNames
from orchestrator.domain.masking import Mask
from orchestrator.domain.metrics import LEASES_LOST
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import repo_key
from orchestrator.domain.runs import StageName, Trigger
from orchestrator.domain.secrets import secrets_in
from orchestrator.engine.facts import LeaseExpired
from orchestrator.engine.gate import STILL_THERE
from orchestrator.engine.matching import Matched, Wanted
from orchestrator.services import ledger, story
from orchestrator.services.execution import timeout_of
from orchestrator.services.pushes import LOCK, judge, polled_key
from orchestrator.store import (
    claims,
    heads,
    notifications,
    polls,
    processes,
    pushes,
    runs,
    tallies,
    unread,
    waits,
    wakes,
)
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock
from orchestrator.store.dialect import alone
from orchestrator.store.rows import utc

MARGIN = 60.0
"""Seconds by which a time may exceed its maximum before it counts as written by a clock that was set back since."""
UNKNOWN_FOR = 24 * 3600.0
"""Seconds for which a message waits for a channel that this process does not know: its configuration may be older."""
LAG = 60.0
"""Seconds for which a forge's servers may show a branch as it was before a push, as in the stage ``check``."""

AWAY = 15.0
"""Seconds without a repair after which nobody could renew a lease: the database was away, or the machine slept."""
RENEWAL = 10.0
"""Seconds that workers then get to renew theirs, which each tries every second."""

Look = Callable[[str], RefChange]
"""Finds out how a branch moved from a commit to where it is now."""

_log = journal.get(__name__)


class Reconcile:
    """The periodic repairs; each is safe to run in several processes at once.

    :param wall: tells seconds, also those in which the machine sleeps.
    """

    def __init__(self, database: Database, settings: Settings, *, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._settings = settings
        self._wall = wall
        self._repaired_at: float | None = None
        self._back_at: float | None = None

    def due_wakes(self) -> list[tuple[int, str]]:
        """Take the wake-ups that are due, for publication: (run id, queue)."""
        with self._database.write() as connection:
            return wakes.take_due(connection, clock())

    def not_published(self, run_ids: Iterable[int]) -> None:
        """Return wake-ups that were taken for publication: the broker is away."""
        with self._database.write() as connection:
            wakes.not_published(connection, run_ids)

    def seconds_until_due(self, at_most: float) -> float:
        """Return how long nothing is due, bounded by `at_most` seconds."""
        with self._database.read() as connection:
            due = wakes.next_due(connection)
        return at_most if due is None else min(at_most, max(0.0, due - clock()))

    def expired_leases(self) -> list[int]:
        """Take runs back whose worker has vanished; return their ids.

        After an outage of the database all leases are over, and most workers are still there.
        """
        now = clock()
        taken: list[int] = []
        with self._database.read() as connection:
            vanished, ahead = claims.expired(connection, now), claims.are_ahead(connection, now)
        if ahead:
            with self._database.write() as connection:
                claims.shorten(connection, now)
        if vanished and not self._could_renew():
            return []
        self._back_at = None
        for run_id in vanished:
            with self._database.write() as connection:
                run = ledger.lock(connection, run_id)
                if run is None or claims.held(connection, run_id, now):
                    continue
                fact = LeaseExpired(ago=claims.seconds_over(connection, run_id, now))
                decision = ledger.advanced(connection, run, fact, utc(now))
                ledger.record(connection, self._settings, run, decision, now)
                claims.release(connection, run_id)
                tallies.add(connection, {(LEASES_LOST.name, ()): 1.0})
                taken.append(run_id)
        self._repaired_at = self._wall()
        return taken

    def _could_renew(self) -> bool:
        """Tell whether workers had the time to renew their leases. A process that has just begun asks for no more."""
        at = self._wall()
        if self._repaired_at is None or 0 <= at - self._repaired_at < AWAY:
            return True
        if self._back_at is None or at < self._back_at:
            self._back_at = at
        return at - self._back_at >= RENEWAL

    def stranded(self) -> list[int]:
        """Wake runs that have neither a wake-up nor a worker; return their ids.

        No known path leads here; it is a safety net. Runs that wait for a person are not returned: an older version
        gives them no wake-up.
        """
        now = clock()
        with self._database.write() as connection:
            found = wakes.without(connection, now)
            for run_id in found:
                wakes.set_due(connection, run_id, now, "deploy")
        return [
            run_id for run_id, reason in found.items() if reason not in (Reason.ON_HOLD, Reason.AWAITING_APPROVAL)
        ]

    def too_far(self) -> list[int]:
        """Wake runs whose wake-up is later than any can be, because a clock was set back; return their ids."""
        now = clock()
        with self._database.write() as connection:
            longest = max(self._longest, waits.longest(connection))  # it may have begun when it had more time
            found = wakes.too_far(connection, now, longest + MARGIN)
            wakes.nudge(connection, found, now)
        return found

    def give_up_messages(self) -> list[str]:
        """Give up messages to channels that have left the configuration; return the names of those.

        What waits for a channel under a former name is kept for its present one.
        """
        names = [channel.name for channel in self._settings.channels]
        former = [(old, one.name) for one in self._settings.channels for old in one.former_names if old not in names]
        detail = "the configuration has no channel of this name any more"
        with self._database.write() as connection:
            for old, new in former:
                notifications.readdress(connection, old, new)
            return sorted(notifications.give_up_others(connection, names, clock() - UNKNOWN_FOR, detail))

    @cached_property
    def _longest(self) -> float:
        """Seconds of the longest pause: a stage is looked at when its time is over, a wait for a person each hour."""
        environments = [(app, one) for app in self._settings.apps for one in app.environments]
        timeouts = [timeout_of(stage, *where) for where in environments for stage in StageName]
        return max([STILL_THERE, *timeouts])

    def fold_tallies(self) -> None:
        """Add up the increments, so that a reader finds few rows."""
        with self._database.read() as connection:
            found = tallies.repeated(connection)
        if found:
            with self._database.write() as connection:
                tallies.fold(connection, found)

    def alive(self, name: str, kind: str) -> None:
        """Tell that a process is alive."""
        with self._database.write() as connection:
            processes.seen(connection, name, kind, clock(), {})

    def head_seen(self, app: App, branch: str, commit: str, look: Look, read_at: float | None = None) -> list[int]:
        """Compare a branch head that was read from the forge with the last one known; return the runs made.

        A head that moved without a delivery (a forge that lost a hook) leads to the runs that the push would have
        led to, in every app of the repository. The first look only remembers.

        :param look: finds out about the move, from where the branch was known to be ("": nobody knows).
        :param read_at: when the reading began; a hook that has told of the branch since then knows better.
        """
        ref = repo_key(app.source.url), f"refs/heads/{branch}"
        with self._database.read() as connection:
            known = heads.known(connection, *ref)
        if known is not None and (known.is_at(commit) or _knows_better(known.seen_at, clock(), read_at)):
            return []
        matched = None if known is None else self._match(app, look("" if known.commit == commit else known.commit))
        with self._database.write() as connection:
            alone(connection, LOCK)  # else a push whose hook is being written down right now is taken for lost
            if heads.known(connection, *ref) != known:
                return []
            asked = [] if matched is None else [_polled(one) for one in matched.wanted]
            if known is not None and any(_is_premature(connection, one, known) for one in asked):
                return []
            at = clock()
            heads.remember(connection, *ref, heads.LastSeen(commit, at, by_poll=known is not None))
            return _make_runs(connection, asked, at)

    def asked_polls(self) -> dict[str, float]:
        """Return the apps whose branches somebody wants to have compared now, each with when that was asked."""
        with self._database.read() as connection:
            return polls.waiting(connection)

    def polled(self, app: str, asked_at: float, facts: Mapping[str, Any]) -> None:
        """Note what came of it: ``branches``, ``missing`` and ``runs``, or a ``problem``."""
        told = {name: self._mask(value) if isinstance(value, str) else value for name, value in facts.items()}
        with self._database.write() as connection:
            polls.done(connection, app, asked_at, clock(), told)

    def looked(self, problems: Mapping[str, str]) -> None:
        """Note which apps' branches could not be compared: name -> why, in sentences; "" where all could.

        Most of the time that is as it was before, and nothing is written.
        """
        with self._database.read() as connection:
            before = {app: one.problem for app, one in unread.of_apps(connection).items()}
        masked = {app: self._mask(problem) for app, problem in problems.items()}
        news = {app: problem for app, problem in masked.items() if problem != before.get(app, "")}
        if news:
            with self._database.write() as connection:
                for app, problem in news.items():
                    unread.note(connection, app, problem, clock())

    @cached_property
    def _mask(self) -> Mask:
        return Mask(secrets_in(self._settings))

    def _match(self, app: App, change: RefChange) -> Matched:
        """Match a move that no hook told of as one of a hook."""
        push = Push(event="poll", repo=RepoNames(full_name=app.name, urls=(app.source.url,)), changes=(change,))
        matched = judge(push, self._settings)
        if not matched.wanted:
            _log.info(
                "push without a hook ignored",
                app=app.name,
                branch=change.name,
                commit=change.commit,
                reason=matched.ignored,
                detail=matched.detail,
            )
        return matched


def _is_premature(connection: Connection, new: runs.NewRun, known: heads.LastSeen) -> bool:
    """Tell whether a later look will know better whether a run is needed.

    A forge's servers may show a branch as it was before the last push; and a check that is under way will say whether
    a hook came late.
    """
    if pushes.covering(connection, new) is not None:
        return False
    if clock() - LAG < known.seen_at and known.commit != new.commit and pushes.has_run(connection, new):
        return True
    return pushes.covering(connection, new, checked=True) is not None


def _make_runs(connection: Connection, asked: Iterable[runs.NewRun], at: float) -> list[int]:
    """Queue the runs of a head, except in environments that have one of its commit.

    A run of another environment does not count: the commit may have come to that branch first, to this one later.
    """
    new = [one for one in asked if pushes.covering(connection, one) is None]
    made = runs.add(connection, [(one, None) for one in new], at)
    wakes.add(connection, made, at, "deploy")
    for run_id, one in zip(made, new, strict=True):
        story.queued(connection, run_id, one, at)
    return made


def _knows_better(seen: float, now: float, read_at: float | None) -> bool:
    """Tell whether a head was seen after ours was read. A time in the future is by a clock that was set back: no."""
    return (now if read_at is None else read_at) < seen <= now + MARGIN


def _polled(wanted: Wanted) -> runs.NewRun:
    """Make the run of a head that no hook told of."""
    new = runs.NewRun(
        app=wanted.app.name,
        environment=wanted.environment.name,
        trigger=Trigger.POLL,
        ref=wanted.change.ref,
        commit=wanted.change.commit or "",
        actor="poll",
        approved=not wanted.environment.approval,
    )
    return replace(new, dedupe=polled_key(new))
