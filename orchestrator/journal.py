"""Our own log: one JSON object per line on standard output; constant event texts, flat fields, no secrets."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog

Event = dict[str, Any]


def configure(service: str, mask: Callable[[str], str] = str, level: str = "INFO") -> None:
    """Set up logging for this process: ours and the libraries' go the same way.

    :param service: name of the process kind, on every line. :param mask: takes secrets out of texts.
    """

    def finish(_logger: Any, _name: str, event: Any) -> Any:
        return {key: mask(value) if isinstance(value, str) else value for key, value in event.items()}

    def add_service(_logger: Any, _name: str, event: Any) -> Any:
        event.setdefault("service", service)
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", key="ts"),
        add_service,
        structlog.processors.format_exc_info,
        finish,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("urllib3", "docker", "git", "kombu", "celery", "amqp", "werkzeug", "alembic"):
        logging.getLogger(noisy).setLevel("WARNING")


def get(name: str) -> Any:
    """Return the logger of a module; call it as ``log.info("run claimed", run_id=1)``."""
    return structlog.stdlib.get_logger(name)
