"""Statuses of commits on GitLab (REST API v4, "set commit pipeline status"): each is a job of a pipeline."""

from urllib.parse import quote

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import Message, Sent
from orchestrator.domain.refs import split_ref
from workers.clients.outbound import Posted
from workers.notifiers import statuses
from workers.notifiers.statuses import OVERTAKEN, Place
from workers.notifiers.tools import NotifierTools
from workers.shapes import read_json

_STATES = {
    "run.succeeded": "success",
    "run.failed": "failed",
    "run.cancelled": "canceled",
    OVERTAKEN: "canceled",
}
"""By what became of the run; any other one says that it is running."""
_LONGEST_URL = 255
_OTHER_PIPELINE = frozenset({400, 404, 422})


def send(message: Message, channel: Channel, previous: str, tools: NotifierTools) -> Sent:
    """Set the status of the run's commit; the reference is the pipeline that has it.

    GitLab takes the newest pipeline of the commit, which may be another one a moment later: then the status there
    would never end. It answers 400 where the status is what it is to become already.

    :param previous: the pipeline, or "". :raises Refused, Unavailable: see `statuses.judged`.
    """
    if not statuses.has_commit(message):
        return Sent()
    body = _body(message)
    where = place(channel, message.repo)
    answer = statuses.post(where, message, {**body, "pipeline_id": previous}, channel, tools)
    if previous and answer.status in _OTHER_PIPELINE and not _is_there(answer):
        previous, answer = "", statuses.post(where, message, body, channel, tools)
    if _is_there(answer):
        return Sent(reference=previous)
    statuses.judged(answer, channel, message.repo)
    return Sent(reference=previous or _pipeline(answer))


def place(channel: Channel, repo: str) -> Place:
    """Return where the API has a repository."""
    project = quote(statuses.repository(channel, repo), safe="")
    headers = {"PRIVATE-TOKEN": channel.secret.reveal()}
    return Place(url=f"{channel.url.rstrip('/')}/api/v4/projects/{project}", headers=headers)


def _body(message: Message) -> dict[str, str]:
    kind_and_name = split_ref(message.ref)
    return {
        "state": _STATES.get(statuses.outcome(message), "running"),
        "name": statuses.context(message),
        "description": statuses.description(message),
        "target_url": message.url if len(message.url) <= _LONGEST_URL else "",
        "ref": kind_and_name[1] if kind_and_name else "",
    }


def _is_there(answer: Posted) -> bool:
    """Tell whether the status is what it was to become."""
    return answer.status == 400 and "Cannot transition status" in statuses.said_by(answer)


def _pipeline(answer: Posted) -> str:
    """Return the id of the pipeline; "" where the server does not tell (old versions)."""
    try:
        found = read_json(answer.body).get("pipeline_id")
    except (ValueError, AttributeError):
        return ""
    return str(found) if isinstance(found, int) else ""
