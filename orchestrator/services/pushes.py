"""What pushes lead to, and which are known already: by another hook, or by the poll before their hook came."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from operator import itemgetter

from orchestrator.domain.apps import App, Settings
from orchestrator.domain.events import Push, RefChange
from orchestrator.domain.ownership import is_gitops, is_own_commit
from orchestrator.domain.refs import repo_key
from orchestrator.engine.matching import Matched, is_repo_of, match
from orchestrator.store import heads, pushes, runs
from orchestrator.store.database import Connection

LOCK = "pushes"
"""Names the lock that is held while runs of pushes are looked for and made."""
TWIN_WINDOW = 86_400.0
"""Seconds within which the same move of the same ref is one push, however many hooks tell of it."""

_NOWHERE = ""
"""The object of a deleted ref."""
RepoRef = tuple[str, str]
"""A repository's key and a ref."""


@dataclass(slots=True, kw_only=True)
class Known:
    """A push and the run that it led to; a run that is still to be inserted has no id yet."""

    run: int = 0
    new: runs.NewRun | None = None
    delivery: int = 0


class Pushes:
    """Goes through the pushes of one transaction in their order, beside what earlier transactions have left.

    :param told: the moves of refs that this transaction tells of. :param news: the runs that these may lead to.
    """

    def __init__(
        self, connection: Connection, told: Iterable[tuple[App, RefChange]], news: Iterable[runs.NewRun], at: float
    ) -> None:
        keys = {key for new in news for key in (new.dedupe, polled_key(new))}
        found = pushes.recent_twin(connection, sorted(keys), at - TWIN_WINDOW)
        self._known = {key: Known(run=run_id) for key, run_id in found.items()}
        refs = {repo_ref(app, change) for app, change in told}
        self._connection = connection
        self._at = at
        self._heads = {one: head for one in refs if (head := heads.known(connection, *one)) is not None}
        self._seen: dict[RepoRef, heads.LastSeen] = {}
        self._told_again: set[RepoRef] = set()
        self.fresh: list[Known] = []

    def take(self, app: App, change: RefChange, new: runs.NewRun, delivery: int) -> Known:
        """Find what a push has led to already, or note it as a fresh one.

        A ref that moves on from where it was last seen makes a new push, even if it has made the same move some
        minutes ago and has been pushed back (or deleted) since. Any other move is late, told twice, or one whose
        predecessors were lost: then a run for the same move counts, or the poll's run for its commit.
        """
        ref = repo_ref(app, change)
        known = self._led_to(change, new, self._heads.get(ref))
        if known is not None:
            self._told_again.add(ref)
            return known
        made = self._known[_twin(new)] = Known(new=new, delivery=delivery)
        self.fresh.append(made)
        return made

    def _led_to(self, change: RefChange, new: runs.NewRun, head: heads.LastSeen | None) -> Known | None:
        """Find the run that a move has led to before; None: it tells something new."""
        if head is not None and head.commit == (change.before or _NOWHERE):
            return None
        if head is not None and head.by_poll and head.commit == change.after:
            run_id = pushes.covering(self._connection, new, checked=True)
            return None if run_id is None else Known(run=run_id)
        return self._known.get(_twin(new)) or self._known.get(_twin(new, polled_key(new)))

    def seen(
        self,
        told: Collection[tuple[App, RefChange]],
        wanted: Collection[tuple[App, RefChange]],
        *,
        again: bool = False,
    ) -> None:
        """Note where refs are after one delivery; a repeat of a known push tells nothing new.

        A move that does not begin where its ref was last seen hides what came between. If it leads to no run of an
        app, the ref stays where it was: then the poll looks at all of it.

        :param wanted: those of `told` that lead to something.
        :param again: an old delivery, sent once more: it counts only for refs that were never seen.
        """
        quiet = self._told_again | {repo_ref(*one) for one in told if one not in wanted and self._hides(*one)}
        for ref, change in {repo_ref(*one): one[1] for one in told}.items():
            if (again and ref in self._heads) or (head := self._moved(ref, change, ref in quiet)) is None:
                continue
            self._heads[ref] = self._seen[ref] = head
        self._told_again.clear()

    def _moved(self, ref: RepoRef, change: RefChange, quiet: bool) -> heads.LastSeen | None:
        """Say where a ref is after a move; None: as before.

        Where the poll has seen a ref, hooks of what came before may still come, so it stays there until a move begins
        there or the poll sees it elsewhere. But it is doubted: its predecessors may be what is lost.
        """
        head = self._heads.get(ref)
        if quiet:
            return None
        if head is not None and head.by_poll and head.commit != (change.before or _NOWHERE):
            return replace(head, seen_at=self._at, doubted=True)
        return heads.LastSeen(change.after or _NOWHERE, self._at)

    def _hides(self, app: App, change: RefChange) -> bool:
        before, head = change.before or _NOWHERE, self._heads.get(repo_ref(app, change))
        return not change.deleted and head is not None and head.commit != before

    def remember(self) -> None:
        """Write down where refs are, so that the poll does not take a push for one that was lost, nor deploys
        what a hook has told of and was ignored for (a skip marker, a path filter, a commit of ours).
        """
        for ref, head in sorted(self._seen.items(), key=itemgetter(0)):
            heads.remember(self._connection, *ref, head)


def judge(push: Push, settings: Settings) -> Matched:
    """Find what a push leads to by the configuration; our own commits lead to nothing."""
    by_apps = (url for app in settings.apps if is_repo_of(push, app) for url in app.addresses)
    email, in_gitops = settings.gitops.author.email, is_gitops([*push.repo.urls, *by_apps], settings.gitops)
    return match(push, settings.apps, lambda change: is_own_commit(change, email, in_gitops=in_gitops))


def repo_ref(app: App, change: RefChange) -> RepoRef:
    """Say which ref of which repository a change moved."""
    return repo_key(app.source.url), change.ref


def polled_key(new: runs.NewRun) -> str:
    """Return the dedupe text of a run that the poll makes for a branch's head: it does not know the push."""
    return hashlib.sha256(repr(("poll", new.ref, new.commit)).encode()).hexdigest()


def _twin(new: runs.NewRun, text: str = "") -> pushes.Twin:
    """Say what is equal of two runs for the same push. Names are no part of the text, as they may change between."""
    return new.app, new.environment, text or new.dedupe
