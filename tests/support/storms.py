"""Two installations whose processes can be killed or frozen: `pilotage up`, and five processes of their own."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Protocol

from orchestrator.cli.api import Api
from orchestrator.cli.errors import CliError
from orchestrator.cli.product import Product, free_address
from orchestrator.sandbox.platform import Platform
from orchestrator.store.changes import WRITER_LEASE
from orchestrator.store.claims import LEASE
from tests.support.databases import postgres_database
from tests.support.processes import children
from tests.support.separate import COMMANDS, Separate, separate
from tests.support.waiting import until

POLL = 10.0
"""Seconds between two looks at the branches: what a dead webhook process missed is found then."""
FROZEN_FOR = (LEASE - 5.0, WRITER_LEASE + 10.0)
"""Least and most seconds for which processes are frozen: some shorter than any lease, some longer than all."""


class Installation(Protocol):
    """What the storm needs of an installation."""

    api: Api

    def strike(self, chance: Random) -> str:
        """Kill something; return its name."""
        ...

    def freeze(self, chance: Random) -> str:
        """Freeze a process with all that it started for a while; return its name."""
        ...

    def mend(self) -> None:
        """Start again what a service manager would."""
        ...


class Together:
    """`pilotage up`, over SQLite and the broker of its own; it starts its killed children itself."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self.api = product.api()

    def strike(self, chance: Random) -> str:
        what = chance.choice(["all", "up", "child", "child", "child", "anything", "reload", "reload"])
        if what == "all":
            self._product.kill()
            return what
        up = self._product.pid
        if what == "reload":
            os.kill(up, signal.SIGHUP)
            return what
        victims = {"up": [up], "child": children(up, ""), "anything": _below(up)}[what]
        return f"{what} {_kill(chance.choice(victims or [up]))}"

    def freeze(self, chance: Random) -> str:
        up = self._product.pid
        return _freeze(chance.choice([up, *children(up, "")]), chance)

    def mend(self) -> None:
        if self._product.running:
            return

        def started() -> bool:
            try:
                self._product.start()
            except CliError:  # the children of the one that was killed are still ending
                with suppress(ProcessLookupError):
                    self._product.kill()
                return False
            return True

        until(started, "the product")


class Apart:
    """Web, webhooks, relay and two workers as processes, over PostgreSQL and Redis; a service manager starts them."""

    def __init__(self, running: Separate) -> None:
        self._running = running
        self.api = running.api

    def strike(self, chance: Random) -> str:
        name = chance.choice(list(COMMANDS))
        what = chance.choice(["all", "parent", "child", "anything"])
        parent = self._running.processes[name].pid
        if what == "all":
            for process in (parent, *_below(parent)):
                _kill(process)
        else:
            victims = {"parent": [parent], "child": children(parent, ""), "anything": _below(parent)}[what]
            _kill(chance.choice(victims or [parent]))
        return f"{name} {what}"

    def freeze(self, chance: Random) -> str:
        name = chance.choice(list(COMMANDS))
        _freeze(self._running.processes[name].pid, chance)
        return name

    def mend(self) -> None:
        for name, process in self._running.processes.items():
            if process.poll() is not None:
                self._running.start(name)


def _freeze(process: int, chance: Random) -> str:
    """Stop a process and all below it, as a machine that is moved does; later let them go on, past their leases."""
    name, frozen = _name(process), [process, *_below(process)]
    for one in frozen:
        _signal(one, signal.SIGSTOP)
    timer = threading.Timer(chance.uniform(*FROZEN_FOR), lambda: [_signal(one, signal.SIGCONT) for one in frozen])
    timer.daemon = True
    timer.start()
    return name


@contextmanager
def together(folder: Path, platform: Platform) -> Iterator[Together]:
    """Run `pilotage up` while the block lasts."""
    bind = free_address()
    text = platform.configuration(bind, folder / "pilotage" / "state", poll_interval=POLL)
    with Product(folder / "pilotage", bind, text, platform.environ()) as product:
        platform.hook_to(product.url)
        yield Together(product)


@contextmanager
def apart(folder: Path, platform: Platform, server: str) -> Iterator[Apart]:
    """Run the processes while the block lasts. :param server: the URL of a PostgreSQL server."""
    with (
        postgres_database(server) as database,
        separate(folder, platform, database, width=2, poll_interval=POLL) as running,
    ):
        yield Apart(running)


def _below(parent: int) -> list[int]:
    return [one for child in children(parent, "") for one in (child, *_below(child))]


def _kill(process: int) -> str:
    name = _name(process)
    return name if _signal(process, signal.SIGKILL) else "nothing"


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return "nothing"


def _signal(process: int, number: signal.Signals) -> bool:
    """Send a signal; False when the process is gone."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True
