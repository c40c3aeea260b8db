"""What the notifiers of all forges share: which commit has which status, and what an answer means.

A commit has one status for each app and environment. It links to the page of the run.
"""

import json
from urllib.parse import urlsplit

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import RateLimited, Refused, Unavailable
from orchestrator.domain.messages import Message, Sent
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import is_sha, repo_path
from workers.clients.outbound import Posted
from workers.notifiers.tools import NotifierTools
from workers.notifiers.wording import plain

LONGEST = 140
"""Characters of a description: GitHub's limit, the least of all."""
MINUTE = 60.0
"""Seconds that GitHub asks for where it names none."""
_STATES = {"run.succeeded": "success", "run.cancelled": "error"}
_HINTS = {
    401: "the token is not accepted",
    403: "the token may not set the status of a commit",
    404: "there is no such repository, or the token may not see it",
}


def has_commit(message: Message) -> bool:
    """Tell whether a run has a commit yet, and a repository still; images that came from elsewhere have none."""
    return is_sha(message.commit) and bool(message.repo)


def context(message: Message) -> str:
    """Name the status: the same for every run of an app in an environment."""
    return f"pilotage/{message.app}/{message.environment}"


def state(message: Message) -> str:
    """Choose among the four words of GitHub, Gitea and Forgejo, which have none for what is under way or cancelled.

    ``failure`` is the developer's to mend, any other failed run an ``error``.
    """
    if message.type == "run.failed":
        return "failure" if message.who_acts == "developer" else "error"
    return _STATES.get(message.type, "pending")


def description(message: Message) -> str:
    """Say in one line how it stands."""
    return plain(message.sentence, LONGEST)


def repository(message: Message, channel: Channel) -> str:
    """Return the repository's path on the forge, below the path at which the forge itself is."""
    inside = urlsplit(channel.url).path.strip("/")
    path = repo_path(message.repo)
    return path.removeprefix(f"{inside}/") if inside else path


def post(path: str, body: dict[str, str], headers: dict[str, str], channel: Channel, tools: NotifierTools) -> Posted:
    """Post to the forge's API. :param path: the whole address."""
    content = json.dumps({name: value for name, value in body.items() if value}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Pilotage", **headers}
    return tools.post(path, content, headers, allow_private=channel.allow_private, ca_file=channel.ca_file)


def judged(answer: Posted, channel: Channel, message: Message) -> Sent:
    """Say what an answer means.

    :raises Refused: NOTIFY_REFUSED, it will never be taken. :raises Unavailable: NOTIFY_UNAVAILABLE.
    :raises RateLimited: NOTIFY_UNAVAILABLE, 403 of GitHub's limits.
    """
    if answer.status in (200, 201):
        return Sent()
    words = f"{channel.name}: HTTP {answer.status} for {repository(message, channel)}"
    said = _HINTS.get(answer.status) or said_by(answer)
    wait = _limit(answer)
    if wait is not None:
        raise RateLimited(Reason.NOTIFY_UNAVAILABLE, f"{words}: {said_by(answer)}", wait)
    if 300 <= answer.status < 400:
        said = "it has moved; correct the `repo` of the app, or the `url` of the forge"
    if answer.status >= 500:
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, words, answer.retry_after)
    raise Refused(Reason.NOTIFY_REFUSED, f"{words}: {said}")


def _limit(answer: Posted) -> float | None:
    """Return the seconds to wait for a limit of GitHub's, which says 403; a minute where it does not say how long."""
    if answer.status != 403:
        return None
    return MINUTE if answer.retry_after is None and "rate limit" in said_by(answer) else answer.retry_after


def said_by(answer: Posted) -> str:
    """Return what the forge says, as one short line."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return "no answer of its API"
    said = (body.get("message") or body.get("error") or "") if isinstance(body, dict) else ""
    return plain(said if isinstance(said, str) else json.dumps(said), 200) or "it does not say why"
