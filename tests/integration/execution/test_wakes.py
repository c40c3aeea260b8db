"""How often the broker is told of a run that is due, on both databases."""

import threading
from collections.abc import Iterable
from itertools import pairwise

import pytest
from kombu.exceptions import OperationalError

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import StageName, Wait
from orchestrator.engine.facts import Reported
from orchestrator.services.bell import Bell
from orchestrator.services.execution import Execution
from orchestrator.services.waits import Waits
from orchestrator.store import wakes
from orchestrator.store.database import now
from orchestrator.store.wakes import REPEAT, REPEAT_MOST
from tests.support.executing import Workshop
from tests.support.factories import make_settings
from tests.support.journals import Logged
from workers.relay import IDLE, Publisher

STOP = threading.Event()


class FakeCelery:
    """Takes messages, until it is away."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.tries = 0
        self.away = False

    def send_task(self, _name: str, args: list[int], **_: object) -> None:
        self.tries += 1
        if self.away:
            raise OperationalError("timed out")
        self.sent += args


@pytest.fixture
def celery() -> FakeCelery:
    return FakeCelery()


def publisher(workshop: Workshop, celery: FakeCelery) -> Publisher:
    return Publisher(workshop.reconcile, celery, Bell(""))  # type: ignore[arg-type]


def published(workshop: Workshop, seconds: Iterable[float], begun: float) -> list[float]:
    """Look at the table at these times after `begun`; return the times at which something was to be published."""
    found = []
    for at in seconds:
        with workshop.database.write() as connection:
            if wakes.take_due(connection, begun + at):
                found.append(at)
    return found


def test_a_run_that_nobody_takes_is_published_again_after_growing_pauses(workshop: Workshop) -> None:
    begun = now() + 1
    workshop.push(1)
    times = published(workshop, range(0, 3600, 16), begun)
    pauses = [later - at for at, later in pairwise(times)]
    assert pauses[:4] == [16, 32, 64, 128]
    assert max(pauses) <= REPEAT_MOST + 16
    assert len(times) < 20


def test_a_run_that_is_woken_anew_begins_with_short_pauses(workshop: Workshop) -> None:
    """A worker came with the message while another one held the run, which has to look again."""
    workshop.push(1)
    begun = now()
    assert published(workshop, (0, 600, 1200), begun) == [0, 600, 1200]
    assert published(workshop, (1260,), begun) == []
    with workshop.database.write() as connection:
        wakes.set_due(connection, 1, begun + 9999, "deploy")
    anew = now()
    assert published(workshop, (0, REPEAT - 1, REPEAT + 1), anew) == [0, REPEAT + 1]


def test_the_watch_does_not_repeat_what_is_due_already(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.wait(workshop.until(1, StageName.HEALTH), after=500)
    watch = Waits(workshop.database, workshop.settings, Bell(""))
    assert workshop.due() == set()
    watch.wake([1])
    assert workshop.due() == {1}
    for _ in range(3):
        watch.wake([1])
        assert workshop.due() == set(), "its message is on its way"


@pytest.mark.parametrize("waits", [False, True])
def test_an_event_wakes_the_run_that_has_just_come_to_its_application(workshop: Workshop, waits: bool) -> None:
    watch = Waits(workshop.database, workshop.settings, Bell(""))
    assert watch.waiting() == {}
    workshop.push(1)
    assignment = workshop.until(1, StageName.HEALTH)
    if waits:
        workshop.wait(assignment, after=500)
        workshop.due()
    name = workshop.settings.apps[0].environments[0].argocd
    watch.wake_application("another")
    assert workshop.due() == set()
    watch.wake_application(name)
    assert workshop.due() == {1}


def test_what_the_watch_saw_while_a_worker_was_at_the_run_is_looked_at_afterwards(workshop: Workshop) -> None:
    workshop.push(1)
    assignment = workshop.until(1, StageName.HEALTH)
    Waits(workshop.database, workshop.settings, Bell("")).wake([1])
    assert workshop.due() == {1}
    assert workshop.two.begin(1, "deploy") is None, "another one has it"
    workshop.one.report(
        assignment, Reported(stage=StageName.HEALTH, outcome=Wait(reason=Reason.PROGRESSING, after=500)), "build"
    )
    assert workshop.due() == {1}


def test_a_broker_that_is_away_is_asked_once_a_round(workshop: Workshop, celery: FakeCelery, logged: Logged) -> None:
    for number in range(1, 21):
        workshop.push(number)
    relay = publisher(workshop, celery)
    celery.away = True
    assert [relay.once(STOP), relay.once(STOP)] == [IDLE, IDLE]
    assert (celery.tries, len(logged.of("wake-up not published"))) == (2, 2)
    celery.away = False
    assert relay.once(STOP) == 0.0
    assert sorted(celery.sent) == list(range(1, 21)), "at once, none has to wait for its repetition"
    assert workshop.due() == set()


def test_a_run_whose_environment_the_watch_does_not_know_is_woken_like_a_new_one(workshop: Workshop) -> None:
    """Else it would not be told before its time is over that the environment has left the configuration."""
    workshop.push(1)
    workshop.wait(workshop.until(1, StageName.HEALTH))
    nowhere = make_settings(workshop.settings.state_dir, apps=())
    watch = Waits(workshop.database, nowhere, Bell(""))
    assert watch.waiting() == {"": [1]}
    watch.wake_application("plate-web-stg")
    assert workshop.due() == set()
    watch.wake([1])
    assert workshop.due() == {1}
    assert Execution(workshop.database, nowhere, Bell(""), "other").begin(1, "build") is None
    assert watch.waiting() == {}, "it looks by itself from now on"
