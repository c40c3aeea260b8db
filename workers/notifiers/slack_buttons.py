"""Buttons under a bot's message in Slack, and what is said about a click through the address that came with it."""

import json
from typing import Any
from urllib.parse import urlsplit

from orchestrator.domain.apps import Channel
from orchestrator.domain.clicks import Button, Click
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.messages import Message
from orchestrator.domain.reasons import Reason
from workers.notifiers import wording
from workers.notifiers.tools import NotifierTools
from workers.shapes import read_json

HOST = "hooks.slack.com"
"""Where the addresses for answers are; a click that names another place has none."""
PATIENCE = 3.0
"""Seconds of silence before an answer is given up: the person's click waits for it."""
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_LABELS = {Button.APPROVE: "Approve", Button.CANCEL: "Cancel", Button.RERUN: "Re-run", Button.ROLLBACK: "Roll back"}
_STYLES = {Button.APPROVE: {"style": "primary"}, Button.ROLLBACK: {"style": "danger"}}


def buttons(message: Message, channel: Channel) -> list[dict[str, Any]]:
    """Write the buttons of a message as blocks; none where the channel is not to have any."""
    if channel.buttons is None or not message.buttons:
        return []
    elements = [_button(Button(name), message, channel) for name in message.buttons]
    return [{"type": "actions", "block_id": f"run-{message.run}", "elements": elements}]


def disarm(message: Message, click: Click, channel: Channel, tools: NotifierTools) -> None:
    """Replace the message that was clicked, so that nobody clicks again meanwhile.

    :raises Refused: NOTIFY_REFUSED, it is no address of Slack's, or it is used up. :raises Unavailable:
        NOTIFY_UNAVAILABLE.
    """
    shown = {"text": wording.text(message), "blocks": wording.blocks(message)}
    _answer(click, channel, tools, {"replace_original": True, **shown})


def whisper(text: str, click: Click, channel: Channel, tools: NotifierTools) -> None:
    """Say something that only the one who clicked sees. Raises as `disarm`."""
    said = {"response_type": "ephemeral", "replace_original": False, "text": wording.clip(text, wording.LONG)}
    _answer(click, channel, tools, said)


def _button(button: Button, message: Message, channel: Channel) -> dict[str, Any]:
    label = _LABELS[button]
    # Slack signs what it sends, so this comes back as it is here.
    value = json.dumps({"run": message.run, "to": channel.name})
    what = wording.plain(f"{label} run {message.run}: {message.app} to {message.environment}?", 250)
    confirm = {
        "title": _plain("Are you sure?"),
        "text": _plain(what),
        "confirm": _plain(label),
        "deny": _plain("No"),
    }
    fixed = {"type": "button", "action_id": button.value, "text": _plain(label), "value": value, "confirm": confirm}
    return fixed | _STYLES.get(button, {})


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def _answer(click: Click, channel: Channel, tools: NotifierTools, body: dict[str, Any]) -> None:
    if not _is_slacks(click.reply_to, channel.url):
        raise Refused(Reason.NOTIFY_REFUSED, f"{channel.name}: the address for answers is not on {HOST}")
    content = json.dumps(body, ensure_ascii=False).encode()
    answer = tools.post(click.reply_to, content, _JSON, allow_private=channel.allow_private, patience=PATIENCE)
    said = f"{channel.name}: HTTP {answer.status} to an answer"
    if answer.status >= 500:
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, said, answer.retry_after)
    if not 200 <= answer.status < 300 or _denies(answer.body):
        raise Refused(Reason.NOTIFY_REFUSED, said)


def _denies(body: bytes) -> bool:
    """Tell whether Slack says no in an answer that is a 200, as it may of an address that is used up."""
    try:
        said = read_json(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("ok") is False


def _is_slacks(address: str, api: str) -> bool:
    """Tell whether an address for answers is Slack's; whoever sent the click chose it. :param api: of a stand-in."""
    try:
        place, stand_in = urlsplit(address), urlsplit(api)
        ours = place.scheme == "https" and place.hostname == HOST and place.port in (None, 443)
    except ValueError:
        return False
    if "@" in place.netloc:
        return False
    return ours or (bool(api) and (place.scheme, place.netloc) == (stand_in.scheme, stand_in.netloc))
