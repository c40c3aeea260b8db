"""The order of two commits of an app, wherever this machine's copy of the source stands."""

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.git_errors import Missing
from workers.stages.order import Order, Tools


def is_older(order: Order, tools: Tools, commit: str, other: str) -> bool:
    """Tell whether `other` is newer than `commit`: contains it.

    Another machine may have deployed a commit that this one has never seen: only what is missing is fetched. What the
    server no longer has was removed by a forced push: then the histories part, and neither is older.

    :raises Unavailable: the server did not answer, so that nobody knows. :raises Refused: it does not let us in.
    """
    source = tools.clients.source
    known = source.is_ancestor(commit, other)
    if known is None:
        try:
            for one in (commit, other):
                source.fetch_commit(one, order.run.ref, checkpoint=tools.checkpoint)
        except Missing:
            return False
        known = source.is_ancestor(commit, other)
    if known is None:
        raise _incomparable(commit, other)
    return known


def holds(tools: Tools, head: str, commit: str) -> bool:
    """Tell whether a branch that was just fetched holds a commit that is here. :param head: "": there is no branch.

    :raises Unavailable: this machine's copy cannot compare them.
    """
    if head in ("", commit):
        return head == commit
    known = tools.clients.source.is_ancestor(commit, head)
    if known is None:
        raise _incomparable(commit, head)
    return known


def _incomparable(commit: str, other: str) -> Unavailable:
    return Unavailable(Reason.SOURCE_UNAVAILABLE, f"{commit[:12]} and {other[:12]} cannot be compared here")
