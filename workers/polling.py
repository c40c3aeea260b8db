"""What is done now and then: finding pushes whose hook was lost, and tidying."""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator import journal
from orchestrator.domain.apps import App, Settings
from orchestrator.domain.errors import PilotageError
from orchestrator.domain.events import RefChange, RefKind
from orchestrator.domain.markers import skip_marker
from orchestrator.domain.ownership import has_run_trailer, is_gitops
from orchestrator.domain.wording import sentence
from orchestrator.engine.matching import watched_branches
from orchestrator.services.bell import Bell
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.retention import Retention
from orchestrator.store.database import now as clock
from workers.clients.git import Mirror, mirror_folder
from workers.tidying import copies_of, strays_of, tidy, tidy_stray

_MOST = 200
"""Commits, from the head down, among which the newest that is not ours is searched."""

_ASKED = 2.0
"""Seconds after which the tables are asked whether somebody wants an app polled."""

log = journal.get(__name__)


class Polling:
    """Reads the watched heads of every app's repository, one ``ls-remote`` per repository and round.

    Somebody may ask for an app between two rounds.
    """

    def __init__(self, settings: Settings, reconcile: Reconcile, bell: Bell) -> None:
        self._settings = settings
        self._reconcile = reconcile
        self._bell = bell
        self._due = -math.inf

    def once(self, stopping: threading.Event) -> float:
        """Poll every app whose time has come, even if some fail; return the seconds until the next look."""
        asked, due = self._reconcile.asked_polls(), time.monotonic() >= self._due
        problems: dict[str, str] = {}
        for app in self._settings.apps:
            if stopping.is_set():
                break
            if due or app.name in asked:
                problems[app.name] = self._look(app, asked.get(app.name))
        if problems:
            self._reconcile.looked(problems)
        if due:
            self._due = time.monotonic() + self._settings.poll_interval
        return min(_ASKED, max(0.0, self._due - time.monotonic()))

    def _look(self, app: App, asked_at: float | None) -> str:
        """Poll one app; return why not all of its branches could be compared, or ""."""
        try:
            facts = self._poll(app)
        except PilotageError as error:
            facts = {"problem": _why_not(app, error)}
        if asked_at is not None:
            self._reconcile.polled(app.name, asked_at, facts)
        return str(facts.get("problem", ""))

    def _poll(self, app: App) -> dict[str, Any]:
        """Compare the heads of one app, each even if others fail.

        :return: what was found: ``branches`` that were compared, ``missing`` ones, ``runs``, and a ``problem`` that
            names those that could not be.
        """
        branches = watched_branches(app)
        facts: dict[str, Any] = {"branches": [], "missing": [], "runs": []}
        if not branches:
            return facts
        read_at = clock()
        mirror = Mirror(app.source, mirror_folder(Path(self._settings.state_dir), app.source.url))
        heads = mirror.ls_remote([f"refs/heads/{branch}" for branch in branches])
        unread: dict[str, list[str]] = {}
        for branch in branches:
            commit = heads.get(f"refs/heads/{branch}")
            if commit is None:
                facts["missing"].append(branch)
                continue
            try:
                facts["runs"] += self._compare(app, mirror, branch, commit, read_at)
                facts["branches"].append(branch)
            except PilotageError as error:
                unread.setdefault(_why_not(app, error, branch), []).append(branch)
        return facts | ({"problem": _of_branches(unread)} if unread else {})

    def _compare(self, app: App, mirror: Mirror, branch: str, commit: str, read_at: float) -> list[int]:
        ours = is_gitops(app.addresses, self._settings.gitops)
        look = partial(moved, mirror, branch, commit, in_gitops=ours)
        made = self._reconcile.head_seen(app, branch, commit, look, read_at)
        for run_id in made:
            log.info("push found without a hook", run=run_id, app=app.name, branch=branch, commit=commit)
        if made:
            self._bell.ring()
        return made


def _why_not(app: App, error: PilotageError, branch: str | None = None) -> str:
    log.warning("heads not compared", app=app.name, branch=branch, reason=error.reason.value, detail=error.evidence)
    return sentence(error.reason, error.evidence)


def _of_branches(unread: Mapping[str, Sequence[str]]) -> str:
    """Say which branches could not be compared: why -> their names."""
    return " ".join(
        f"{'Branch' if len(names) == 1 else 'Branches'} {', '.join(f'`{one}`' for one in names)}: {why}"
        for why, names in unread.items()
    )


def moved(mirror: Mirror, branch: str, commit: str, known: str, *, in_gitops: bool) -> RefChange:
    """Find out what a hook would have told of a branch that moved to `commit`.

    As in a hook, the head commit counts. If it is one of ours, the newest below it that is not ours counts instead:
    perhaps no hook told of that one.

    :param known: where the branch was; "" = nobody knows. :param in_gitops: as for `is_own_commit`.
    :raises Refused, Unavailable: as `Mirror.fetch_commit`.
    """
    ref = f"refs/heads/{branch}"
    mirror.fetch_commit(commit, ref, new=True)
    went_on = bool(known) and mirror.is_ancestor(known, commit) is True
    since = mirror.history(commit, _MOST, "", after=known) if went_on and in_gitops else []
    about = mirror.commit_info(next((one.commit for one in since if not has_run_trailer(one.text)), commit))
    paths = mirror.changed_paths(known, commit) if went_on else None
    return RefChange(
        ref=ref,
        kind=RefKind.BRANCH,
        name=branch,
        before=known or None,
        after=commit,
        commit=commit,
        message=about.message,
        author_name=about.author_name,
        author_email=about.author_email,
        committer_email=about.committer_email,
        skip=skip_marker(about.message),
        paths=None if paths is None else frozenset(paths),
    )


class Tidying:
    """Removes old records and mirrors, and packs those that have become slow to read, apart from any run."""

    _EVERY = 3600.0

    def __init__(self, settings: Settings, retention: Retention) -> None:
        self._settings = settings
        self._retention = retention

    def once(self, stopping: threading.Event) -> float:
        """Tidy the tables and every mirror; return the seconds until the next round."""
        self._forget(stopping)
        chores = [partial(tidy, copy) for copy in copies_of(self._settings).values()]
        chores += [partial(tidy_stray, copy) for copy in strays_of(self._settings)]
        for chore in chores:
            if stopping.wait(1.0):
                break
            chore()
        return self._EVERY

    def _forget(self, stopping: threading.Event) -> None:
        try:
            removed = self._retention.tidy(stopping.is_set)
        except PilotageError as error:
            log.warning("old records not removed", reason=error.reason.value, detail=error.evidence)
            return
        if removed.runs or removed.deliveries:
            told = f"{removed.deliveries} deliveries, logs and messages of {removed.runs} runs"
            log.info("old records removed", detail=told)
