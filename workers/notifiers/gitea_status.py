"""Statuses of commits on Gitea and Forgejo (API v1, "create a commit status"); the last one of a context counts."""

from urllib.parse import quote

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import Message, Sent
from workers.notifiers import statuses
from workers.notifiers.statuses import OVERTAKEN, Place
from workers.notifiers.tools import NotifierTools


def send(message: Message, channel: Channel, previous: str, tools: NotifierTools) -> Sent:
    """Set the status of the run's commit; one that was overtaken is no error here but a ``warning``, which is yellow.

    :raises Refused, Unavailable: see `statuses.judged`.
    """
    if not statuses.has_commit(message):
        return Sent()
    body = {
        "state": "warning" if statuses.outcome(message) == OVERTAKEN else statuses.state(message),
        "context": statuses.context(message),
        "description": statuses.description(message),
        "target_url": message.url,
    }
    answer = statuses.post(place(channel, message.repo), message, body, channel, tools)
    return statuses.judged(answer, channel, message.repo)


def place(channel: Channel, repo: str) -> Place:
    """Return where the API has a repository."""
    url = f"{channel.url.rstrip('/')}/api/v1/repos/{quote(statuses.repository(channel, repo))}"
    return Place(url=url, headers={"Authorization": f"token {channel.secret.reveal()}"})
