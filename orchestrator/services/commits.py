"""The queue of wanted edits: submitted by runs, taken in batches by one writer per GitOps branch."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict
from typing import Any

from orchestrator.domain.changes import Batch, Change, Edit, Landed, Rejected, Result, Withdrawn
from orchestrator.domain.metrics import BATCH_SIZE, PUSH_RETRIES
from orchestrator.domain.reasons import Reason
from orchestrator.services.bell import Bell
from orchestrator.store import changes, runs, wakes
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock
from orchestrator.store.rows import reason_of

RENEW = 5.0
"""Seconds after which a writer renews its right, which lasts much longer."""


class Commits:
    """One GitOps branch's queue.

    :param branch_key: names the repository and branch; runs with the same key share commits' pushes.
    :param owner: names this process as the writer.
    :param form_of: tells the `Change.form` of an app and environment by the configuration of this process. A change
        of another form was queued by another configuration, and is left to its run, which words it anew.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        branch_key: str,
        owner: str,
        form_of: Callable[[str, str], str] = lambda _app, _environment: "",
    ) -> None:
        self._database = database
        self._bell = bell
        self._key = branch_key
        self._owner = owner
        self._form_of = form_of
        self._renewed = 0.0
        self._fresh: frozenset[int] = frozenset()
        """Runs whose change no writer had before: nobody can have pushed it."""
        self._put_off: frozenset[int] = frozenset()
        """Runs whose environment is on hold, or whose change is of another form: it is only looked for, and waits."""

    def submit(self, change: Change) -> Result | Batch | None:
        """Queue a run's change, once, however often it is called; become the writer if nobody is.

        :return: the change's result if there is one already; else all changes that wait, which the caller has to
            write now; None while another process writes; a refusal if the configuration named another branch when a
            writer took the change, and nobody looks there any more.
        """
        now = clock()
        with self._database.write() as connection:
            row = changes.submit(connection, change.run, self._key, asdict(change), now)
            if row["state"] == "taken" and row["branch_key"] != self._key:
                return None if changes.is_written(connection, row["branch_key"], now) else _moved(row)
            result = _result(row)
            if result is not None or not changes.become_writer(connection, self._key, self._owner, now):
                return result
            taken = changes.take_batch(connection, self._key, self._fits)
        self._renewed = now
        self._fresh = frozenset(one["run_id"] for one in taken if one["state"] == "pending")
        unwanted = frozenset(one["run_id"] for one in taken if one["unwanted"])
        self._put_off = frozenset(one["run_id"] for one in taken if one["held"] or one["misfit"]) - unwanted
        return Batch(changes=[_change(one["payload"]) for one in taken], unwanted=unwanted | self._put_off)

    def has(self, run_id: int) -> bool:
        """Tell whether a run's change is in the queue, or has been."""
        with self._database.read() as connection:
            return changes.load(connection, run_id) is not None

    def taken(self, run_id: int) -> Change | None:
        """Return a run's change as a writer has it, or had it; None while it waits, or is not in the queue."""
        with self._database.read() as connection:
            row = changes.load(connection, run_id)
        return _change(row["payload"]) if row and row["state"] in ("taken", "landed") else None

    def unknown(self, told: Set[tuple[int, str]]) -> set[tuple[int, str]]:
        """Return which of some runs, each given with its source commit, are not in the tables."""
        with self._database.read() as connection:
            known = runs.commits_of(connection, {run_id for run_id, _ in told})
        return {one for one in told if known.get(one[0]) != one[1]}

    def renew(self) -> bool:
        """Stay the writer; False when another process has taken over. Reads the tables no more often than needed."""
        now = clock()
        if not 0 <= now - self._renewed < RENEW:
            with self._database.write() as connection:
                if not changes.become_writer(connection, self._key, self._owner, now):
                    return False
            self._renewed = now
        return True

    def finish(self, results: Sequence[Result]) -> None:
        """Record how changes ended, and wake their runs."""
        now = clock()
        landed = sum(isinstance(result, Landed) and result.created for result in results)
        if landed:
            self._database.counts.observe(BATCH_SIZE, landed)
        with self._database.write() as connection:
            changes.finish(connection, [(result.run, self._state(result), asdict(result)) for result in results])
            wakes.set_all_due(connection, [result.run for result in results], now, "deploy")
        self._bell.ring()

    def count_retry(self) -> None:
        """Count a push that is made again because another writer was faster."""
        self._database.counts.add(PUSH_RETRIES)

    def stop(self, not_pushed: Sequence[Change] = ()) -> None:
        """Stop writing; changes that were taken but not pushed wait again, and one of the waiting runs is woken.

        A change that is neither finished nor given back, also by an earlier writer, may be in Git: it stays taken
        until a writer has looked there.
        """
        now = clock()
        with self._database.write() as connection:
            if changes.stop_writing(connection, self._key, self._owner):  # else they are the next writer's already
                changes.give_back(connection, [change.run for change in not_pushed if change.run in self._fresh])
            oldest = changes.oldest_waiting(connection, self._key)
            if oldest is not None:
                wakes.set_due(connection, oldest, now, "deploy")
        if oldest is not None:
            self._bell.ring()

    def _state(self, result: Result) -> str:
        match result:
            case Landed():
                return "landed"
            case Rejected():
                return "rejected"
            case Withdrawn(run=run):
                return "pending" if run in self._put_off else "withdrawn"

    def _fits(self, row: Mapping[str, Any]) -> bool:
        return bool(row["payload"].get("form") == self._form_of(row["app"], row["environment"]))


def _change(payload: dict[str, Any]) -> Change:
    edits = tuple(Edit(**edit) for edit in payload["edits"])
    trailers = tuple((name, value) for name, value in payload["trailers"])
    return Change(**{**payload, "edits": edits, "trailers": trailers})


def _moved(row: dict[str, Any]) -> Rejected:
    detail = f"it was taken for {row['branch_key']}, and may be there"
    return Rejected(run=row["run_id"], detail=detail, reason=Reason.GITOPS_MOVED)


def _result(row: dict[str, Any]) -> Result | None:
    values = dict(row["result"])
    if row["state"] == "landed":
        return Landed(**{**values, "previous": tuple(values["previous"])})
    if row["state"] == "rejected":
        return Rejected(run=values["run"], detail=values["detail"], reason=reason_of(values["reason"]))
    return None
