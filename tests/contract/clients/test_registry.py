"""The registry client against a scripted registry on loopback."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from orchestrator.domain.apps import Registry
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.loopback import Asked, Reply, loopback
from tests.support.scripted_registry import DIGEST, PASSWORD, Harbor, client, head
from workers.clients import registry as registry_module
from workers.clients.registry import RegistryClient
from workers.clients.registry_answers import ACCEPT, first_error, pick_platform


def test_the_digest_of_a_tag_is_read_with_every_manifest_type() -> None:
    with loopback(Harbor(head())) as server:
        assert client(server).digest("shop/team-a/api", "8f3e1e7") == DIGEST
    last = server.asked[-1]
    assert (last.method, last.path) == ("HEAD", "/v2/shop/team-a/api/manifests/8f3e1e7")
    assert last.headers["accept"] == ACCEPT
    assert "cookie" not in last.headers


def test_a_token_is_used_until_it_is_old() -> None:
    with loopback(script := Harbor(head())) as server:
        registry = client(server)
        for _ in range(3):
            registry.digest("a/b", "1")
        registry.digest("a/c", "1")
    assert script.tokens == 2


@pytest.mark.parametrize(("life", "seconds"), [(1800, 1770), (40, 20), (0, 30)])
def test_a_token_is_replaced_a_little_before_it_expires(
    monkeypatch: pytest.MonkeyPatch, life: int, seconds: int
) -> None:
    """A service that does not say how long it lives means a minute."""
    now = [1000.0]
    monkeypatch.setattr(registry_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with loopback(script := Harbor(head(), life=life)) as server:
        registry = client(server)
        for after, tokens in ((0, 1), (seconds - 1, 1), (seconds, 2)):
            now[0] = 1000.0 + after
            registry.digest("a/b", "1")
            assert script.tokens == tokens


def test_a_token_that_is_refused_is_replaced_once() -> None:
    refused = iter([True, False])

    def answer(_: Asked) -> Reply:
        return Reply(401) if next(refused) else Reply(headers={"Docker-Content-Digest": DIGEST})

    with loopback(script := Harbor(answer)) as server:
        assert client(server).digest("a/b", "1") == DIGEST
    assert script.tokens == 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.REGISTRY_UNAUTHORIZED),
        (403, Reason.REGISTRY_UNAUTHORIZED),
        (412, Reason.IMAGE_BLOCKED),
        (400, Reason.REGISTRY_REFUSED),
    ],
)
def test_what_the_registry_refuses_has_a_reason(status: int, reason: Reason) -> None:
    with loopback(Harbor(lambda _: Reply(status))) as server, pytest.raises(Refused) as caught:
        client(server).digest("a/b", "1")
    assert caught.value.reason is reason
    assert PASSWORD not in str(caught.value)


def test_a_tag_that_is_not_there_is_none() -> None:
    with loopback(Harbor(lambda _: Reply(404))) as server:
        assert client(server).digest("a/b", "1") is None
        assert client(server).labels("a/b", "1") is None


ASKS: list[Callable[[RegistryClient], object]] = [
    lambda registry: registry.digest("a/b", "1"),
    lambda registry: registry.labels("a/b", "1"),
    lambda registry: registry.check_push("a/b", anew=True),
    lambda registry: registry.digest("a/c", "1"),
]


@pytest.mark.parametrize("ask", ASKS, ids=["tag", "labels", "challenge", "token"])
def test_a_proxy_that_has_lost_the_registry_for_a_while_proves_no_tag_missing(
    ask: Callable[[RegistryClient], object],
) -> None:
    known, lost = Harbor(head()), threading.Event()

    def script(asked: Asked) -> Reply:
        page = "" if asked.method == "HEAD" else "404 page not found\n"
        return Reply(404, page) if lost.is_set() else known(asked)

    with loopback(script) as server:
        registry = client(server)
        assert registry.digest("a/b", "1") == DIGEST
        lost.set()
        with pytest.raises(Unavailable, match="HTTP 404") as caught:
            ask(registry)
        assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE
        lost.clear()
        assert registry.digest("a/b", "1") == DIGEST


@pytest.mark.parametrize("status", [502, 522])
def test_an_overloaded_registry_is_unavailable(status: int) -> None:
    """Also where the token service is: 522 is of Cloudflare."""
    reply = Reply(status, "<html>", {"X-Request-Id": "8d1c-44"})
    with loopback(lambda _: reply) as server, pytest.raises(Unavailable, match="8d1c-44") as caught:
        client(server).digest("a/b", "1")
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE


def test_a_digest_that_a_proxy_dropped_is_computed() -> None:
    body = '{"schemaVersion": 2}'
    with loopback(Harbor(lambda asked: Reply(body="" if asked.method == "HEAD" else body))) as server:
        assert client(server).digest("a/b", "1") == f"sha256:{hashlib.sha256(body.encode()).hexdigest()}"


def test_the_password_is_not_sent_to_another_host() -> None:
    with loopback(lambda _: Reply(body={"token": "stolen"})) as thief:
        realm = thief.url.replace("127.0.0.1", "localhost") + "/token"
        with loopback(Harbor(head(), realm=realm)) as server, pytest.raises(Refused, match="token_url"):
            client(server).digest("a/b", "1")
    assert thief.asked == []


def test_a_token_service_elsewhere_is_asked_when_it_is_configured() -> None:
    with loopback(Harbor(head())) as tokens:
        named = tokens.url.replace("127.0.0.1", "localhost") + "/service/token"
        with loopback(Harbor(head(), realm="https://evil.example/token")) as server:
            assert client(server, token_url=named).digest("a/b", "1") == DIGEST


def config_of(labels: dict[str, str]) -> bytes:
    return json.dumps({"config": {"Labels": labels}}).encode()


def stored(*, index: bool = False, content: bytes = b"", away: str = "") -> Callable[[Asked], Reply]:
    """Serve one image whose config is `content`, behind an image index, or with its blob at `away`."""
    blob = f"sha256:{hashlib.sha256(config_of({'a': 'b'})).hexdigest()}"

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith(f"/manifests/{DIGEST}") or (asked.path.endswith("/manifests/1") and not index):
            return Reply(body={"config": {"digest": blob}})
        if asked.path.endswith("/manifests/1"):
            attestation = {"digest": "sha256:" + "0" * 64, "platform": {"os": "unknown", "architecture": "unknown"}}
            image = {"digest": DIGEST, "platform": {"os": "linux", "architecture": "amd64"}}
            return Reply(body={"manifests": [attestation, image]})
        if away:
            return Reply(307, headers={"Location": away})
        return Reply(body=content or config_of({"a": "b"}))

    return answer


@pytest.mark.parametrize("index", [False, True])
def test_labels_are_read_from_the_config(index: bool) -> None:
    with loopback(Harbor(stored(index=index))) as server:
        assert client(server).labels("a/b", "1") == {"a": "b"}


def test_a_config_that_does_not_match_its_digest_proves_nothing() -> None:
    with loopback(Harbor(stored(content=config_of({"a": "forged"})))) as server, pytest.raises(Refused):
        client(server).labels("a/b", "1")


def test_a_blob_in_an_object_store_is_fetched_without_our_login() -> None:
    with loopback(lambda _: Reply(body=config_of({"a": "b"}))) as store:
        with loopback(Harbor(stored(away=store.url + "/bucket/x?signature=1"))) as server:
            assert client(server).labels("a/b", "1") == {"a": "b"}
        assert "authorization" not in store.asked[0].headers


@pytest.mark.parametrize("status", [403, 503])
def test_the_signature_of_an_address_in_an_object_store_is_in_no_error(status: int) -> None:
    """Whoever has it may read the blob."""
    with loopback(lambda _: Reply(status)) as store:
        away = f"{store.url}/bucket/x?X-Amz-Signature=5ec2e7"
        with loopback(Harbor(stored(away=away))) as server, pytest.raises((Refused, Unavailable)) as answered:
            client(server).labels("a/b", "1")
    with loopback(Harbor(stored(away=away))) as server, pytest.raises(Unavailable) as gone:
        client(server).labels("a/b", "1")
    assert "5ec2e7" not in f"{answered.value.evidence} {gone.value.evidence}"
    assert store.url in gone.value.evidence


def test_an_object_store_may_have_the_certificate_of_our_own_authority(tmp_path: Path) -> None:
    with (
        loopback(lambda _: Reply(body=config_of({"a": "b"})), tls=tmp_path) as store,
        loopback(Harbor(stored(away=store.url + "/bucket/x"))) as server,
    ):
        with pytest.raises(Unavailable, match="TLS certificate"):
            client(server).labels("a/b", "1")
        assert client(server, ca_file=str(tmp_path / "cert.pem")).labels("a/b", "1") == {"a": "b"}


def test_an_open_registry_is_asked_without_a_login() -> None:
    with loopback(lambda _: Reply(headers={"Docker-Content-Digest": DIGEST})) as server:
        RegistryClient(Registry(url=server.url)).ping()
        assert RegistryClient(Registry(url=server.url)).digest("a/b", "1") == DIGEST
    assert all("authorization" not in asked.headers for asked in server.asked)


def test_something_that_is_no_registry_says_so() -> None:
    with loopback(lambda _: Reply(404, "hello")) as server, pytest.raises(Refused, match="is no registry"):
        client(server).ping()


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": "a\nb"}, {"token": "ä"}])
def test_a_token_service_that_talks_nonsense_is_refused(body: dict[str, str]) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path == "/t":
            return Reply(body=body)
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{asked.headers["host"]}/t"'})

    with loopback(script) as server, pytest.raises(Refused, match="without a token"):
        client(server).ping()


@pytest.mark.parametrize(
    ("entries", "picked"),
    [
        ([("linux", "arm64", "a"), ("linux", "amd64", "b")], "b"),
        ([("linux", "arm64", "a")], "a"),
        ([("unknown", "unknown", "a")], ""),
        ([], ""),
    ],
)
def test_the_platform_of_an_index_is_picked(entries: list[tuple[str, str, str]], picked: str) -> None:
    index = {
        "manifests": [
            {"digest": "sha256:" + name * 64, "platform": {"os": system, "architecture": machine}}
            for system, machine, name in entries
        ]
    }
    assert pick_platform(index) == (f"sha256:{picked * 64}" if picked else "")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"errors":[{"code":"DENIED","message":"no\\nway"}]}', "DENIED no way"),
        (b"<html>", ""),
        (b'{"errors":[]}', ""),
        (b"[]", ""),
        (b'{"errors":["x"]}', ""),
    ],
)
def test_the_first_error_is_told(body: bytes, text: str) -> None:
    assert first_error(body) == text


def test_the_path_of_a_request_is_that_of_the_registry() -> None:
    with loopback(Harbor(head())) as server:
        client(server).ping()
    assert {urlsplit(asked.path).path for asked in server.asked} == {"/v2/", "/service/token"}
