"""What becomes of a click on a button: what the call of the API does, once, and a message that says who clicked."""

import json
from collections.abc import Collection
from dataclasses import replace

from orchestrator.domain.apps import Channel, Settings
from orchestrator.domain.clicks import Button, Click, possible
from orchestrator.domain.durations import words
from orchestrator.domain.messages import Message
from orchestrator.domain.runs import Run
from orchestrator.domain.wording import worded
from orchestrator.services import ledger
from orchestrator.services.control import Control, NotPossible
from orchestrator.services.once import Once, Repeated
from orchestrator.store import notifications, runs
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock

LATE = 300.0
"""Seconds after which a click is not carried out any more: who clicked has gone on, and does not expect it."""
_DOES = {
    Button.APPROVE: "approves",
    Button.CANCEL: "cancels",
    Button.RERUN: "repeats",
    Button.ROLLBACK: "rolls back",
}
_NEW_RUN = (Button.RERUN, Button.ROLLBACK)
"""What leads to another run; the buttons of this one have had their use then."""


class Pressing:
    """Carries clicks out. A click that comes twice, or again after a crash, is carried out once."""

    def __init__(self, database: Database, settings: Settings, control: Control) -> None:
        self._database = database
        self._settings = settings
        self._control = control

    def refusal(self, click: Click, channel: Channel, age: float) -> str:
        """Say to the one who clicked why nothing is done; "" where something is. :param age: its seconds."""
        rules = channel.buttons
        if rules is None or click.team != rules.team or click.person not in rules.people:
            who = f"{click.person} of the workspace {click.team}"
            ask = "the operator of Pilotage can add you to `buttons.people` in the configuration"
            return f"Nothing was done: {who} may not use these buttons; {ask}."
        if age > LATE:
            return f"Nothing was done: your click was {words(age)} old when it was taken up; click again."
        if not self._is_newest(click, channel):
            return f"Nothing was done: run {click.run} has another message by now; use that one, or the run's page."
        return ""

    def announced(self, click: Click) -> Message | None:
        """Return the run's message as it looks while the click is carried out; None: there is no such run."""
        with self._database.read() as connection:
            run = runs.load(connection, click.run)
        note = f"{click.actor} {_DOES[click.button]} it …"
        return self._message(click, run, note, ()) if run else None

    def press(self, click: Click) -> str:
        """Do what the button says, and have the message show it; return what the person alone is told, or ""."""
        key = f"click:{click.channel}:{click.run}:{click.button}"
        once = Once(lambda made: {"click": click.id, "note": _note(click, made)}, key=key, request=click.button.value)
        try:
            self._do(click, once)
        except NotPossible as error:
            self._show(click, "", without=(click.button,))
            return f"Nothing was done: {error.text}."
        except Repeated as earlier:
            self._show(click, str(earlier.answer["note"]))
            return "" if earlier.answer["click"] == click.id else "It was done already, by an earlier click."
        self._show(click, str(once.answer["note"]))
        return ""

    def _do(self, click: Click, once: Once) -> None:
        match click.button:
            case Button.APPROVE:
                self._control.approve(click.run, click.actor, once=once)
            case Button.CANCEL:
                self._control.cancel(click.run, click.actor, once=once)
            case Button.RERUN:
                self._control.rerun(click.run, click.actor, once=once)
            case Button.ROLLBACK:
                self._roll_back(click, once)

    def _roll_back(self, click: Click, once: Once) -> None:
        """Go back from this run and from no other: the message may be an old one."""
        with self._database.read() as connection:
            run = runs.load(connection, click.run)
        if run is None:
            raise NotPossible("missing", worded("there is no run {run}", run=click.run))
        self._control.rollback(run.app, run.environment, click.actor, None, of=run.id, once=once)

    def _is_newest(self, click: Click, channel: Channel) -> bool:
        with self._database.read() as connection:
            reference = notifications.reference(connection, click.run, channel.name, *channel.former_names)
        known = json.loads(reference or "{}")
        return bool(click.place) and all(known.get(name) == value for name, value in click.place.items())

    def _show(self, click: Click, note: str, without: Collection[Button] = ()) -> None:
        """Have the message show the run as it is now; nothing that is newer can come before it."""
        with self._database.write() as connection:
            run = ledger.lock(connection, click.run)
            if run is None:
                return
            used = bool(note) and click.button in _NEW_RUN
            left = () if used else tuple(one for one in possible(run) if one not in without)
            row = ledger.row_of(self._message(click, run, note, left), click.channel, clock())
            notifications.add(connection, [row])

    def _message(self, click: Click, run: Run, note: str, buttons: tuple[Button, ...]) -> Message:
        message = ledger.message_of(self._settings, run, "run.progressed", click.channel, clock())
        return replace(message, note=note, buttons=buttons)


def _note(click: Click, made: Run | None) -> str:
    """Say what was done and by whom. :param made: the run that came of it, or the one that it is about."""
    new = f"run {made.id}" if made else "a new run"
    said = {
        Button.APPROVE: f"Approved by {click.actor}.",
        Button.CANCEL: f"Cancelled by {click.actor}." if made and made.state.final else f"{click.actor} stops it.",
        Button.RERUN: f"Repeated by {click.actor}: {new}.",
        Button.ROLLBACK: f"Rolled back by {click.actor}: {new}.",
    }
    return said[click.button]
