"""A chat whose buttons work: runs that are told to it, an endpoint that takes clicks, and a relay moved by hand."""

import re
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.apps import Channel
from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, Run, StageName
from orchestrator.engine.facts import Reported
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.chat_clicks import Acknowledged
from orchestrator.sandbox.chat_slack import Shown
from orchestrator.services.clicks import ClickQueue, ClickWriter
from orchestrator.services.control import ManualRun
from orchestrator.services.outbox import Outbox
from orchestrator.services.pressing import Pressing
from orchestrator.store import runs
from orchestrator.store.database import Database
from orchestrator.store.schema import clicks, notifications
from tests.support.executing import Workshop, two_environments
from tests.support.hooks import FakeInbox
from tests.support.messages import RULES, channel_to
from webhooks.app import create_app
from workers.clicking import Clicker
from workers.messenger import Messenger

ASKED = ManualRun(app="plate-web", environment="prod", commit="1" * 40, actor="jun")


def long_ago(database: Database) -> None:
    """Have what was sent be sent long ago."""
    with database.write() as connection:
        connection.execute(notifications.update().values(sent_at=notifications.c.sent_at - 60))


class Desk:
    """One channel with buttons, prod behind an approval, and what happens between a click and its end."""

    def __init__(self, workshop: Workshop, chat: SandboxChat, **channel: Any) -> None:
        two_environments(workshop, approval=True)
        self.workshop, self.chat = workshop, chat
        self.channel: Channel = channel_to(chat, "slack-api", buttons=RULES, **channel)
        self.writer = ClickWriter(workshop.database)
        self._begin()

    def rename(self, name: str) -> None:
        """Start all processes anew with another name of the channel in the configuration."""
        self.channel = replace(self.channel, name=name, former_names=(self.channel.name,))
        self._begin()

    def _begin(self) -> None:
        self.workshop.use(replace(self.workshop.settings, channels=(self.channel,)))
        self._app = create_app(
            {},
            FakeInbox(),
            max_body=1024,
            now=lambda: datetime.now(UTC),
            channels=(self.channel,),
            clicks=self.writer,
        )

    def app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one request of the chat."""
        return self._app(environ, start_response)

    def tell(self) -> None:
        """Have a relay that has just started send all that waits."""
        outbox = Outbox(self.workshop.database)
        for _ in range(5):
            long_ago(self.workshop.database)
            Messenger(self.channel, outbox, Mask(())).once(threading.Event())

    def deal(self) -> None:
        """Have a relay that has just started deal with one click."""
        workshop = self.workshop
        pressing = Pressing(workshop.database, workshop.settings, workshop.control)
        Clicker(self.channel, ClickQueue(workshop.database), pressing).once(threading.Event())

    def click(self, button: str, shown: Shown | None = None, **who: str) -> Acknowledged:
        """Click a button of a message, by default of the newest."""
        return self.chat.clicks.click(shown or self.newest, button, **who)

    @property
    def newest(self) -> Shown:
        """The newest message, as it is now."""
        return [one for one in self.chat.slack.shown if not one.thread_ts][-1]

    def of(self, run: int) -> Shown:
        """The message of a run, as it is now."""
        return next(one for one in self.chat.slack.shown if re.search(rf"\bRun {run}\b", one.text))

    def made_by(self, actor: str) -> list[Run]:
        """The runs that somebody has started."""
        with self.workshop.database.read() as connection:
            return [run for run in runs.page(connection, limit=50) if run.actor == actor]

    @property
    def buttons(self) -> list[str]:
        """The buttons of the newest message."""
        rows = [block["elements"] for block in self.newest.blocks if block["type"] == "actions"]
        return [button["action_id"] for row in rows for button in row]

    @property
    def waiting(self) -> int:
        """How many clicks nobody has dealt with yet."""
        with self.workshop.database.read() as connection:
            return len(connection.execute(clicks.select()).all())

    def asking(self) -> int:
        """Start a run that waits for approval, and tell of it."""
        run = self.workshop.control.start(ASKED)
        self.workshop.done(self.workshop.begin(run))
        self.tell()
        return run

    def failed(self, number: int = 1) -> int:
        """Push what fails in its build, and tell of it."""
        run: int = self.workshop.push(number)["runs"][0]
        at_work = self.workshop.until(run, StageName.BUILD)
        no = Reported(stage=StageName.BUILD, outcome=Fail(reason=Reason.BUILD_FAILED))
        self.workshop.one.report(at_work, no, "build")
        self.tell()
        return run

    def healthy(self, number: int) -> int:
        """Push what becomes healthy in stg, with an image of its own, and tell of it."""
        run: int = self.workshop.push(number)["runs"][0]
        image = {"image": f"h/p:{number}", "digest": f"sha256:{number}"}
        self.workshop.finish(self.workshop.done(self.workshop.begin(run), **image))
        self.tell()
        return run
