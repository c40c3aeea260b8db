"""What the one session factory takes from the surroundings of the process, and what it must not take."""

from pathlib import Path

import pytest

from orchestrator.domain.reasons import Reason
from tests.support.loopback import Reply, loopback
from workers.clients.http import Authorization, Http


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
