"""``pilotage up``: the whole product on one machine, forked from one process that has loaded it."""

import contextlib
import importlib
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.cli import assembly
from orchestrator.cli.assembly import Parts
from orchestrator.cli.broker import Broker, embedded
from orchestrator.cli.claim import Claims, claimed
from orchestrator.cli.httpd import Httpd
from orchestrator.cli.supervise import Supervisor
from orchestrator.domain.apps import Settings
from orchestrator.store import migrate

DEPLOY_PROCESSES = 2

_LOADED = (
    "orchestrator.web.app",
    "webhooks.app",
    "gunicorn.glogging",
    "gunicorn.workers.gthread",
    "workers.argo_watch",
    "workers.messenger",
    "workers.polling",
    "workers.relay",
    "workers.tasks",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.trace",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.events.dispatcher",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.control",
    "kombu.transport.redis",
)
"""What the processes load sooner or later. Whatever one of them loads after the fork, it has in memory alone."""


def run(settings: Settings, ready: Callable[[str], None]) -> None:
    """Run everything until SIGTERM or SIGINT. `ready` is called with the address when all processes are started.

    :raises CliError: somebody else has the state folder or the address, or a part does not start.
    """
    with claimed(Path(settings.state_dir), settings.bind) as claims, _broker(settings, claims) as broker:
        parts = Parts(settings, broker)
        database = parts.database()
        migrate.upgrade(database)
        _bootstrap_token(parts)
        database.dispose()
        _preload()
        supervisor = Supervisor(_processes(parts, claims), tend=broker.tend, stopping=claims.listener.close)
        supervisor.run(lambda: ready(f"http://{settings.bind}"))


def run_worker(parts: Parts, queue: str, concurrency: int) -> None:
    """Be a worker until SIGTERM: finish what is at hand, then end."""
    # Its advice is an option that we do not have; the documents say how to run as a user of one's own.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
    celery = assembly.worker_app(parts, queue)
    celery.Worker(
        pool="prefork",
        concurrency=concurrency,
        queues=[queue],
        without_mingle=True,
        without_gossip=True,
        loglevel="INFO",  # Celery gives it to the root logger, and so to ours; its own are quieter (journal)
        hostname=f"{queue}@%h",
        redirect_stdouts=False,
        quiet=True,
    ).start()


def _processes(parts: Parts, claims: Claims) -> dict[str, Callable[[], None]]:
    settings = parts.settings

    def web() -> None:
        assembly.log_as("web", settings)
        Httpd(lambda: assembly.both_apps(parts), f"fd://{claims.listener.detach()}").run()

    def relay() -> None:
        claims.drop()
        assembly.log_as("relay", settings)
        running = assembly.relay(parts)
        signal.signal(signal.SIGTERM, lambda *_: running.stopping.set())
        keeper = threading.Thread(target=running.run)
        keeper.start()
        while keeper.is_alive():
            keeper.join(0.5)

    def builder() -> None:
        claims.drop()
        assembly.log_as("worker-build", settings)
        run_worker(parts, "build", settings.concurrency)

    def deployer() -> None:
        claims.drop()
        assembly.log_as("worker-deploy", settings)
        run_worker(parts, "deploy", DEPLOY_PROCESSES)

    return {"web": web, "relay": relay, "worker build": builder, "worker deploy": deployer}


@contextlib.contextmanager
def _broker(settings: Settings, claims: Claims) -> Iterator[Broker]:
    if settings.broker:
        yield Broker(settings.broker)
        return
    with embedded(Path(settings.state_dir), holds=claims.folder) as broker:
        yield broker


def _bootstrap_token(parts: Parts) -> None:
    from orchestrator.services.tokens import ensure_local_token

    ensure_local_token(parts.database(), parts.settings.state_dir)


def _preload() -> None:
    """Load what the children need, once, so that they share it."""
    for name in _LOADED:
        importlib.import_module(name)
