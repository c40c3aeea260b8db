"""How the pages show times, durations, states and commits."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup, escape

from orchestrator.domain.durations import noted, words
from orchestrator.domain.wording import Say, english
from orchestrator.services.views import rfc3339

_GLYPHS = {
    "queued": "○",
    "running": "◐",
    "waiting": "◷",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "skipped": "–",
    "accepted": "✓",
    "ignored": "–",
    "pinged": "○",
    "refused": "✗",
}


MARKS = 20
"""Places that are marked in one line: a line of dots has thousands, and 200 such lines took many seconds to make."""


def glyph(state: str) -> str:
    """Return the sign of a state; states differ by shape and word, colour only repeats it."""
    return _GLYPHS.get(state, "?")


_ARGO_STATES = {
    "Healthy": "succeeded",
    "Synced": "succeeded",
    "Progressing": "running",
    "Degraded": "failed",
    "Missing": "failed",
}


def argo_state(word: str) -> str:
    """Return the state whose sign and colour go with a word of Argo CD's; what we do not know waits for a person."""
    return _ARGO_STATES.get(word, "waiting")


ENDINGS = {
    "superseded": "superseded",
    "timed_out": "timed out",
    "build_timeout": "timed out",
    "not_reached": "not reached",
}
"""Reasons that people know as states of their own."""


def state(thing: Mapping[str, Any]) -> str:
    """Show the state of a run or a stage: "cancelled", or "superseded" where that is why."""
    return ENDINGS.get(thing["reason"], str(thing["state"]))


MESSAGES = {
    "run.started": "started",
    "run.progressed": "under way",
    "run.waiting": "waiting",
    "run.succeeded": "succeeded",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
}
"""What a notification tells of a run."""
TOLD = {"pending": "not sent yet", "sent": "sent", "merged": "told by a later one", "failed": "not sent"}
"""What became of a notification."""


def message(notification: Mapping[str, Any], say: Say = english) -> str:
    """Show a notification: "failed, sent"."""
    type_, state_ = str(notification["type"]), str(notification["state"])
    return f"{say(MESSAGES.get(type_, type_))}, {say(TOLD.get(state_, state_))}"


def ago(at: str | None, now: datetime, say: Say = english) -> str:
    """Format how long ago an RFC 3339 time is: "3 min ago"."""
    if at is None:
        return ""
    seconds = (now - datetime.fromisoformat(at)).total_seconds()
    if seconds < 45:
        return say("just now")
    for limit, size, text in (
        (3600, 60, "%(n)s min ago"),
        (86400, 3600, "%(n)s h ago"),
        (14 * 86400, 86400, "%(n)s d ago"),
    ):
        if seconds < limit:
            return say(text) % {"n": max(1, round(seconds / size))}
    return at[:10]


def lasts(since: str, now: datetime) -> str:
    """Format for how long something has gone on, in whole seconds: "4 s", "2m10s"."""
    minutes, seconds = divmod(max(0, int((now - datetime.fromisoformat(since)).total_seconds())), 60)
    return words(minutes * 60 + seconds) if minutes else f"{seconds} s"


def took(seconds: float | None) -> str:
    """Format a duration: "4.2 s", "2m10s"; "" for None."""
    return "" if seconds is None else words(seconds)


def worked(run: Mapping[str, Any]) -> float:
    """Return the seconds of work of a run that is over."""
    return float(run["seconds"] - noted(run["waited_seconds"]))


def waited(run: Mapping[str, Any]) -> float:
    """Return the seconds for which a run has waited between its stages; 0 where that is not worth telling."""
    return noted(run["waited_seconds"])


def works_since(run: Mapping[str, Any]) -> str | None:
    """Return since when a run that is at work would be if it had never waited; None: it is over or waits."""
    if run["finished_at"] or run["waiting_since"]:
        return None
    return rfc3339(datetime.fromisoformat(run["created_at"]) + timedelta(seconds=waited(run)))


def moment(at: str | None) -> str:
    """Format an RFC 3339 time in full: "2024-05-06 07:08:09 UTC"."""
    return f"{at[:10]} {at[11:19]} UTC" if at else ""


def short(text: str) -> str:
    """Shorten a commit or a digest as people do."""
    return text[:19] if text.startswith("sha256:") else text[:12]


def ref_name(ref: str) -> str:
    """Return the name of a branch or tag without what Git puts in front."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


HEADLINES = {
    "deploy": "Deploy %(app)s to %(environment)s",
    "hold": "Hold %(app)s in %(environment)s",
    "release": "Release %(app)s in %(environment)s",
    "rollback": "Roll back %(app)s in %(environment)s",
    "promote": "Promote %(app)s to %(environment)s",
}
"""What an action does with an environment."""


def headline(action: str, app: str, environment: str, say: Say = english) -> str:
    """Say what an action does: "Roll back web in prod"."""
    return say(HEADLINES[action]) % {"app": app, "environment": environment}


_TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""Signs that turn the direction of writing, also of what stands behind them."""


def shown(value: Any) -> Any:
    """Show what a template fills in: a name or a message of others must not turn what stands beside it."""
    if not isinstance(value, str) or value.isprintable():
        return value
    straight = _TURNING.sub("", value)
    return Markup(straight) if isinstance(value, Markup) else straight  # noqa: S704 - it was that before


def marked(text: str, sought: str) -> Markup:
    """Show a line with what is looked for marked in it, in capitals or small letters; the first `MARKS` of them."""
    parts = re.split(f"({re.escape(sought)})", text, maxsplit=MARKS, flags=re.IGNORECASE)
    return Markup("").join(Markup("<mark>{}</mark>").format(part) if n % 2 else part for n, part in enumerate(parts))


_TICKED = re.compile(r"`([^`]+)`")


def coded(text: str) -> Markup:
    """Show what a sentence has between backticks, such as a command, as code; everything else stays plain text."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before
