"""Proxies for what goes out, and none for this machine's own addresses."""

import pytest

from orchestrator.cli.proxies import spare_loopback

OURS = "127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("environ", "spared"),
    [
        ({}, None),
        ({"no_proxy": "x"}, None),
        ({"http_proxy": ""}, None),
        ({"http_proxy": "http://p:3128"}, OURS),
        ({"HTTPS_PROXY": "http://p:3128"}, OURS),
        ({"all_proxy": "socks5://p"}, OURS),
        ({"https_proxy": "http://p:3128", "no_proxy": ".example.com"}, f".example.com,{OURS}"),
        ({"https_proxy": "http://p:3128", "NO_PROXY": ".example.com"}, f".example.com,{OURS}"),
        ({"https_proxy": "http://p:3128", "no_proxy": "::1, localhost,x"}, "::1,localhost,x,127.0.0.1"),
        ({"https_proxy": "http://p:3128", "no_proxy": "*"}, "*"),
    ],
)
def test_where_a_proxy_is_set_this_machine_is_spared(environ: dict[str, str], spared: str | None) -> None:
    found = dict(environ)
    spare_loopback(found)
    wanted = {} if spared is None else {"no_proxy": spared, "NO_PROXY": spared}
    assert found == environ | wanted
