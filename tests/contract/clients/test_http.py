"""What the one session factory takes from the surroundings of the process, and what it must not take."""

import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.domain.errors import Unanswered, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.loopback import Reply, loopback
from workers.clients.http import MAX_ANSWER, Authorization, Http
from workers.clients.http_pause import LONGEST, retry_after
from workers.clients.http_words import UNTRUSTED, tls_words


def refused_certificate(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def broken_off(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "broken off")
    error.reason = reason
    return error


@pytest.fixture
def _netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login other password theirs\n")
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.usefixtures("_netrc")
def test_a_login_that_lies_about_is_never_sent() -> None:
    with loopback(lambda _: Reply()) as server:
        Http(server.url, Reason.REGISTRY_UNAVAILABLE).request("GET", "/")
        Http(server.url, Reason.REGISTRY_UNAVAILABLE).request("GET", "/", auth=Authorization(""))
        headers = {"Authorization": "Bearer ours"}
        Http(server.url, Reason.ARGOCD_UNAVAILABLE, headers=headers).request("GET", "/")
        Http(server.url, Reason.REGISTRY_UNAVAILABLE, auth=("us", "ours")).request("GET", "/")
    sent = [asked.headers.get("authorization") for asked in server.asked]
    assert sent == [None, None, "Bearer ours", "Basic dXM6b3Vycw=="]


def test_the_proxy_of_the_environment_is_used_and_alone_gets_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with loopback(lambda _: Reply()) as proxy, loopback(lambda _: Reply()) as server:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//us:secret@"))
        Http("http://harbor.invalid", Reason.REGISTRY_UNAVAILABLE).request("GET", "/v2/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        Http(server.url, Reason.REGISTRY_UNAVAILABLE).request("GET", "/v2/")
    assert [asked.headers["host"] for asked in proxy.asked] == ["harbor.invalid"]
    assert "proxy-authorization" in proxy.asked[0].headers
    assert [asked.headers.get("proxy-authorization") for asked in server.asked] == [None]


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer one request with these bytes; the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def once() -> None:
            taken, _ = listening.accept()
            with taken:
                taken.recv(65536)
                taken.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5)


PART = bytes(1024 * 1024)
TRUNCATED = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"
NEGATIVE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "Remote end closed connection without response"),
        (b"\x15\x03\x03\x00\x02\x02\x16", "what answers there does not speak HTTP"),
        (TRUNCATED, "IncompleteRead(2 bytes read, 7 more expected)"),
        (NEGATIVE, "its parts are not as HTTP says"),
    ],
)
def test_an_answer_that_breaks_off_is_told_in_words(answer: bytes, words: str) -> None:
    with answering(answer) as url, pytest.raises(Unanswered) as caught:
        Http(url, Reason.REGISTRY_UNAVAILABLE).request("GET", "/")
    assert caught.value.evidence == f"GET {url}: {words}"


@pytest.mark.parametrize(("answer", "words"), [(NEGATIVE, "its parts are not as HTTP says")])
def test_a_stream_that_breaks_off_is_told_in_words(answer: bytes, words: str) -> None:
    with answering(answer) as url:
        http = Http(url, Reason.ARGOCD_UNAVAILABLE)
        stream = http.request("GET", "/", endless=True)
        with pytest.raises(Unavailable) as caught:
            list(http.lines(stream, 100))
    assert caught.value.evidence == f"GET {url}: {words}"


