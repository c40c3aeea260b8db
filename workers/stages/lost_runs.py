"""What the GitOps branch tells of runs that the tables do not have, because a backup was restored."""

from typing import NamedTuple

from orchestrator.domain.ownership import RUN_TRAILER, run_of
from orchestrator.domain.refs import Reference
from workers.clients.git_commit import CommitMessage, trailers_of
from workers.stages.ancestry import is_older
from workers.stages.order import Order, Tools
from workers.stages.wanted import IMAGE_TRAILER, SOURCE_TRAILER, values_in

_FRESH = 60.0
"""Seconds for which the branch is not read again: what is looked for was there before the last start."""
_HISTORY = 500
"""Commits of the branch among which runs that are not in the tables are searched."""
_OF_FILE = 50
"""Commits to our file among which the last that wrote our value is searched, if there are such runs."""


class _Told(NamedTuple):
    """What the trailers of one of our commits say."""

    run: int
    source: str


def newer_in_git(order: Order, tools: Tools) -> str:
    """Say which newer commit was deployed here by a run that is not in the tables; "" where there is none.

    A run that was unfinished at the time of the backup goes on after a restore, and may have been overtaken in the
    time that is lost. If all runs of the branch are in the tables, this costs one look at its history.

    :raises Unavailable: a server did not answer, so that nobody knows. :raises Refused: it does not let us in.
    """
    mirror, branch = tools.clients.gitops, order.settings.gitops.branch
    head = mirror.noted_head(branch, _FRESH) or mirror.fetch_branch(branch, checkpoint=tools.checkpoint)
    ours = f"{IMAGE_TRAILER}: {Reference.parse(order.run.image).name}"  # other apps may share the branch
    later = {told for one in mirror.history(head, _HISTORY, ours) if (told := _told(one, order))}
    unknown = tools.clients.commits.unknown(later) if later else ()
    if not unknown:
        return ""
    for message in mirror.history(head, _OF_FILE, f"{RUN_TRAILER}: ", path=order.environment.values):
        if _wrote(order, tools, message):
            told = _told(message, order)
            newer = told in unknown and is_older(order, tools, order.run.commit, told.source) if told else False
            where = f"{message.commit[:12]} in the GitOps branch"
            return f"{where} has deployed a newer commit, by a run that is not known here" if newer else ""
    return ""


def _told(message: CommitMessage, order: Order) -> _Told | None:
    """Read the trailers if they may tell of a run that overtook us: of the same image and begun after ours."""
    told = dict(trailers_of(message.text))
    run, source = run_of(told), told.get(SOURCE_TRAILER, "")
    same_image = Reference.parse(told.get(IMAGE_TRAILER, "")).name == Reference.parse(order.run.image).name
    if not same_image or source in ("", order.run.commit) or run is None or run <= order.run.id:
        return None
    return _Told(run, source)


def _wrote(order: Order, tools: Tools, message: CommitMessage) -> bool:
    """Tell whether a commit wrote our value; other environments may have theirs in the same file."""
    mirror, path = tools.clients.gitops, order.environment.values
    before = mirror.read(message.parent, path) if message.parent else None
    return values_in(order, mirror.read(message.commit, path)) != values_in(order, before)
