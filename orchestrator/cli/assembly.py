"""Puts the parts of each process together: the one module that knows them all."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator import journal
from orchestrator.cli.broker import Broker
from orchestrator.cli.claim import make_state_folder
from orchestrator.cli.errors import CliError, Code, ending
from orchestrator.config import ConfigInvalid, StoreSettings, default_path, load, load_store
from orchestrator.domain.apps import Settings
from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason
from orchestrator.domain.secrets import secrets_in
from orchestrator.heartbeat import Heartbeat, file_of
from orchestrator.services.bell import Bell
from orchestrator.store import migrate
from orchestrator.store.database import Database, sqlite_url
from orchestrator.version import version

if TYPE_CHECKING:
    from celery import Celery
    from flask import Flask

    from workers.relay import Duty, Relay

Wsgi = Callable[..., Any]
T = TypeVar("T")
log = journal.get(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process starts from."""

    settings: Settings
    broker: Broker

    def database(self) -> Database:
        """Open the configured database."""
        return open_database(self.settings)

    def bell(self) -> Bell:
        """Make the bell."""
        return Bell(self.broker.redis_url)


def open_database(settings: Settings | StoreSettings) -> Database:
    """Open the configured database."""
    return Database(settings.database or sqlite_url(settings.state_dir))


def load_settings(path: Path | None) -> Settings:
    """Read the configuration and make the state folder. :raises CliError: with every problem."""
    settings = read_settings(path)
    make_state_folder(Path(settings.state_dir), written=not settings.database)
    return settings


def load_store_settings(path: Path | None) -> StoreSettings:
    """Read where the database is and make the state folder; for that no secret of another service is needed.

    :raises CliError: with every problem.
    """
    settings = _loaded(load_store, path)
    make_state_folder(Path(settings.state_dir), written=not settings.database)
    return settings


def read_settings(path: Path | None) -> Settings:
    """Read the configuration and touch nothing. :raises CliError: with every problem."""
    return _loaded(load, path)


def _loaded(load_it: Callable[[Path, Mapping[str, str]], T], path: Path | None) -> T:
    try:
        return load_it(path or default_path(os.environ), os.environ)
    except ConfigInvalid as error:
        raise CliError(str(error), Code.FAILED) from error


def parts(settings: Settings) -> Parts:
    """Start from the configuration of a process that runs on its own: its broker must be configured."""
    if not settings.broker:
        raise CliError("server.broker is not set; a process on its own needs a Redis that all share.", Code.USAGE)
    return Parts(settings, Broker(settings.broker))


def set_up_log(service: str, settings: Settings) -> None:
    """Set up this process's log."""
    journal.configure(service, Mask(secrets_in(settings)), settings.log_level)


def log_as(service: str, settings: Settings) -> None:
    """Set up this process's log, and log its start."""
    set_up_log(service, settings)
    log.info("process started", pid=os.getpid(), version=version())


def check_schema(database: Database) -> None:
    """Refuse to start on a database of another version. :raises CliError: with what to do."""
    refusal = migrate.other(database)
    if refusal is not None:
        raise ending(refusal)


def adopt_names(settings: Settings, database: Database) -> None:
    """Take along what the tables know under former names of apps and environments."""
    from orchestrator.services import names

    names.adopt(database, settings)


def tell_orphans(settings: Settings, database: Database) -> None:
    """Log what the configuration has left behind, and what becomes of it."""
    from orchestrator.services.orphans import orphans

    with database.read() as connection:
        for said in orphans(connection, settings):
            log.warning("not configured any more", detail=said)


def web_app(parts_: Parts, database: Database | None = None) -> "Flask":
    """Make the WSGI application of the API and the pages. `database`: one that is open already."""
    from orchestrator.services.control import Control
    from orchestrator.web.app import create_app

    database, bell = database or parts_.database(), parts_.bell()
    control = Control(database, parts_.settings, bell)
    return create_app(database=database, settings=parts_.settings, control=control, bell=bell)


def webhooks_app(parts_: Parts, database: Database | None = None) -> "Flask":
    """Make the WSGI application of the webhook endpoint. `database`: one that is open already."""
    from orchestrator.services.clicks import ClickWriter
    from orchestrator.services.ingest import Ingest
    from orchestrator.services.readiness import Question
    from webhooks.app import create_app

    settings, database = parts_.settings, database or parts_.database()
    inbox = Ingest(database, settings, parts_.bell())
    hooks = {hook.forge: hook for hook in settings.hooks}
    return create_app(
        hooks,
        inbox,
        max_body=settings.max_body,
        now=lambda: datetime.now(UTC),
        observe=database.counts.answers_of("webhooks"),
        ping=Question(database.ping, Reason.DATABASE_UNAVAILABLE),
        channels=settings.channels,
        clicks=ClickWriter(database),
        roots=(settings.hook_root, settings.root),
    )


