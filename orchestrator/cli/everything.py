"""``pilotage up``: the whole product on one machine, forked from one process that has loaded it."""

import contextlib
import gc
import importlib
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from orchestrator import journal, tracing
from orchestrator.cli import assembly
from orchestrator.cli.assembly import Parts
from orchestrator.cli.broker import Broker, embedded
from orchestrator.cli.claim import Claims, claimed
from orchestrator.cli.httpd import Httpd
from orchestrator.cli.renewal import Renewal
from orchestrator.cli.supervise import Hangups, Supervisor, die_with_parent
from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.store import migrate
from orchestrator.store.database import Database

log = journal.get(__name__)

DEPLOYS = 4
"""Runs that one machine works on at a time, beside those that it builds."""

_LOADED = (
    "orchestrator.web.app",
    "webhooks.app",
    "gunicorn.glogging",
    "gunicorn.workers.gthread",
    "workers.argo_glances",
    "workers.argo_watch",
    "workers.git_glances",
    "workers.messenger",
    "workers.polling",
    "workers.program",
    "workers.relay",
    "workers.tasks",
    "celery.app.amqp",
    "celery.app.events",
    "celery.app.trace",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.concurrency.thread",
    "celery.events.dispatcher",
    "celery.fixups.django",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "kombu.transport.redis",
)
"""Modules that the processes load sooner or later; what one loads after the fork is not shared."""


def run(settings: Settings, file: Path, hangups: Hangups, ready: Callable[[str], None]) -> None:
    """Run everything until SIGTERM or SIGINT; after SIGHUP, as the file says by then.

    :param file: of the configuration. :param hangups: hears SIGHUP since before the file was read.
    :param ready: called with the address when all processes are started.
    :raises CliError: somebody else has the state folder or the address, or a part does not start.
    """
    with claimed(Path(settings.state_dir), settings.bind) as claims, _broker(settings, claims) as broker:
        parts = Parts(settings, broker)
        database = parts.database()
        _migrate(database)
        assembly.adopt_names(settings, database)
        _bootstrap_token(parts)
        database.close()
        _preload()
        renewal = Renewal(file, settings, lambda new: _processes(Parts(new, broker), claims))
        processes = _processes(parts, claims)
        supervisor = Supervisor(processes, broker.tend, claims.listener.close, renewal.renew, hangups)
        supervisor.run(lambda: ready(f"http://{settings.bind}{settings.root}"))


def run_worker(parts: Parts, lanes: Mapping[str, int], pool: str = "prefork") -> None:
    """Be a worker until SIGTERM: finish what is at hand, then end.

    :param lanes: the queues that it serves, each with the number of runs that it looks at together.
    """
    from workers.program import run as run_program

    # Its advice is an option that we do not have; the documents say how to run as a user of one's own.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
    if pool == "threads":
        tracing.start()  # a pool of processes starts it in each
    run_program(assembly.worker_app(parts, lanes), tuple(lanes), sum(lanes.values()), pool)
    tracing.stop()


def run_relay(parts: Parts) -> None:
    """Be the relay until SIGTERM or SIGINT: let each duty finish what it is doing, then end."""
    tracing.start()
    with contextlib.closing(parts.database()) as database:
        assembly.tell_orphans(parts.settings, database)
    running = assembly.relay(parts)
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: running.stopping.set())
    keeper = threading.Thread(target=running.run, name="relay")
    keeper.start()
    while keeper.is_alive():
        keeper.join(0.5)  # handlers of signals run between two joins, never while this thread holds a lock
    tracing.stop()


def _processes(parts: Parts, claims: Claims) -> dict[str, Callable[[], None]]:
    settings = parts.settings

    def web() -> None:
        assembly.log_as("web", settings)
        Httpd(lambda: assembly.both_apps(parts), f"fd://{claims.listener.detach()}").run()

    def relay() -> None:
        claims.drop()
        assembly.log_as("relay", settings)
        run_relay(parts)

    def worker() -> None:
        claims.drop()
        assembly.log_as("worker", settings)
        run_worker(parts, {"build": settings.concurrency, "deploy": DEPLOYS}, pool="threads")

    return {"web": web, "relay": relay, "worker": worker}


@contextlib.contextmanager
def _broker(settings: Settings, claims: Claims) -> Iterator[Broker]:
    if settings.broker:
        yield Broker(settings.broker)
        return
    with embedded(Path(settings.state_dir), holds=claims.folder) as broker:
        yield broker


def _migrate(database: Database) -> None:
    """Migrate in a process of its own: what that loads (9 MB) nobody needs later. Raises as `migrate.upgrade`."""
    if not migrate.needed(database):
        return
    before = migrate.current(database) or "none"
    ours = (os.getpid(),)  # killed meanwhile, it would be kept by nobody, and keep folder and address claimed
    with ProcessPoolExecutor(1, get_context("fork"), initializer=die_with_parent, initargs=ours) as pool:
        trouble = pool.submit(_upgrade, database.url).result()
    if trouble is not None:
        raise Unavailable(Reason(trouble[0]), trouble[1])
    log.info("database migrated", detail=f"schema {before} to {migrate.expected()}")


def _upgrade(url: str) -> tuple[str, str] | None:
    try:
        with contextlib.closing(Database(url)) as database:
            migrate.upgrade(database)
    except Unavailable as error:  # our errors do not survive the way between processes
        return error.reason.value, error.evidence
    return None


def _bootstrap_token(parts: Parts) -> None:
    from orchestrator.services.tokens import ensure_local_token

    ensure_local_token(parts.database(), parts.settings.state_dir)


def _preload() -> None:
    """Load what the children need, once, so that they share it."""
    for name in _LOADED:
        importlib.import_module(name)
    # A collection in a child would write to every object that it looks at, and so copy what all of them share.
    gc.collect()
    gc.freeze()
