"""Messages about a run, as the ledger words them, and channels that lead to the chat stand-in."""

from dataclasses import replace
from typing import Any

from orchestrator.domain.apps import ButtonRules, Channel, Secret
from orchestrator.domain.messages import Message
from orchestrator.sandbox.chat import CHANNEL, SECRET, TOKEN, SandboxChat
from orchestrator.sandbox.chat_clicks import PERSON, SIGNING_SECRET
from orchestrator.sandbox.chat_slack import TEAM

STARTED = Message(
    id="run-42-run-started-team",
    type="run.started",
    run=42,
    app="plate-web",
    environment="stg",
    state="running",
    reason="running",
    sentence="A worker is on it.",
    next_step="Nothing to do.",
    who_acts="nobody",
    commit="8f3e1e7a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e",
    title="Show the plate's weight",
    author="Kim Min-ji",
    image="127.0.0.1:5000/plate/plate-web:sha-8f3e1e7a0b1c",
    digest="",
    gitops_commit="",
    attempt=1,
    trigger="push",
    at="2026-08-22T03:12:00Z",
    seconds=None,
    url="https://pilotage.example.com/runs/42",
    stages=(("check", "succeeded", 0.4), ("build", "running", None), ("push", "queued", None)),
    repo="https://git.example.com/acme/plate-web.git",
    ref="refs/heads/main",
)
PROGRESSED = replace(STARTED, id="run-42-run-progressed-push-team", type="run.progressed")
SUCCEEDED = replace(
    STARTED,
    id="run-42-run-succeeded-team",
    type="run.succeeded",
    state="succeeded",
    reason="healthy",
    sentence="The commit is live and healthy.",
    seconds=130.0,
    stages=(("check", "succeeded", 0.4), ("build", "succeeded", 60.0), ("health", "succeeded", 8.0)),
)
FAILED = replace(
    STARTED,
    id="run-42-run-failed-team",
    type="run.failed",
    state="failed",
    reason="degraded",
    sentence="The application is unhealthy with this commit. ImagePullBackOff in pod plate-web-7d9f",
    next_step="Read the evidence, correct and push.",
    who_acts="developer",
    gitops_commit="c0ffee0123456789c0ffee0123456789c0ffee01",
    seconds=75.0,
    stages=(("check", "succeeded", 0.4), ("build", "succeeded", 60.0), ("health", "failed", 8.0)),
)
CANCELLED = replace(
    STARTED, id="run-42-run-cancelled-team", type="run.cancelled", state="cancelled", reason="superseded"
)
WAITING = replace(
    STARTED,
    id="run-42-run-waiting-team",
    type="run.waiting",
    state="waiting",
    reason="awaiting_approval",
    sentence="The run waits for approval.",
    next_step="Approve it with `pilotage run approve 42`.",
    who_acts="developer",
    trigger="manual",
    actor="hana",
    action="started",
)
ALL = (STARTED, PROGRESSED, WAITING, SUCCEEDED, FAILED, CANCELLED)

FORGE_TOKEN = "opensonlythesandbox-forge"
NASTY = "<!channel> & <@U123> @here \u202eevil\x00\ud800 "
"""Pings, markup, a direction override, a control character and half a character."""
HUGE = '가<b>&amp;\U0001f600"\\' * 3000
"""Characters of one to four bytes and everything that escaping makes longer."""


def spoiled(message: Message, text: str) -> Message:
    """The message with `text` in every field that can hold a user's or a foreign service's words."""
    fields = (
        "app",
        "environment",
        "sentence",
        "next_step",
        "title",
        "author",
        "image",
        "trigger",
        "who_acts",
        "actor",
        "action",
    )
    changes: dict[str, Any] = dict.fromkeys(fields, text)
    return replace(message, **changes, stages=tuple((text, state, took) for _, state, took in message.stages))


RULES = ButtonRules(secret=Secret(SIGNING_SECRET), team=TEAM, people=frozenset({PERSON}))
"""Who may click in the stand-in of a chat."""


def channel_to(chat: SandboxChat, kind: str, **changes: Any) -> Channel:
    """A channel of a kind that leads to the stand-in of a chat."""
    known = {
        "slack": Channel(name="team", kind=kind, secret=Secret(chat.webhook_url), allow_private=True),
        "slack-api": Channel(
            name="team", kind=kind, secret=Secret(TOKEN), target=CHANNEL, url=chat.api_url, allow_private=True
        ),
        "webhook": Channel(name="team", kind=kind, secret=Secret(SECRET), url=chat.callback_url, allow_private=True),
    }
    return replace(known[kind], **changes)


def channel_of(forge: str, url: str, **changes: Any) -> Channel:
    """The channel of a forge's statuses. :param url: where the stand-in is."""
    kind, token = f"{forge}-status", Secret(FORGE_TOKEN)
    return replace(Channel(name="team", kind=kind, secret=token, url=url, allow_private=True), **changes)


def pings_in(text: str) -> list[str]:
    """Return every control sequence of a text that would ping somebody: ``!channel``, ``@U123``, ``!subteam^S1``."""
    inside = [part.partition(">")[0] for part in text.split("<")[1:]]
    return [one for one in inside if one.startswith(("!", "@"))]
