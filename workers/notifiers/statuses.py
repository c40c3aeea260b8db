"""What the notifiers of all forges share: which commit has which status, and what an answer means.

A commit has one status for each app and environment. It links to the page of the run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import RateLimited, Refused, Unavailable
from orchestrator.domain.messages import Message, Sent
from orchestrator.domain.reasons import BY_OTHERS, Reason
from orchestrator.domain.refs import is_sha, repo_path
from workers.clients import outbound
from workers.clients.outbound import Posted
from workers.notifiers.tools import NotifierTools
from workers.notifiers.wording import plain
from workers.shapes import read_json

LONGEST = 140
"""Characters of a description: GitHub's limit, the least of all."""
OVERTAKEN = "overtaken"
"""What became of a commit that something newer took the place of, or that its branch has lost."""
MINUTE = 60.0
"""Seconds that GitHub asks for where it names none."""
_STATES = {"run.succeeded": "success", "run.cancelled": "error", OVERTAKEN: "pending"}
_HINTS = {
    401: "the token is not accepted",
    403: "the token may not do that",
    404: "there is no such repository or commit, or the token may not see it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository in the API of its forge: its address, and the headers that open it.

    :param shows: what below it can be read with the right to set a status.
    """

    url: str
    headers: Mapping[str, str]
    shows: str = ""


def has_commit(message: Message) -> bool:
    """Tell whether a run has a commit yet, and a repository still; images that came from elsewhere have none."""
    return is_sha(message.commit) and bool(message.repo)


def context(message: Message) -> str:
    """Name the status: the same for every run of an app in an environment."""
    return f"pilotage/{message.app}/{message.environment}"


def outcome(message: Message) -> str:
    """Return the type of a message, or `OVERTAKEN` where the run ended without anything having gone wrong."""
    ends = message.type in ("run.failed", "run.cancelled")
    return OVERTAKEN if ends and message.reason in BY_OTHERS else message.type


def state(message: Message) -> str:
    """Choose among the four words of GitHub, which Gitea and Forgejo know, too.

    ``failure`` is the developer's to mend, any other failed run an ``error``. There is none for what is under way,
    nor for a commit that was overtaken: it did not fail, so it is not red, and was not deployed, so it is not green.
    """
    if outcome(message) == "run.failed":
        return "failure" if message.who_acts == "developer" else "error"
    return _STATES.get(outcome(message), "pending")


def description(message: Message) -> str:
    """Say in one line how it stands."""
    return plain(message.sentence, LONGEST)


def repository(channel: Channel, repo: str) -> str:
    """Return a repository's path on the forge; in a web address it is below the path at which the forge itself is."""
    inside, path = urlsplit(channel.url).path.strip("/"), repo_path(repo)
    is_web = repo.startswith(("http://", "https://"))
    return path.removeprefix(f"{inside}/") if inside and is_web else path


def post(place: Place, message: Message, body: Mapping[str, str], channel: Channel, tools: NotifierTools) -> Posted:
    """Post the status of the run's commit."""
    content = json.dumps({name: value for name, value in body.items() if value}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Pilotage", **place.headers}
    url = f"{place.url}/statuses/{message.commit}"
    return tools.post(url, content, headers, allow_private=channel.allow_private, ca_file=channel.ca_file)


def look(place: Place, channel: Channel, repo: str) -> str:
    """See that the forge shows a repository to our token. :raises Refused, Unavailable, RateLimited: see `judged`."""
    url, headers = place.url + place.shows, {"User-Agent": "Pilotage", **place.headers}
    answer = outbound.get(url, headers, allow_private=channel.allow_private, ca_file=channel.ca_file)
    judged(answer, channel, repo)
    return f"the token sees {repository(channel, repo)}; no status was set"


def judged(answer: Posted, channel: Channel, repo: str) -> Sent:
    """Say what an answer means.

    :raises Refused: NOTIFY_REFUSED, it will never be taken. :raises Unavailable: NOTIFY_UNAVAILABLE.
    :raises RateLimited: NOTIFY_UNAVAILABLE, 403 of GitHub's limits.
    """
    if answer.status in (200, 201):
        return Sent()
    words, said = f"{channel.name}: HTTP {answer.status} for {repository(channel, repo)}", said_by(answer)
    wait = _limit(answer)
    if wait is not None:
        raise RateLimited(Reason.NOTIFY_UNAVAILABLE, f"{words}: {said}", wait)
    if answer.status == 409 or answer.status >= 500:  # the former: GitLab is at work on another status of the commit
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, f"{words}: {said}", answer.retry_after)
    if 300 <= answer.status < 400:
        said = "it has moved; correct the `repo` of the app, or the `url` of the forge"
    hint = _HINTS.get(answer.status)
    raise Refused(Reason.NOTIFY_REFUSED, f"{words}: {hint} ({said})" if hint else f"{words}: {said}")


def _limit(answer: Posted) -> float | None:
    """Return the seconds to wait for a limit of GitHub's, which says 403; a minute where it does not say how long."""
    if answer.status != 403:
        return None
    return MINUTE if answer.retry_after is None and "rate limit" in said_by(answer) else answer.retry_after


def said_by(answer: Posted) -> str:
    """Return what the forge says, as one short line."""
    try:
        body = read_json(answer.body)
    except ValueError:
        return "no answer of its API"
    said = (body.get("message") or body.get("error") or "") if isinstance(body, dict) else ""
    return plain(said if isinstance(said, str) else json.dumps(said), 200) or "it does not say why"
