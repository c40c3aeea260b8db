"""What a channel's answer means for the message and for the channel."""

import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from orchestrator.domain.apps import Channel, Secret
from orchestrator.domain.errors import PilotageError, RateLimited, Refused, Unanswered, Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.messages import ChannelKind, Sent
from orchestrator.domain.reasons import Reason
from orchestrator.services.outbox import Outbox, Parcel
from tests.support.messages import STARTED
from workers import messenger
from workers.messenger import HUSH, IDLE, Messenger


class FakeOutbox:
    """Has one message at most; writes down what became of it."""

    def __init__(self, parcel: Parcel | None) -> None:
        self.parcel = parcel
        self.told: tuple[Any, ...] = ()
        self.lost = False

    def next(self, channel: str, kind: ChannelKind, former: Sequence[str]) -> Parcel | None:
        assert (channel, kind.latest, former) == ("ops", False, ())
        return self.parcel

    def goes_on(self, _parcel: Parcel, reference: str) -> None:
        self.told = ("goes on", reference)

    def sent(self, _parcel: Parcel, reference: str) -> None:
        self.told = ("sent", reference)

    def postpone(self, _parcel: Parcel, detail: str, retry_after: float | None, *, limited: bool, lost: bool) -> None:
        self.told = ("postponed", detail, retry_after, limited)
        self.lost = lost

    def refused(self, _parcel: Parcel, detail: str) -> None:
        self.told = ("refused", detail)


NOTIFY = Reason.NOTIFY_UNAVAILABLE
ANSWERS: dict[str, tuple[PilotageError | None, tuple[Any, ...], float]] = {
    "taken": (None, ("sent", "ts-1"), 1.0),
    "refused": (Refused(Reason.NOTIFY_REFUSED, "token ***"), ("refused", "token ***"), 1.0),
    "in trouble": (Unavailable(NOTIFY, "HTTP 503", 300.0), ("postponed", "HTTP 503", 300.0, False), 1.0),
    "limited": (RateLimited(NOTIFY, "HTTP 429", 30.0), ("postponed", "HTTP 429", 30.0, True), 30.0),
    "limited for long": (RateLimited(NOTIFY, "HTTP 429", 9999.0), ("postponed", "HTTP 429", 9999.0, True), HUSH),
    "limited for nothing": (RateLimited(NOTIFY, "HTTP 429", 0.0), ("postponed", "HTTP 429", 0.0, True), 1.0),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_only_a_rate_limit_silences_the_whole_channel(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error, told, pause = ANSWERS[answer]

    def send(*_: Any) -> Sent:
        if error is not None:
            raise error
        return Sent(reference="ts-1")

    monkeypatch.setattr(messenger, "NOTIFIERS", {"slack": send})
    outbox = FakeOutbox(Parcel(row={}, message=STARTED, previous=""))
    channel = Channel(name="ops", kind="slack", secret=Secret("x"))

    assert Messenger(channel, cast(Outbox, outbox), Mask(())).once(threading.Event()) == pause
    assert outbox.told == told


def test_a_message_of_which_a_part_is_sent_is_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messenger, "NOTIFIERS", {"slack": lambda *_: Sent(reference="ts-1", more=True)})
    outbox = FakeOutbox(Parcel(row={}, message=STARTED, previous=""))
    Messenger(Channel(name="ops", kind="slack"), cast(Outbox, outbox), Mask(())).once(threading.Event())
    assert outbox.told == ("goes on", "ts-1")


@pytest.mark.parametrize(
    ("kind", "error", "lost"),
    [
        ("slack", Unanswered(NOTIFY, "no answer in time"), True),
        ("slack-api", Unanswered(NOTIFY, "no answer in time"), True),
        ("webhook", Unanswered(NOTIFY, "no answer in time"), False),
        ("slack", Unavailable(NOTIFY, "Connection refused"), False),
        ("slack", RateLimited(NOTIFY, "HTTP 429", 1.0), False),
    ],
)
def test_a_lost_answer_counts_where_a_repeat_would_be_read(
    kind: str, error: Unavailable, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*_: Any) -> Sent:
        raise error

    monkeypatch.setattr(messenger, "NOTIFIERS", {kind: send})
    outbox = FakeOutbox(Parcel(row={}, message=STARTED, previous=""))
    Messenger(Channel(name="ops", kind=kind), cast(Outbox, outbox), Mask(())).once(threading.Event())
    assert outbox.lost is lost


def test_a_channel_without_messages_is_looked_at_soon_again() -> None:
    channel = Channel(name="ops", kind="slack", secret=Secret("x"))
    assert Messenger(channel, cast(Outbox, FakeOutbox(None)), Mask(())).once(threading.Event()) == IDLE
