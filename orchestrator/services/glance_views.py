"""How glances are shown: what Git and Argo CD say now, apart from what Pilotage did there. Pure, as `views`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.apps import Environment, Settings
from orchestrator.domain.wording import Say, english
from orchestrator.services.views import View, commit_url, rfc3339
from orchestrator.store.glances import Facts, LastLook
from orchestrator.store.rows import moment

STALE = 120.0
"""Seconds after which what was seen is no longer taken for what is: the relay looks every 15 s."""
NOT_YET = "Nobody has looked yet; the relay does so every 15 s."
NO_MORE = "Nobody has looked since then; see whether the relay runs and reaches the database."


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one witness said of one environment. :param facts: None: nothing. :param look: the last look at it."""

    facts: Facts | None = None
    look: LastLook = field(default_factory=LastLook)


def git_view(seen: Seen, settings: Settings, env: Environment, now: datetime, say: Say = english) -> View:
    """Show the value of the key on the head of the GitOps branch, and whose commit set it.

    ``by_pilotage`` is None where the commit is not known.
    """
    facts = _matching(seen.facts, {"values": env.values, "key": env.key})
    commit = str(facts.get("commit") or "")
    at = _time(facts.get("at"))
    return {
        "value": str(facts.get("value") or ""),
        "commit": commit,
        "commit_url": commit_url(settings.gitops.access.url, commit),
        "author": str(facts.get("author") or ""),
        "since": rfc3339(at),
        "run": facts.get("run"),
        "by_pilotage": facts.get("run") is not None if commit else None,
        **_look(facts, seen.look, now, say),
    }


def argo_view(seen: Seen, env: Environment, now: datetime, say: Say = english) -> View:
    """Show what Argo CD says of the application, in its own words."""
    facts = _matching(seen.facts, {"argocd": env.argocd})
    return {
        "sync": str(facts.get("sync") or ""),
        "health": str(facts.get("health") or ""),
        "syncing": bool(facts.get("syncing")),
        "live": [str(one) for one in facts.get("live") or ()],
        **_look(facts, seen.look, now, say),
    }


def _look(facts: Mapping[str, Any], look: LastLook, now: datetime, say: Say) -> View:
    """Say when it was seen, and why it may be otherwise by now ("": nothing speaks for that)."""
    seen_at = moment(look.seen_at) if facts else None
    trouble = str(facts.get("fault") or "") or look.trouble
    if not trouble and seen_at is None:
        trouble = say(NOT_YET)
    elif not trouble and seen_at is not None and (now - seen_at).total_seconds() > STALE:
        trouble = say(NO_MORE)
    return {"seen_at": rfc3339(seen_at), "current": not trouble, "trouble": trouble}


def _matching(facts: Facts | None, configured: Mapping[str, str]) -> Facts:
    """Return the facts, if they are of what is configured now."""
    if facts is None or any(facts.get(name) != value for name, value in configured.items()):
        return {}
    return facts


def _time(text: object) -> datetime | None:
    """Read a commit's own time; None where it is one that no calendar has, in UTC either."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None
