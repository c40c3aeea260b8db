"""What is told to people about a run; notifiers receive this value and look nothing up."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One state of one run, ready to be worded for any channel.

    :param id: stable per (run, state, channel): the idempotency key of callbacks; contains no dot.
    :param type: ``run.started``, ``run.progressed``, ``run.waiting`` (for approval), ``run.succeeded``,
        ``run.failed`` or ``run.cancelled``.
    :param stages: (name, state, seconds or None) in order. :param sentence: the one sentence why, or "".
    :param next_step: what to do, with who must act in `who_acts`. :param url: page of the run, or "".
    :param at: RFC 3339 time of the state. :param seconds: how long it took, once it is over.
    :param waited_seconds: in how many of them none of its stages was at work.
    :param repo: address of the source repository. :param ref: what was pushed, as ``refs/heads/main``, or "".
    :param actor: the person who was the last to act on the run, or "" when none did. :param action: what that person
        did: ``started``, ``repeated``, ``promoted``, ``rolled back``, ``approved`` or ``cancelled`` it.
    :param buttons: what people can do with the run from where they read this, as in `domain.clicks.Button`.
    :param note: what came of a click, one sentence, or "".
    :param tail: of a run that has failed, the last lines of its log, masked; read when the message is sent.
    """

    id: str
    type: str
    run: int
    app: str
    environment: str
    state: str
    reason: str
    sentence: str
    next_step: str
    who_acts: str
    commit: str
    title: str
    author: str
    image: str
    digest: str
    gitops_commit: str
    attempt: int
    trigger: str
    at: str
    seconds: float | None
    url: str
    stages: tuple[tuple[str, str, float | None], ...] = ()
    actor: str = ""
    action: str = ""
    repo: str = ""
    ref: str = ""
    buttons: tuple[str, ...] = ()
    note: str = ""
    tail: tuple[str, ...] = ()
    waited_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The channel took the message.

    :param reference: what a later edit needs (JSON text), or "". :param more: the message has a part that is sent on
        its own; send the same message again, with this reference.
    """

    reference: str = ""
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelKind:
    """What channels of one kind are told by default.

    :param types: message types. :param merge: only the newest unsent state of a run matters (it edits in place).
    :param latest: of all runs of an app in an environment with one commit only the newest speaks.
    :param interval: least seconds between two messages to one destination; `spacing` between two about one run, so
        that one run's edits hold no other run up. :param tail: it shows the end of the log of a run that failed.
    :param keyed: who receives a message twice can tell by its id.
    """

    types: frozenset[str]
    merge: bool = False
    latest: bool = False
    interval: float = 0.0
    spacing: float = 0.0
    tail: bool = False
    keyed: bool = False


_ENDS = frozenset({"run.succeeded", "run.failed", "run.cancelled"})
_ASKS = frozenset({"run.waiting"})
_START_AND_END = _ENDS | _ASKS | {"run.started"}
"""Start and end, and in between only what a person must act on."""

_STATUS = ChannelKind(types=_START_AND_END, merge=True, latest=True, keyed=True)
"""A commit's status on its forge: the last one counts, and one that is set twice shows once."""

KINDS: dict[str, ChannelKind] = {
    "slack": ChannelKind(types=_START_AND_END, interval=1.0),
    "slack-api": ChannelKind(
        types=_START_AND_END | {"run.progressed"}, merge=True, interval=1.2, spacing=3.0, tail=True
    ),
    "webhook": ChannelKind(types=_START_AND_END, keyed=True),
    "github-status": replace(_STATUS, interval=1.0),
    "gitlab-status": _STATUS,
    "gitea-status": _STATUS,
    "forgejo-status": _STATUS,
}
"""Every kind of channel that there is."""
