"""Slack's interactivity: clicks on buttons, signed with the app's signing secret over timestamp and raw body."""

from collections.abc import Mapping
from datetime import datetime

from orchestrator.domain.clicks import Button, Click
from orchestrator.domain.events import Malformed
from orchestrator.domain.ownership import MAX_RUN
from webhooks.payload import Record, decode, read
from webhooks.signing import verify_stamped

PROOF_HEADER = "X-Slack-Signature"
STAMP_HEADER = "X-Slack-Request-Timestamp"
_MAX_NAME = 60
"""Characters of a person's name that are written down."""


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Check Slack's signature, version 0. :raises BadSignature: it is missing, wrong, or more than 5 minutes old."""
    verify_stamped(headers, (PROOF_HEADER, STAMP_HEADER), body, secret, now, version="v0")


def parse(headers: Mapping[str, str], body: bytes) -> Click | None:
    """Read a verified interaction; None where it is no click on a button of ours.

    :raises Malformed: it is not what Slack sends.
    """
    payload = read(headers, body)
    if payload.text("type") != "block_actions":
        return None
    action = next(iter(payload.records("actions")), None)
    if action is None or action.text("action_id") not in set(Button):
        return None
    user, place = payload.need("user"), payload.need("container")
    value = _value(action)
    person = user.text("id")
    return Click(
        id=f"{action.text('action_ts')} {person}",
        button=Button(action.text("action_id")),
        run=_run(value),
        channel=value.text("to"),
        place={"channel": place.text("channel_id"), "ts": place.text("message_ts")},
        person=person,
        actor=f"{_name(user)} (Slack {person})",
        team=user.note("team_id") or payload.need("team").text("id"),
        reply_to=payload.note("response_url"),
    )


def _value(action: Record) -> Record:
    """Read what we have written into the button."""
    return Record(decode(action.text("value").encode()))


def _run(value: Record) -> int:
    run = value.number("run")
    if not 0 < run <= MAX_RUN:
        raise Malformed("field run is not the number of a run")
    return run


def _name(user: Record) -> str:
    """Return what people call the person; whoever it is chooses that, so it is one plain line."""
    name = user.note("name") or user.note("username")
    line = " ".join("".join(char if char.isprintable() and char not in "()" else " " for char in name).split())
    return line[:_MAX_NAME] or "somebody"
