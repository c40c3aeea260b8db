"""Statuses of commits on GitHub (REST API 2022-11-28, "create a commit status") and GitHub Enterprise."""

import re
from urllib.parse import quote, urlsplit

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import Message, Sent
from workers.notifiers import statuses
from workers.notifiers.statuses import Place
from workers.notifiers.tools import NotifierTools

_FOUR_BYTES = re.compile(r"[^\x00-\uffff]")


def send(message: Message, channel: Channel, previous: str, tools: NotifierTools) -> Sent:
    """Set the status of the run's commit. :raises Refused, Unavailable, RateLimited: see `statuses.judged`.

    GitHub answers 422 to a description with a character of four bytes, such as an emoji.
    """
    if not statuses.has_commit(message):
        return Sent()
    body = {
        "state": statuses.state(message),
        "context": statuses.context(message),
        "description": _FOUR_BYTES.sub("\ufffd", statuses.description(message)),
        "target_url": message.url,
    }
    answer = statuses.post(place(channel, message.repo), message, body, channel, tools)
    return statuses.judged(answer, channel, message.repo)


def place(channel: Channel, repo: str) -> Place:
    """Return where the API has a repository."""
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {channel.secret.reveal()}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    url = f"{_api(channel.url)}/repos/{quote(statuses.repository(channel, repo))}"
    return Place(url=url, headers=headers, shows="/commits/HEAD/statuses")


def _api(url: str) -> str:
    """Return the base of the API: on a host of its own on github.com and ghe.com, below the server's else."""
    host = urlsplit(url).hostname or ""
    if host in ("github.com", "www.github.com"):
        return "https://api.github.com"
    return f"https://api.{host}" if host.endswith(".ghe.com") else f"{url.rstrip('/')}/api/v3"
