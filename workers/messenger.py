"""Sending notifications, one duty per channel: a slow or broken channel delays neither runs nor other channels."""

import threading
import time

from orchestrator import journal, tracing
from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import RateLimited, Refused, Unanswered, Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.messages import KINDS
from orchestrator.services.outbox import Outbox, Parcel
from workers.notifiers.table import NOTIFIERS
from workers.notifiers.tools import NotifierTools

log = journal.get(__name__)

IDLE = 0.5
"""Seconds between two looks at the table."""
HUSH = 60.0
"""Most seconds for which a rate limit silences a whole channel; after them one message tries a longer limit again."""


class Messenger:
    """Sends what waits for one channel."""

    def __init__(self, channel: Channel, outbox: Outbox, mask: Mask) -> None:
        self._channel = channel
        self._outbox = outbox
        self._mask = mask
        self._tools = NotifierTools(now=time.time)

    def once(self, _stopping: threading.Event) -> float:
        """Send one notification; return the seconds until the channel takes the next one."""
        kind = KINDS[self._channel.kind]
        parcel = self._outbox.next(self._channel.name, kind, self._channel.former_names)
        if parcel is None:
            return IDLE
        told = parcel.message
        with journal.about(run=told.run, app=told.app, env=told.environment, channel=self._channel.name):
            if parcel.trace is None:
                hush = self._send(parcel)
            else:
                with tracing.span("notification", parcel.trace, channel=self._channel.name, type=told.type):
                    hush = self._send(parcel)
        return max(hush, kind.interval)

    def _send(self, parcel: Parcel) -> float:
        """Send; return for how many seconds the service asks us to send nothing more."""
        try:
            sent = NOTIFIERS[self._channel.kind](parcel.message, self._channel, parcel.previous, self._tools)
        except Refused as error:
            log.warning("notification refused", reason=error.reason.value, detail=error.evidence)
            self._outbox.refused(parcel, self._mask(error.evidence))
        except Unavailable as error:
            log.warning("notification postponed", reason=error.reason.value, detail=error.evidence)
            limited = isinstance(error, RateLimited)
            lost = isinstance(error, Unanswered) and not KINDS[self._channel.kind].keyed
            self._outbox.postpone(parcel, self._mask(error.evidence), error.retry_after, limited=limited, lost=lost)
            return min(error.retry_after or 0.0, HUSH) if limited else 0.0
        else:
            if sent.more:
                self._outbox.goes_on(parcel, sent.reference)
            else:
                log.info("notification sent")
                self._outbox.sent(parcel, sent.reference)
        return 0.0
