"""Services that answer with what no server of their kind would say: whatever it is, it is one of our errors."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from orchestrator.domain.apps import ArgoCD, Channel, Registry, Secret
from orchestrator.domain.errors import PilotageError, Refused
from orchestrator.domain.reasons import Reason
from tests.support import messages
from tests.support.loopback import Asked, Reply, loopback
from workers.clients.argocd import ArgoClient
from workers.clients.registry import RegistryClient
from workers.notifiers.table import NOTIFIERS
from workers.notifiers.tools import NotifierTools

DEEP = b"[" * 100_000
"""JSON that cannot be read: it is nested too deeply."""
TOKEN = b"e30.eyJhY2Nlc3MiOlt7Im5hbWUiOiJhL2IiLCJhY3Rpb25zIjo1fV19.x"
"""A token whose claims give a number where a list of actions belongs."""
ODD = (
    DEEP,
    b'{"a":' * 100_000,
    b"7",
    b'{"token":"a","expires_in":1' + b"0" * 400 + b"}",
    b'{"token":"' + TOKEN + b'"}',
)


def asked_of_argocd(url: str) -> Iterator[Callable[[], object]]:
    argo = ArgoClient(ArgoCD(url=url, token=Secret("t0ken")))
    yield lambda: argo.get("web")
    yield argo.applications
    yield lambda: argo.logs("web", "pod", "default")
    yield lambda: argo.sync("web")


def asked_of_a_registry(url: str) -> Iterator[Callable[[], object]]:
    for do in ("digest", "labels"):
        client = RegistryClient(Registry(url=url, username="u", password=Secret("passw0rd")))
        yield lambda do=do, client=client: getattr(client, do)("a/b", "1")
    client = RegistryClient(Registry(url=url, username="u", password=Secret("passw0rd")))
    yield lambda: client.check_push("a/b")


@pytest.mark.parametrize("status", [200, 400, 403, 429])
@pytest.mark.parametrize("body", ODD)
def test_whatever_a_service_answers_is_told_in_our_errors(status: int, body: bytes) -> None:
    with loopback(lambda _: Reply(status, body, {"Content-Type": "application/json"})) as server:
        for ask in (*asked_of_argocd(server.url), *asked_of_a_registry(server.url)):
            with suppress(PilotageError):
                ask()


@pytest.mark.parametrize("body", ODD)
def test_whatever_a_token_service_answers_is_told_in_our_errors(body: bytes) -> None:
    def script(asked: Asked) -> Reply:
        home = f"http://{asked.headers['host']}"
        if asked.path == "/token":
            return Reply(200, body)
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{home}/token"'})

    with loopback(script) as server:
        for ask in asked_of_a_registry(server.url):
            with suppress(PilotageError):
                ask()


@pytest.mark.parametrize("kind", [kind for kind in NOTIFIERS if kind != "webhook"])
@pytest.mark.parametrize("status", [200, 400, 403])
def test_whatever_a_channel_answers_is_told_in_our_errors(kind: str, status: int) -> None:
    """Else the message would neither count as sent nor as refused, and be sent again and again."""
    with loopback(lambda _: Reply(status, DEEP)) as server, suppress(PilotageError):
        told = Channel(
            name="team", kind=kind, secret=Secret(server.url), url=server.url, target="C1", allow_private=True
        )
        channel = told if kind == "slack" else replace(told, secret=Secret("t0ken"))
        NOTIFIERS[kind](messages.FAILED, channel, "", NotifierTools(now=time.time))


@pytest.mark.parametrize(
    "header", [("WWW-Authenticate", 'Bearer realm="http://["', 401), ("Location", "http://[", 202)]
)
def test_an_address_that_is_none_is_refused(header: tuple[str, str, int]) -> None:
    name, value, status = header
    reply = Reply(status, headers={name: value})
    with loopback(lambda asked: reply if asked.path != "/v2/" or status == 401 else Reply(200)) as server:
        client = RegistryClient(Registry(url=server.url))
        with pytest.raises(Refused) as caught:
            client.check_push("a/b")
    assert caught.value.reason is Reason.REGISTRY_REFUSED