@pytest.mark.parametrize("status", [200, 302, 307, 404])
def test_no_more_is_read_of_a_redirect_than_of_another_answer(status: int) -> None:
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(4 * MAX_ANSWER // len(PART)):
            yield PART
            sent += len(PART)

    reply = Reply(status, headers={"Location": "/elsewhere"}, parts=parts)
    with loopback(lambda _: reply) as server, pytest.raises(Unanswered, match="larger than"):
        Http(server.url, Reason.NOTIFY_UNAVAILABLE).request("POST", "/", data=b"{}")
    assert sent < 2 * MAX_ANSWER


def test_an_answer_in_tiny_parts_takes_no_more_memory_than_another() -> None:
    parts = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\n{}\r\n" * 100_000 + b"0\r\n\r\n"
    with answering(parts) as url:
        tracemalloc.start()
        answer = Http(url, Reason.ARGOCD_UNAVAILABLE).request("GET", "/")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.content == b"{}" * 100_000
    assert most < 10 * len(answer.content)


@pytest.mark.parametrize("location", ["http://[", "/\xff", "http://a:99999/"])
def test_where_a_redirect_leads_is_no_trouble_of_our_own_address(location: str) -> None:
    with loopback(lambda _: Reply(302, headers={"Location": location})) as server:
        answer = Http(server.url, Reason.NOTIFY_UNAVAILABLE).request("GET", "/")
    assert answer.status_code == 302


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://us:secret@127.0.0.1:9", "the proxy: [Errno 111] Connection refused"),
        ("http://nosuch.invalid:3128", "the proxy: Failed to resolve 'nosuch.invalid' "),
        ("", "the proxy: 407 Proxy Authentication Required"),
    ],
)
def test_what_is_wrong_with_the_proxy_is_not_the_services(
    monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with loopback(lambda _: Reply(407)) as refusing:
        monkeypatch.setenv("https_proxy", proxy or refusing.url)
        with pytest.raises(Unavailable) as caught:
            Http("https://harbor.invalid", Reason.REGISTRY_UNAVAILABLE).request("GET", "/v2/")
    assert caught.value.evidence.startswith(f"GET https://harbor.invalid: {words}")
    assert caught.value.evidence.count("(") == caught.value.evidence.count(")")


def test_a_ca_file_that_is_not_there_is_a_trouble_of_ours_that_is_named() -> None:
    with pytest.raises(Unavailable, match=r"GET https://127\.0\.0\.1:9: .*/no/such/ca\.pem"):
        Http("https://127.0.0.1:9", Reason.ARGOCD_UNAVAILABLE, ca_file="/no/such/ca.pem").request("GET", "/")


@pytest.mark.parametrize("host", ["harbor..example.com", "*.example.com", f"{'a' * 64}.example.com"])
def test_a_host_that_is_none_is_a_trouble_that_is_named(host: str) -> None:
    with pytest.raises(Unavailable, match="the address, or that of a proxy, cannot be used") as caught:
        Http(f"https://{host}", Reason.REGISTRY_UNAVAILABLE).request("GET", "/")
    assert caught.value.evidence.startswith(f"GET https://{host}: ")


def tls_trouble(url: str, ca_file: str = "") -> str:
    with pytest.raises(Unavailable) as caught:
        Http(url, Reason.ARGOCD_UNAVAILABLE, ca_file=ca_file).request("GET", "/")
    return caught.value.evidence.partition(f"{url}: ")[2]


def test_what_is_wrong_with_tls_is_told_apart(tmp_path: Path) -> None:
    with loopback(lambda _: Reply(), tls=tmp_path) as server:
        signed = str(tmp_path / "cert.pem")
        assert tls_trouble(server.url).startswith("the TLS certificate is not trusted (set ca_file to")
        other = tls_trouble(server.url.replace("localhost", "127.0.0.1"), signed)
        assert other.startswith("the TLS certificate is refused: ")
        assert "not valid for '127.0.0.1'" in other
        assert Http(server.url, Reason.ARGOCD_UNAVAILABLE, ca_file=signed).request("GET", "/").status_code == 200
    with loopback(lambda _: Reply()) as server:
        assert "does not speak TLS" in tls_trouble(server.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (
            refused_certificate(10, "certificate has expired"),
            "the TLS certificate is refused: certificate has expired",
        ),
        (refused_certificate(20, "unable to get local issuer certificate"), UNTRUSTED),
        (broken_off("TLSV1_ALERT_PROTOCOL_VERSION"), "no TLS connection came about: tlsv1 alert protocol version"),
        (ValueError("of another kind"), UNTRUSTED),
    ],
)
def test_tls_that_no_ca_file_would_mend_does_not_ask_for_one(cause: BaseException, words: str) -> None:
    assert tls_words(cause) == words


@pytest.mark.parametrize(("status", "may_have_arrived"), [(500, False), (504, True), (521, False), (524, True)])
def test_a_service_behind_a_gateway_that_gives_up_is_unavailable(status: int, may_have_arrived: bool) -> None:
    with loopback(lambda _: Reply(status, "<html>")) as server, pytest.raises(Unavailable) as caught:
        Http(server.url, Reason.REGISTRY_UNAVAILABLE).request("POST", "/")
    assert caught.value.evidence == f"HTTP {status} from {server.url}"
    assert isinstance(caught.value, Unanswered) is may_have_arrived


WAITS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"Retry-After": "30"}, 30.0),
    ({"Retry-After": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
    ({"Retry-After": "soon"}, None),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "45"}, 45.0),
    ({"Retry-After": "7", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "45"}, 7.0),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000000001"}, 0.0),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "later"}, None),
    ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "45"}, None),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "²"}, None),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 5000}, None),
    *[({"Retry-After": text}, None) for text in ("inf", "nan", "9" * 400)],
    *[({"Retry-After": text}, LONGEST) for text in ("1e300", "9" * 20, "Fri, 31 Dec 9999 23:59:59 GMT")],
]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_how_long_a_server_asks_to_be_left_alone(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
