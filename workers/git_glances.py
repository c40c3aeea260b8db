"""Seeing what the GitOps branch has of every environment, for people: one ``ls-remote`` per interval.

Files are read only when the branch has moved, and only those that were touched.
"""

import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator import journal
from orchestrator.domain.apps import Environment, Settings
from orchestrator.domain.errors import PilotageError, Refused
from orchestrator.domain.glances import GitGlance, Place, Witness
from orchestrator.domain.ownership import run_of
from orchestrator.domain.reasons import Reason
from orchestrator.services.glances import Glances
from workers.clients.git import GITOPS, Mirror, mirror_folder
from workers.clients.git_commit import CommitMessage, trailers_of
from workers.gitops.values import EditRefused, inspect

log = journal.get(__name__)

EVERY = 15.0
"""Seconds between two looks at the branch."""
_SEARCHED = 20
"""Commits to a file, newest first, among which the one that set the value is searched."""

_Known = Mapping[Place, Mapping[str, Any]]


class GitGlances:
    """Writes down what the head of the GitOps branch has."""

    def __init__(self, settings: Settings, glances: Glances) -> None:
        self._settings = settings
        self._glances = glances
        self._trouble: Reason | None = None

    def once(self, stopping: threading.Event) -> float:
        """Look once; return the seconds until the next time."""
        if not self._settings.apps:
            return EVERY
        before, known = self._glances.before(Witness.GIT)
        try:
            head, seen = self._look(before, known, stopping)
        except PilotageError as error:
            if error.reason is not self._trouble:  # else the same line comes four times a minute
                log.warning("GitOps branch not seen", reason=error.reason.value, detail=error.evidence)
            self._trouble = error.reason
            self._glances.failed(Witness.GIT, error)
            return EVERY
        self._trouble = None
        self._glances.saw(Witness.GIT, seen, head)
        return EVERY

    @cached_property
    def _mirror(self) -> Mirror:
        access = self._settings.gitops.access
        return Mirror(access, mirror_folder(Path(self._settings.state_dir), access.url), reasons=GITOPS)

    def _look(self, before: str, known: _Known, stopping: threading.Event) -> tuple[str, dict[Place, GitGlance]]:
        """Read what has changed since the branch was at `before`; return its head and the new glances."""
        branch = self._settings.gitops.branch
        ref = f"refs/heads/{branch}"
        head = self._mirror.ls_remote([ref]).get(ref, "")
        old = [one for one in self._environments() if not _is_of(known.get(one[0]), one[1])]
        if head == before and not old:
            return head, {}
        head = self._mirror.fetch_branch(branch)
        touched = self._mirror.touched_paths(before, head)
        unread = dict(old) | {
            place: env for place, env in self._environments() if touched is None or env.values in touched
        }
        seen: dict[Place, GitGlance] = {}
        for place, env in unread.items():
            if stopping.is_set():
                return before, seen  # what is left is read the next time
            seen[place] = self._glance(head, env)
        return head, seen

    def _environments(self) -> Iterator[tuple[Place, Environment]]:
        for app in self._settings.apps:
            for env in app.environments:
                yield (app.name, env.name), env

    def _glance(self, head: str, env: Environment) -> GitGlance:
        """Read one value and who set it."""
        try:
            value = self._value(head, env)
        except (Refused, EditRefused) as refusal:
            said = refusal.evidence if isinstance(refusal, Refused) else str(refusal)
            return GitGlance(values=env.values, key=env.key, fault=said)
        if value is None:
            return GitGlance(values=env.values, key=env.key, fault=f"there is no file {env.values} on the branch")
        origin = self._origin(head, env, value)
        if origin is None:
            return GitGlance(values=env.values, key=env.key, value=value)
        about = self._mirror.commit_info(origin.commit)
        return GitGlance(
            values=env.values,
            key=env.key,
            value=value,
            commit=origin.commit,
            author=about.author_name,
            at=about.date,
            run=run_of(dict(trailers_of(origin.text))),
        )

    def _value(self, commit: str, env: Environment) -> str | None:
        """Read the value in a commit; None if there is no such file."""
        raw = self._mirror.read(commit, env.values)
        return None if raw is None else inspect(raw, env.key)

    def _origin(self, head: str, env: Environment, value: str) -> CommitMessage | None:
        """Find the newest commit before which the value was another one; None: it is further back than we look.

        One at a time: Git walks on until it has found as many as it is asked for, in a long history for seconds.
        """
        at = head
        for _ in range(_SEARCHED):
            one = next(iter(self._mirror.history(at, 1, "", path=env.values)), None)
            if one is None or not one.parent or self._earlier(one.parent, env) != value:
                return one
            at = one.parent
        return None

    def _earlier(self, commit: str, env: Environment) -> str | None:
        try:
            return self._value(commit, env)
        except (Refused, EditRefused):
            return None


def _is_of(facts: Mapping[str, Any] | None, env: Environment) -> bool:
    """Tell whether what is known was read where the configuration leads now."""
    return facts is not None and (facts.get("values"), facts.get("key")) == (env.values, env.key)
