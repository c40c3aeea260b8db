"""Which addresses are posted to, and how the connection is made to exactly the one that was judged."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.domain.errors import Refused, Unanswered, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.faults import HttpFault
from tests.support.loopback import Reply, certificate, loopback
from workers.clients import outbound
from workers.clients.http import Http

PUBLIC = ["203.0.114.7", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "240.0.0.1",
    "::1",
    "fd00::8",
    "fec0::8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::1",
]
NEVER = [
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_posted_to(address):
    assert outbound.may_post(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_where_that_is_allowed(address):
    assert not outbound.may_post(address, allow_private=False)
    assert outbound.may_post(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_services_and_their_like_never(address):
    assert not outbound.may_post(address, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "ftp://hooks.example.com/x",
        "https://",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com:99999/",
        "https://[::1",
        "not an address",
    ],
)
def test_only_plain_https_addresses_are_taken(url):
    with pytest.raises(Refused) as caught:
        outbound.post(url, b"{}", {})

    assert caught.value.reason is Reason.NOTIFY_REFUSED
    assert "word" not in str(caught.value)


def test_of_several_addresses_the_first_public_one_is_taken():
    chosen = outbound.choose_address(
        urlsplit("https://both.example.com/"), allow_private=False, resolve=lambda *_: ["10.0.0.1", "8.8.8.8"]
    )

    assert chosen == "8.8.8.8"


@pytest.mark.parametrize("found", [["127.0.0.1", "::1"], []])
def test_a_name_that_leads_inside_is_refused(found):
    with pytest.raises(Refused, match="allow_private"):
        outbound.choose_address(
            urlsplit("https://inside.example.com/"), allow_private=False, resolve=lambda *_: found
        )


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve_now_may_do_so_later(error: Exception):
    def fails(host: str, port: int) -> list[str]:
        raise error

    with pytest.raises(Unavailable, match="does not resolve"):
        outbound.choose_address(urlsplit("https://away.example.com/"), allow_private=False, resolve=fails)


def test_an_address_is_judged_before_anything_is_posted():
    with pytest.raises(Refused, match="allow_private"):
        outbound.check("https://10.0.0.1/x", allow_private=False)
    assert outbound.check("https://10.0.0.1/x", allow_private=True) == "10.0.0.1"
    with pytest.raises(Refused, match="address"):
        outbound.check("ftp://example.com", allow_private=True)


def test_an_address_needs_no_resolver():
    with pytest.raises(Refused, match=r"127\.0\.0\.1"):
        outbound.post("https://127.0.0.1/x", b"{}", {})


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_behind_a_proxy_the_proxy_resolves_and_judges(monkeypatch: pytest.MonkeyPatch, variable: str):
    with loopback(lambda _: Reply(status=200, body="ok")) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        answer = outbound.post("http://hooks.invalid/x", b"{}", {}, allow_private=True)

    assert answer.status == 200
    assert proxy.asked[0].path == "/x"
    assert proxy.asked[0].headers["host"] == "hooks.invalid"


@pytest.mark.usefixtures("_no_proxies")
def test_what_is_reached_over_ssh_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("all_proxy", "http://proxy.example.com:3128")
    assert not outbound.is_proxied(urlsplit("ssh://git@git.example.com:22/acme/web.git"))
    assert outbound.is_proxied(urlsplit("https://git.example.com/acme/web.git"))


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("spared", ["inside.example.com", ".example.com", "inside.example.com:8443", "*"])
def test_what_the_proxy_is_not_asked_for_is_judged_here(monkeypatch: pytest.MonkeyPatch, spared: str):
    """It is connected to straight, whatever it resolves to."""
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", spared)
    assert not outbound.is_proxied(urlsplit("https://inside.example.com:8443/x"))
    assert outbound.is_proxied(urlsplit("https://hooks.example.net/x")) is (spared != "*")


def test_what_is_posted_arrives_with_path_query_and_host():
    with loopback(lambda _: Reply(status=202, body="fine")) as server:
        answer = outbound.post(f"{server.url}/a/b?c=d#e", b"{}", {"X-Mine": "1"}, allow_private=True)

    [asked] = server.asked
    assert (answer.status, answer.body) == (202, b"fine")
    assert (asked.path, asked.query, asked.body) == ("/a/b", {"c": ["d"]}, b"{}")
    assert asked.headers["host"] == urlsplit(server.url).netloc
    assert asked.headers["x-mine"] == "1"


def test_a_post_is_given_up_when_the_patience_ends(chat: SandboxChat):
    chat.faults.add(HttpFault(delay=20.0))
    with pytest.raises(Unanswered, match="no answer in time"):
        outbound.post(chat.callback_url, b"{}", {}, allow_private=True, patience=0.2)


def test_redirects_are_not_followed():
    with loopback(lambda _: Reply(status=307, headers={"Location": "/elsewhere"})) as server:
        assert outbound.post(f"{server.url}/", b"{}", {}, allow_private=True).status == 307

    assert len(server.asked) == 1


def test_a_name_is_reached_at_the_address_that_was_judged():
    with loopback(lambda _: Reply()) as server:
        port = urlsplit(server.url).port
        http = Http(f"http://hooks.invalid:{port}", Reason.NOTIFY_UNAVAILABLE, address="127.0.0.1")
        assert http.request("POST", "/x", data=b"").status_code == 200
        http.close()

    assert server.asked[0].headers["host"] == f"hooks.invalid:{port}"


def test_a_name_beyond_ascii_is_written_as_in_the_certificates_of_such_names():
    with loopback(lambda _: Reply()) as server:
        port = urlsplit(server.url).port
        http = Http(f"http://알림.invalid:{port}", Reason.NOTIFY_UNAVAILABLE, address="127.0.0.1")
        http.request("POST", "/배포", data=b"")
        http.close()

    assert server.asked[0].headers["host"] == f"xn--4y2bl5s.invalid:{port}"
    assert server.asked[0].path == "/%EB%B0%B0%ED%8F%AC"


class _Says(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("name", "trusted"), [("hooks.invalid", True), ("other.invalid", False)])
def test_the_certificate_must_be_that_of_the_name_not_of_the_address(tmp_path: Path, name: str, trusted: bool):
    cert, key = certificate(tmp_path, "hooks.invalid")
    server = HTTPServer(("127.0.0.1", 0), _Says)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    http = Http(
        f"https://{name}:{server.server_port}", Reason.NOTIFY_UNAVAILABLE, ca_file=str(cert), address="127.0.0.1"
    )
    try:
        if trusted:
            assert http.request("POST", "/", data=b"").status_code == 200
        else:
            with pytest.raises(Unavailable, match="TLS certificate"):
                http.request("POST", "/", data=b"")
    finally:
        http.close()
        server.shutdown()
        server.server_close()
        thread.join(5)
