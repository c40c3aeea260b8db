"""Dealing with clicks, one duty per channel: who clicked is told, the button is disarmed, and then it is done."""

import threading
import time

from orchestrator import journal
from orchestrator.domain.apps import Channel
from orchestrator.domain.clicks import Click
from orchestrator.domain.errors import PilotageError, Unavailable
from orchestrator.services.clicks import ClickQueue, TakenClick
from orchestrator.services.pressing import Pressing
from workers.notifiers.table import ANSWERS
from workers.notifiers.tools import NotifierTools

log = journal.get(__name__)

IDLE = 0.5
"""Seconds between two looks at the table."""


class Clicker:
    """Deals with the clicks under the messages of one channel."""

    def __init__(self, channel: Channel, queue: ClickQueue, pressing: Pressing) -> None:
        self._channel = channel
        self._queue = queue
        self._pressing = pressing
        self._answers = ANSWERS[channel.kind]
        self._tools = NotifierTools(now=time.time)

    def once(self, _stopping: threading.Event) -> float:
        """Deal with one click; return the seconds until the next one can be dealt with."""
        taken = self._queue.next(self._channel.name)
        if taken is None:
            return IDLE
        with journal.about(run=taken.click.run, channel=self._channel.name, actor=taken.click.actor):
            try:
                self._deal(taken)
            except Unavailable as error:  # of the database, or of the chat while somebody is to be told
                log.warning("click postponed", reason=error.reason.value, detail=error.evidence)
                self._queue.again(taken)
            else:
                self._queue.over(taken)
        return 0.0

    def _deal(self, taken: TakenClick) -> None:
        click = taken.click
        refused = self._pressing.refusal(click, self._channel, taken.age)
        said = refused or self._carry_out(click)
        if refused:
            log.warning("click refused", detail=refused)
        else:
            log.info("click carried out", detail=said or click.button.value)
        if said:
            self._whisper(said, click)

    def _carry_out(self, click: Click) -> str:
        """Disarm the buttons first: an older state must not come after what the run is told of next."""
        shown = self._pressing.announced(click)
        if shown is not None:
            try:
                self._answers.disarm(shown, click, self._channel, self._tools)
            except PilotageError as error:  # they stay for a moment; a second click does nothing
                log.warning("buttons not disarmed", reason=error.reason.value, detail=error.evidence)
        return self._pressing.press(click)

    def _whisper(self, said: str, click: Click) -> None:
        try:
            self._answers.whisper(said, click, self._channel, self._tools)
        except Unavailable:
            raise
        except PilotageError as error:
            log.warning("click not answered", reason=error.reason.value, detail=error.evidence)
