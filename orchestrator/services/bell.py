"""Tells the relay that there is something to do. A lost ring costs a second and nothing else."""

import threading
from functools import cached_property

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.lean import without

with without("opentelemetry"):  # it counts requests to Redis for a library that we do not use: 2.4 MB, 30 ms
    import redis

LONGEST_WAIT = 2.0
"""Seconds that one call of `Bell.wait` listens at the most."""

_KEY = "pilotage:bell"
_TIMEOUT = 2.0


class Bell:
    """Rings through Redis without delaying the caller; rings close together are one.

    :param url: Redis URL of the broker; "" = a bell that nobody hears (tests, single commands).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._ringer: threading.Thread | None = None

    @cached_property
    def _ear(self) -> "redis.Redis":
        """The connection that is listened on: made once, since making one costs more than all else here."""
        return _connect(self._url, _TIMEOUT + LONGEST_WAIT)

    def ring(self) -> None:
        """Ask for a ring and return at once."""
        if not self._url:
            return
        self._wanted.set()
        if self._ringer is None or not self._ringer.is_alive():
            self._start()

    def wait(self, seconds: float) -> None:
        """Wait for a ring, at most `seconds`; by one thread at a time. :raises Unavailable: Redis does not answer."""
        try:
            self._ear.blpop([_KEY], timeout=min(max(seconds, 0.01), LONGEST_WAIT))
        except redis.RedisError as error:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, type(error).__name__) from error

    def ping(self) -> None:
        """Prove that Redis answers. :raises Unavailable: it does not, or there is none."""
        if not self._url:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, "none is configured")
        try:
            with _connect(self._url, _TIMEOUT) as connection:
                connection.ping()
        except redis.RedisError as error:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, type(error).__name__) from error

    def _start(self) -> None:
        with self._lock:
            if self._ringer is None or not self._ringer.is_alive():
                self._ringer = threading.Thread(target=self._run, name="bell", daemon=True)
                self._ringer.start()

    def _run(self) -> None:
        connection = _connect(self._url, _TIMEOUT)
        while self._wanted.wait():
            self._wanted.clear()
            try:
                with connection.pipeline(transaction=False) as commands:
                    commands.lpush(_KEY, "1")
                    commands.ltrim(_KEY, 0, 0)
                    commands.execute()
            except redis.RedisError:
                # The tables hold the truth and the relay looks at them every second anyway.
                connection.close()


def _connect(url: str, timeout: float) -> "redis.Redis":
    return redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=_TIMEOUT, health_check_interval=10
    )
