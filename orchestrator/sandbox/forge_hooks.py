"""Sending deliveries as a forge does: apart from the push, once, with a deadline, and with a log of the answers."""

import http.client
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from orchestrator.sandbox.forge_payloads import FLAVOURS, encode

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that the log keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryHook:
    """Where the events of a repository go. ``flavour`` is ``github`` or ``gitea``."""

    repository: str
    url: str
    secret: str = field(repr=False)
    flavour: str = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFault:
    """What goes wrong with one delivery.

    :param lose: never send it. :param copies: how often it is sent under the same id. :param delay: seconds to hold
        it back while later ones go ahead.
    """

    lose: bool = False
    copies: int = 1
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDelivery:
    """One line of the delivery log: what was sent and what came back.

    :param status: 0 when nothing came back; ``error`` says why. ``lost`` deliveries were never sent.
    """

    id: str
    hook: RepositoryHook
    event: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    status: int = 0
    answer: bytes = b""
    error: str = ""
    at: float = 0.0
    seconds: float = 0.0
    redelivery: bool = False
    lost: bool = False


class Courier:
    """Sends deliveries from a thread of its own, in order; nothing is ever repeated unless somebody asks."""

    def __init__(self) -> None:
        self._queue: queue.Queue[SentDelivery | None] = queue.Queue()
        self._changed = threading.Condition()
        self._log: list[SentDelivery] = []
        self._faults: list[HookFault] = []
        self._open = 0
        self._thread: threading.Thread | None = None
        self._timers: list[threading.Timer] = []

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._work, name="hooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the delivery that is under way; what is still held back is lost."""
        for timer in self._timers:
            timer.cancel()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def fault(self, fault: HookFault) -> None:
        """Have something go wrong with the next delivery that has no fault yet."""
        with self._changed:
            self._faults.append(fault)

    def hand_over(self, hook: RepositoryHook, event: str, body: Mapping[str, Any]) -> str:
        """Take an event to deliver; return the id of the delivery."""
        delivery = SentDelivery(id=str(uuid.uuid4()), hook=hook, event=event, body=encode(body))
        with self._changed:
            fault = self._faults.pop(0) if self._faults and event != "ping" else HookFault()
            if fault.lose:
                self._log.append(replace(delivery, lost=True, at=time.time()))
                self._changed.notify_all()
                return delivery.id
            self._open += fault.copies
        for _ in range(fault.copies):
            self._send_in(fault.delay, delivery)
        return delivery.id

    def redeliver(self, delivery_id: str) -> None:
        """Send a delivery again, as the button of its forge does. :raises KeyError: it is not known."""
        with self._changed:
            known = next((one for one in self._log if one.id == delivery_id), None)
            if known is None:
                raise KeyError(delivery_id)
            self._open += 1
        name = known.id if FLAVOURS[known.hook.flavour].keeps_id else str(uuid.uuid4())
        self._queue.put(replace(known, id=name, redelivery=True, lost=False))

    def log(self) -> list[SentDelivery]:
        """Return every delivery so far, in the order in which they ended."""
        with self._changed:
            return list(self._log)

    def settle(self, timeout: float = 30.0) -> list[SentDelivery]:
        """Wait until nothing is on its way and return the log. :raises TimeoutError: something still is."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._open == 0, timeout):
                raise TimeoutError(f"{self._open} deliveries are still on their way after {timeout:.0f} s")
            return list(self._log)

    def _send_in(self, delay: float, delivery: SentDelivery) -> None:
        if not delay:
            self._queue.put(delivery)
            return
        timer = threading.Timer(delay, self._queue.put, (delivery,))
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            done = send(delivery)
            with self._changed:
                self._log.append(done)
                self._open -= 1
                self._changed.notify_all()


def send(delivery: SentDelivery) -> SentDelivery:
    """Post a delivery once and return it with what came back."""
    flavour = FLAVOURS[delivery.hook.flavour]
    headers = flavour.headers(delivery.event, delivery.id, delivery.hook.secret, delivery.body)
    started, at = time.monotonic(), time.time()
    status, answer, error = _post(delivery.hook.url, headers, delivery.body, flavour.timeout)
    return replace(
        delivery,
        headers=headers,
        status=status,
        answer=answer,
        error=error,
        at=at,
        seconds=time.monotonic() - started,
    )


def _post(url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> tuple[int, bytes, str]:
    """Return status, answer and error; redirects are not followed."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_ANSWER), ""
    except (OSError, http.client.HTTPException) as error:
        return 0, b"", str(error) or type(error).__name__
    finally:
        connection.close()