@dataclass(frozen=True, slots=True)
class Both:
    """One WSGI application of both, for a single address: ``/webhooks/`` goes to the endpoint.

    ``for_hooks``: what the paths begin with that are the endpoint's.
    """

    web: "Flask"
    hooks: "Flask"
    for_hooks: tuple[str, ...]

    @property
    def extensions(self) -> dict[str, Any]:
        """What both have at work beside their requests."""
        return self.web.extensions | self.hooks.extensions

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one request."""
        chosen = self.hooks if environ.get("PATH_INFO", "").startswith(self.for_hooks) else self.web
        return chosen(environ, start_response)


def both_apps(parts_: Parts) -> Both:
    """Make one WSGI application of API, pages and webhooks."""
    database, settings = parts_.database(), parts_.settings
    for_hooks = tuple(f"{root}/webhooks/" for root in {"", settings.root, settings.hook_root})
    return Both(web_app(parts_, database), webhooks_app(parts_, database), for_hooks)


def worker_app(parts_: Parts, lanes: Mapping[str, int]) -> "Celery":
    """Make the Celery application of a worker. :param lanes: as those of `workers.tasks.worker`."""
    from workers.tasks import worker

    make_state_folder(Path(parts_.settings.state_dir), written=True)  # for its mirrors
    return worker(parts_.settings, parts_.database, parts_.broker.redis_url, parts_.broker.celery_url, lanes)


def _clickers(settings: Settings, database: Database, bell: "Bell") -> "list[Duty]":
    """Make the duties that carry out clicks; what they need is loaded only where messages have buttons."""
    channels = [channel for channel in settings.channels if channel.buttons is not None]
    if not channels:
        return []
    from orchestrator.services.clicks import ClickQueue
    from orchestrator.services.control import Control
    from orchestrator.services.pressing import Pressing
    from workers.clicking import Clicker
    from workers.relay import Duty

    pressing, queue = Pressing(database, settings, Control(database, settings, bell)), ClickQueue(database)
    return [Duty(name=f"clicks {channel.name}", once=Clicker(channel, queue, pressing).once) for channel in channels]


def relay(parts_: Parts) -> "Relay":
    """Make the relay with all its duties."""
    from orchestrator.services.glances import Glances
    from orchestrator.services.outbox import Outbox
    from orchestrator.services.reconcile import Reconcile
    from orchestrator.services.retention import Retention
    from orchestrator.services.waits import Waits
    from workers.application import make_celery
    from workers.argo_glances import ArgoGlances
    from workers.argo_watch import ArgoWatch
    from workers.clients.argocd import ArgoClient
    from workers.git_glances import GitGlances
    from workers.messenger import Messenger
    from workers.polling import Polling, Tidying
    from workers.relay import Duty, Publisher, Relay, Repairs, Upkeep

    settings, database, bell = parts_.settings, parts_.database(), parts_.bell()
    make_state_folder(Path(settings.state_dir), written=True)  # for its mirrors
    reconcile, retention = Reconcile(database, settings), Retention(database, settings.keep, settings.apps)
    argocd = ArgoClient(settings.argocd, database.counts.requests_to("argocd"))
    mask = Mask(secrets_in(settings))
    glances = Glances(database, settings, mask)
    argo_glances = ArgoGlances(argocd, glances, settings)
    watch = ArgoWatch(argocd, Waits(database, settings, bell), argo_glances.listed)
    messengers = [
        Duty(name=f"messenger {channel.name}", once=Messenger(channel, Outbox(database), mask).once)
        for channel in settings.channels
    ]
    return Relay(
        (
            Duty(name="publisher", once=Publisher(reconcile, make_celery(parts_.broker.celery_url), bell).once),
            Duty(name="repairs", once=Repairs(reconcile, bell).once),
            Duty(name="upkeep", once=Upkeep(reconcile).once),
            Duty(name="argo watch", once=watch.once),
            Duty(name="argo glances", once=argo_glances.once),
            Duty(name="git glances", once=GitGlances(settings, glances).once, patience=None),
            Duty(name="polling", once=Polling(settings, reconcile, bell).once, patience=None),
            Duty(
                name="tidying",
                once=Tidying(settings, retention).once,
                patience=None,
            ),
            *messengers,
            *_clickers(settings, database, bell),
        ),
        beat=Heartbeat(file_of(settings.state_dir, "relay")),
    )
