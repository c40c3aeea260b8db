"""Where contents of Git LFS may be read: addresses that follow from the repository's, and those a server names."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients import outbound
from workers.clients.git_lfs import configured_server
from workers.clients.lfs_hosts import LfsHosts, led_to, path_of, split_address
from workers.clients.lfs_server import endpoint_url
from workers.clients.lfs_ssh import ssh_address

NAMES: Mapping[str, list[str]] = {
    "git.example.com": ["140.82.121.4"],
    "git.corp": ["10.1.0.5"],
    "store.example.com": ["52.216.1.1"],
    "store.corp": ["10.1.0.9"],
    "both.example.com": ["10.1.0.9", "52.216.1.1"],
    "metadata.example.com": ["169.254.169.254"],
    "here.example.com": ["127.0.0.1"],
}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, _port: int) -> list[str]:
        if host not in NAMES:
            raise OSError(host)
        return NAMES[host]

    monkeypatch.setattr(outbound, "_resolve", resolve)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def judged(home: str, url: str) -> str:
    """The address that would be connected to; "" = whatever the name resolves to."""
    return LfsHosts(urlsplit(home), "").at(urlsplit(url), "https://git.example.com/x")._address


PUBLIC, CORP, PLAIN = "https://git.example.com/a.git", "https://git.corp/a.git", "http://git.corp/a.git"
SSH = "ssh://git@git.corp/a.git"


@pytest.mark.parametrize(
    ("home", "url", "address"),
    [
        (PUBLIC, "https://git.example.com/x", ""),
        (PUBLIC, "https://git.example.com:8443/x", ""),
        (PUBLIC, "https://store.example.com/x", "52.216.1.1"),
        (PUBLIC, "https://both.example.com/x", "52.216.1.1"),
        (CORP, "https://store.corp/x", "10.1.0.9"),
        (CORP, "https://store.example.com/x", "52.216.1.1"),
        (PLAIN, "http://store.corp/x", "10.1.0.9"),
        (PLAIN, "https://store.corp/x", "10.1.0.9"),
        (SSH, "https://git.corp/x", "10.1.0.5"),
        (SSH, "http://here.example.com:3000/x", "127.0.0.1"),
    ],
)
def test_places_that_are_asked(home: str, url: str, address: str) -> None:
    assert judged(home, url) == address


@pytest.mark.parametrize(
    ("home", "url", "words"),
    [
        (PUBLIC, "https://store.corp/x", "which is 10.1.0.9: not an address"),
        (PUBLIC, "https://here.example.com/x", "which is 127.0.0.1"),
        (PUBLIC, "https://metadata.example.com/x", "which is 169.254.169.254"),
        (CORP, "https://metadata.example.com/x", "which is 169.254.169.254"),
        (PUBLIC, "http://git.example.com/x", "names an http:// address at git.example.com"),
        (CORP, "http://store.corp/x", "names an http:// address"),
        (SSH, "http://git.corp/x", "names an http:// address"),
    ],
)
def test_places_that_are_not(home: str, url: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        judged(home, url)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert words in caught.value.evidence


def test_a_name_that_does_not_resolve_is_tried_again() -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.example\.com does not resolve"):
        judged(PUBLIC, "https://nowhere.example.com/x")


def test_behind_a_proxy_its_rules_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.corp:3128")
    monkeypatch.setenv("no_proxy", "store.corp")
    assert judged(PUBLIC, "https://elsewhere.example.com/x") == ""
    with pytest.raises(Refused, match=r"store\.corp"):
        judged(PUBLIC, "https://store.corp/x")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/x",
        "ftp://x/y",
        "https://",
        "https://u:p@x/y",
        "https://x:port/",
        "https://x/a b",
        "https://x/\n",
        "http://[x",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(PilotageError) as caught:
        split_address(url, "x")
    assert (type(caught.value), caught.value.reason) == (Refused, Reason.SOURCE_REFUSED)


def test_an_address_is_asked_as_it_stands_there() -> None:
    assert path_of(urlsplit("https://s3/a%2Fb/c?X-Sig=%2B&x=1#f")) == "/a%2Fb/c?X-Sig=%2B&x=1"
    assert led_to(urlsplit("https://a/b/c"), "../d?x", "a").geturl() == "https://a/d?x"
    with pytest.raises(Refused):
        led_to(urlsplit("https://a/b/c"), "http://[x", "a")


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://git.example.com/a/b.git", "https://git.example.com/a/b.git/info/lfs"),
        ("https://git.example.com/a/b", "https://git.example.com/a/b.git/info/lfs"),
        ("https://git.example.com/a/b/", "https://git.example.com/a/b.git/info/lfs"),
        ("https://me@git.example.com:8443/a/b.git/", "https://git.example.com:8443/a/b.git/info/lfs"),
        ("https://git.example.com/a%20b/[c]", "https://git.example.com/a%20b/[c].git/info/lfs"),
        ("https://git.example.com/a/꽃.git", "https://git.example.com/a/%EA%BD%83.git/info/lfs"),
        ("https://git.example.com/a/\udcff.git", "https://git.example.com/a/%FF.git/info/lfs"),
    ],
)
def test_the_server_is_where_git_lfs_looks_for_it(url: str, endpoint: str) -> None:
    assert endpoint_url(url) == endpoint
    assert split_address(endpoint, "the configuration").path.endswith(".git/info/lfs")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("git@git.corp:acme/web.git", ("git", "git.corp", None, "acme/web.git")),
        ("git.corp:/acme/web.git", (None, "git.corp", None, "acme/web.git")),
        ("git@[::1]:acme/web.git", ("git", "::1", None, "acme/web.git")),
        ("ssh://git@git.corp:2222/acme/web.git", ("git", "git.corp", 2222, "acme/web.git")),
        ("ssh://git@[::1]/web.git", ("git", "::1", None, "web.git")),
    ],
)
def test_both_forms_of_an_address_over_ssh_are_read(url: str, parts: tuple[object, ...]) -> None:
    found = ssh_address(url)
    assert (found.username, found.hostname, found.port, found.path) == parts


@pytest.mark.parametrize(
    ("config", "server"),
    [
        (b"", ""),
        (b"[lfs]\n\turl = https://lfs.example.com/x\n", "https://lfs.example.com/x"),
        (b'[lfs]\nURL="https://a:b@lfs.example.com/x"\n', "https://lfs.example.com/x"),
        (b'[remote "origin"]\n\tlfsurl = https://lfs.example.com\n', "https://lfs.example.com"),
        (b'[remote "origin"]\n\turl = https://git.example.com\n', ""),
        (b"[lfs]\n\tfetchexclude = *.psd\n[other]\nurl = x\n", ""),
        (b"[lfs\n\xff= \n=\n[]\n", ""),
    ],
)
def test_a_server_that_a_repository_names_is_read_to_be_told(config: bytes, server: str) -> None:
    assert configured_server(config) == server
