"""Buttons under the message of a run, and what a chat tells of a click on one."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, Trigger


class Button(StrEnum):
    """What a button does."""

    APPROVE = "approve"
    CANCEL = "cancel"
    RERUN = "rerun"
    ROLLBACK = "rollback"


def possible(run: Run) -> tuple[Button, ...]:
    """Return the buttons that make sense for a run as it is now; whether one still does is judged at the click."""
    if not run.state.final:
        if run.is_unwanted:
            return ()
        asks = run.reason is Reason.AWAITING_APPROVAL and not run.approved_by
        return (Button.APPROVE, Button.CANCEL) if asks else (Button.CANCEL,)
    again = run.state is not RunState.SUCCEEDED and run.superseded_by is None
    goes_back = run.trigger is Trigger.ROLLBACK or run.taken_back_by is not None
    back = run.committed and run.superseded_by is None and not goes_back
    return (*((Button.RERUN,) if again else ()), *((Button.ROLLBACK,) if back else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A person clicked a button; the chat has proven that it says so.

    :param id: tells this click from others. :param channel: the destination to which the message was sent.
    :param place: where the message is, in the words of the channel's reference. :param person: the chat's id of the
        person. :param actor: their name, the chat and that id, as it is written down. :param team: the workspace that
        the person belongs to.
    :param reply_to: address for answers; whoever has it can write there, so it is a secret for half an hour.
    """

    id: str
    button: Button
    run: int
    channel: str
    place: Mapping[str, str]
    person: str
    actor: str
    team: str
    reply_to: str = field(default="", repr=False)


class ClickBox(Protocol):
    """Takes clicks. What it returns is there when the click is durable; else it fails with Unavailable."""

    def take(self, click: Click) -> Future[None]:
        """Write a click down; a worker does what it asks for."""
        ...
