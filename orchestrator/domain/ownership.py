"""Which commits are our own: the guard against a loop when an app and the GitOps files share a repository."""

from collections.abc import Iterable, Mapping

from orchestrator.domain.apps import Gitops
from orchestrator.domain.events import RefChange
from orchestrator.domain.refs import repo_key

RUN_TRAILER = "Pilotage-Run"
"""The trailer that every GitOps commit of ours carries; its value is the run's id."""
MAX_RUN = 2**31 - 1
"""The greatest id that a run can have."""


def is_own_commit(change: RefChange, author_email: str, *, in_gitops: bool) -> bool:
    """Tell whether the head commit of `change` was made by us.

    The address of author or committer is enough (a merge on a forge replaces the committer). Where we push to, so is
    our trailer in the last paragraph (a squash on a forge replaces both): taking a foreign commit for ours costs one
    deploy there that a person can start by hand, the other mistake an endless loop. Elsewhere the trailer is only
    a message that somebody has copied, and the address still ends a loop over a name of the repository that nobody
    has told us.

    :param author_email: the address that `gitops.author` commits with; "" matches nothing.
    :param in_gitops: it is in the repository that we push to, see `is_gitops`.
    """
    emails = {change.author_email.casefold(), change.committer_email.casefold()}
    by_us = bool(author_email) and author_email.casefold() in emails
    return by_us or (in_gitops and has_run_trailer(change.message))


def is_gitops(addresses: Iterable[str], gitops: Gitops) -> bool:
    """Tell whether one of the addresses of a repository is one of the GitOps repository."""
    ours = {repo_key(one) for one in gitops.addresses}
    return any(repo_key(one) in ours for one in addresses)


def has_run_trailer(message: str) -> bool:
    """Tell whether the last paragraph of a commit's message holds our trailer."""
    last_paragraph = message.rstrip().rpartition("\n\n")[2]
    return any(line.startswith(f"{RUN_TRAILER}: ") for line in last_paragraph.splitlines())


def run_of(trailers: Mapping[str, str]) -> int | None:
    """Return the run whose commit has these trailers, which may say anything; None: it is not one of ours."""
    number = trailers.get(RUN_TRAILER, "")
    run = int(number) if number.isascii() and number.isdigit() and len(number) <= len(str(MAX_RUN)) else 0
    return run if 0 < run <= MAX_RUN else None
