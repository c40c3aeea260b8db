"""The Celery application: one task, ``look``, and how worker processes get at the database."""

from typing import Any

from celery import Celery
from celery.signals import heartbeat_sent, worker_process_init, worker_process_shutdown

from workers.settings import CELERY


def make_celery(broker_url: str) -> Celery:
    """Make a Celery application for a broker; the task table is filled by `workers.tasks.register`."""
    celery = Celery("pilotage", broker=broker_url)
    celery.conf.update(CELERY)
    return celery


def on_fork(callback: Any) -> None:
    """Have `callback()` called in each new pool process."""
    worker_process_init.connect(lambda **_: callback(), weak=False)


def on_child_end(callback: Any) -> None:
    """Have `callback()` called in each pool process when it ends in peace."""
    worker_process_shutdown.connect(lambda **_: callback(), weak=False)


def on_heartbeat(callback: Any) -> None:
    """Have `callback()` called from the worker's main loop every couple of seconds, with a broker or without."""
    heartbeat_sent.connect(lambda **_: callback(), weak=False)
