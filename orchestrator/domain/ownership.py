"""Which commits are our own: the guard against a loop when an app and the GitOps files share a repository."""

from collections.abc import Mapping

from orchestrator.domain.events import RefChange

RUN_TRAILER = "Pilotage-Run"
"""The trailer that every GitOps commit of ours carries; its value is the run's id."""
MAX_RUN = 2**31 - 1
"""The greatest id that a run can have."""


def is_own_commit(change: RefChange, author_email: str) -> bool:
    """Tell whether the head commit of `change` was made by us.

    The address of author or committer is enough (a merge on a forge replaces the committer), and so is our trailer
    in the last paragraph (a forge's API may replace both). Taking a foreign commit for ours costs one deploy that
    a person can start by hand; the other mistake costs an endless loop.

    :param author_email: the address that `gitops.author` commits with; "" matches nothing.
    """
    emails = {change.author_email.casefold(), change.committer_email.casefold()}
    return (bool(author_email) and author_email.casefold() in emails) or has_run_trailer(change.message)


def has_run_trailer(message: str) -> bool:
    """Tell whether the last paragraph of a commit's message holds our trailer."""
    last_paragraph = message.rstrip().rpartition("\n\n")[2]
    return any(line.startswith(f"{RUN_TRAILER}: ") for line in last_paragraph.splitlines())


def run_of(trailers: Mapping[str, str]) -> int | None:
    """Return the run whose commit has these trailers, which may say anything; None: it is not one of ours."""
    number = trailers.get(RUN_TRAILER, "")
    run = int(number) if number.isascii() and number.isdigit() and len(number) <= len(str(MAX_RUN)) else 0
    return run if 0 < run <= MAX_RUN else None
