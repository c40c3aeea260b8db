"""Wording a message for Slack-style channels: escaped, within the limits, readable without colours.

Limits are Slack's (reference of blocks and messages) with room to spare, because services count characters in
different ways; every text of a user is shortened on its own so that the frame around it always survives.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.domain.durations import apart, words
from orchestrator.domain.messages import Message

SHORT, LONG = 200, 1000
"""Characters (after escaping) of a name or title, and of a sentence."""
HEADER_LIMIT = 150
LOG, LOG_LINE = 2600, 400
"""Characters (after escaping) of the end of a log, and of one line of it."""
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_FENCE = re.compile(r"`(?=`)")
_PINGS = re.compile(r"@(?=(?:all|channel|everyone|here)(?![^\W_]))", re.IGNORECASE)
"""Mattermost takes signs off the end of a word, underscores too, until it is one of these."""
_LINKS = re.compile(r"\](?=\()")
"""What makes a link or a picture of words in brackets, in services that read Markdown (Mattermost, Discord)."""
_STATES = {
    "queued": ("○", "Queued"),
    "running": ("▶", "Deploying"),
    "waiting": ("⏳", "Waiting"),
    "succeeded": ("✅", "Deployed"),
    "failed": ("❌", "Deploy failed"),
    "cancelled": ("⏹", "Cancelled"),
    "superseded": ("⏭", "Superseded"),
}
_STAGES = {"succeeded": "✔", "failed": "✖", "running": "▶", "waiting": "⏳", "skipped": "–", "cancelled": "⏹"}


def clip(text: str, limit: int = SHORT) -> str:
    """Return `text` on one line, escaped for mrkdwn, at most `limit` characters long, never cut inside a character.

    Nothing in it can ping: neither ``<!channel>`` nor, for Slack-compatible services, ``@here``. Nothing leads
    elsewhere than it says: no words of others become a link or a picture.
    """
    quiet = _LINKS.sub("]\u200b", _PINGS.sub("@\u200b", plain(text)))
    escaped = [_ESCAPES.get(char, char) for char in quiet]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    return "".join(_within(escaped, limit - 1)).rstrip() + "…"


def plain(text: str, limit: int = 10 * LONG) -> str:
    """Return `text` on one line with only valid characters, at most `limit` of them, unescaped (for JSON)."""
    valid = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    line = _UNSEEN.sub(" ", valid).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def headline(message: Message) -> str:
    """Say in one line what happened to what: ``✅ Deployed: plate-web to prod``."""
    glyph, word = _STATES.get(_state(message), ("•", message.state))
    return f"{glyph} {word}: {clip(message.app, 60)} to {clip(message.environment, 40)}"


def text(message: Message) -> str:
    """Write everything as plain lines: what a notification shows, and all that a channel without blocks shows."""
    lines = [headline(message), _commit(message), *_why(message), clip(message.note, LONG)]
    return "\n".join(line for line in [*lines, _footer(message)] if line)


def blocks(message: Message) -> list[dict[str, Any]]:
    """Write a message as Slack blocks; a failure is louder than everything else."""
    stages = _stages(message)
    context = [_mrkdwn(line) for line in (stages, _footer(message)) if line]
    if message.state != "failed":
        lines = [f"*{headline(message)}*", _commit(message), *_why(message), clip(message.note, LONG)]
        body = [_section("\n".join(line for line in lines if line))]
    else:
        body = [_header(message), _section("\n".join(_why(message)))]
        body += [_section(note)] if (note := clip(message.note, LONG)) else []
        body += [{"type": "section", "fields": fields}] if (fields := list(_fields(message))) else []
    return [*body, {"type": "context", "elements": context}]


def reply(message: Message) -> str:
    """Write a failure for the thread of its message: an edit makes no sound, a reply does."""
    return "\n".join([headline(message), *_why(message), _link(message)]).rstrip()


def reply_blocks(message: Message) -> list[dict[str, Any]]:
    """Write a failure for the thread as blocks, with the end of the log as it is: nothing in it is markup."""
    said = _section(reply(message))
    return [said, *([_log(message.tail)] if message.tail else [])]


def _log(tail: Sequence[str]) -> dict[str, Any]:
    """Put the last lines, as many as fit, into a code block. ``verbatim``: Slack makes no links and names of it."""
    kept: list[str] = []
    left = LOG
    for line in reversed(tail):
        shown = _code(line, min(left, LOG_LINE))
        left -= len(shown) + 1
        if left < 0:
            break
        kept.insert(0, shown)
    said = "```\n" + "\n".join(kept) + "\n```"
    return {"type": "section", "text": _mrkdwn(said) | {"verbatim": True}}


def _code(line: str, limit: int) -> str:
    """Return a line for a code block: its blanks stay, and no backticks end the block."""
    valid = line.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    shown = _CONTROLS.sub(" ", valid.rstrip().expandtabs(4))
    quiet = _PINGS.sub("@\u200b", _FENCE.sub("`\u200b", shown))
    escaped = [_ESCAPES.get(char, char) for char in quiet]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    return "".join(_within(escaped, max(0, limit - 1))) + "…"


def _state(message: Message) -> str:
    return "superseded" if message.reason == "superseded" else message.state


def _why(message: Message) -> list[str]:
    """Say why, and what to do next: only where it is not simply going well."""
    if message.state in ("failed", "cancelled"):
        stage = next((name for name, state, _ in message.stages if state == message.state), "")
        where = f"*{clip(stage)}*: " if stage and message.state == "failed" else ""
        lines = [where + (clip(message.sentence, LONG) or "No cause is known.")]
        return lines + ([_next(message)] if message.next_step and message.state == "failed" else [])
    if message.state != "waiting" or not message.sentence or message.note:
        return []
    asks = message.next_step and message.who_acts not in ("", "nobody")
    return [clip(message.sentence, LONG), *([_next(message)] if asks else [])]


def _next(message: Message) -> str:
    who = f" ({clip(message.who_acts, 40)})" if message.who_acts not in ("", "nobody") else ""
    return f"*Next*{who}: {clip(message.next_step, LONG)}"


def _commit(message: Message) -> str:
    parts = [f"`{clip(message.commit[:7])}`" if message.commit else "", clip(message.title)]
    said = " ".join(part for part in parts if part)
    return f"{said} by {clip(message.author, 80)}" if said and message.author else said


def _footer(message: Message) -> str:
    facts = [f"took {apart(message.seconds, message.waited_seconds)}" if message.seconds is not None else ""]
    facts += [f"trigger {clip(message.trigger, 40)}" if message.trigger else ""]
    facts += [_act(message)]
    facts += [f"attempt {message.attempt}" if message.attempt > 1 else ""]
    return " · ".join(fact for fact in [*facts, _link(message)] if fact)


def _act(message: Message) -> str:
    """Name the person who acted last, unless the sentence does: ``approved by mina``."""
    said = f"{message.action} by {message.actor}" if message.actor and message.action else ""
    return "" if said and said.casefold() in message.sentence.casefold() else clip(said, 120)


def _link(message: Message) -> str:
    """Link the run's page; ``|`` and ``>`` would end the link's address early."""
    address = message.url.replace("|", "%7C").replace(">", "%3E").replace("<", "%3C").replace("&", "&amp;")
    usable = address.startswith(("http://", "https://")) and len(address) <= 3 * LONG
    return f"<{address}|Run {message.run}>" if usable else f"Run {message.run}"


def _stages(message: Message) -> str:
    parts = [
        f"{_STAGES.get(state, '○')} {clip(name, 40)}" + (f" {words(seconds)}" if seconds is not None else "")
        for name, state, seconds in message.stages[:12]
    ]
    return "  ".join(parts)


def _fields(message: Message) -> Iterator[dict[str, str]]:
    """Give the facts of a failure as pairs; Slack takes at most ten."""
    pairs = (
        ("Commit", f"`{clip(message.commit[:7])}` {clip(message.title)}".strip() if message.commit else ""),
        ("Author", clip(message.author, 80)),
        ("Image", f"`{clip(message.image)}`" if message.image else ""),
        ("GitOps commit", f"`{clip(message.gitops_commit[:7])}`" if message.gitops_commit else ""),
    )
    return (_mrkdwn(f"*{name}*\n{value}") for name, value in pairs if value)


def _within(pieces: list[str], limit: int) -> Iterator[str]:
    """Yield pieces as long as they fit into `limit` characters."""
    for piece in pieces:
        limit -= len(piece)
        if limit < 0:
            return
        yield piece


def _header(message: Message) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": headline(message)[:HEADER_LIMIT], "emoji": True}}


def _section(said: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(said)}


def _mrkdwn(said: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": said}
