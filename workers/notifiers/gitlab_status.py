"""Statuses of commits on GitLab (REST API v4, "set commit pipeline status"); they show as an external pipeline."""

from urllib.parse import quote

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import Message, Sent
from orchestrator.domain.refs import split_ref
from workers.notifiers import statuses
from workers.notifiers.tools import NotifierTools

_STATES = {"run.succeeded": "success", "run.failed": "failed", "run.cancelled": "canceled"}
"""By type of message; any other one says that it is running."""
_LONGEST_URL = 255


def send(message: Message, channel: Channel, previous: str, tools: NotifierTools) -> Sent:
    """Set the status of the run's commit. :raises Refused, Unavailable: see `statuses.judged`.

    GitLab answers 400 where the status is what it is to become already.
    """
    if not statuses.has_commit(message):
        return Sent()
    kind_and_name = split_ref(message.ref)
    body = {
        "state": _STATES.get(message.type, "running"),
        "name": statuses.context(message),
        "description": statuses.description(message),
        "target_url": message.url if len(message.url) <= _LONGEST_URL else "",
        "ref": kind_and_name[1] if kind_and_name else "",
    }
    project = quote(statuses.repository(message, channel), safe="")
    path = f"{channel.url.rstrip('/')}/api/v4/projects/{project}/statuses/{message.commit}"
    answer = statuses.post(path, body, {"PRIVATE-TOKEN": channel.secret.reveal()}, channel, tools)
    if answer.status == 400 and "Cannot transition status" in statuses.said_by(answer):
        return Sent()
    return statuses.judged(answer, channel, message)
