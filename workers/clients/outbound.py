"""Posting to addresses that people configured, without letting them reach what only we can reach (SSRF).

The name is resolved once, the address is judged, and the connection is made to that address: a name that resolves
differently the second time gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Http, uses_proxy
from workers.clients.http_pause import retry_after

READ_TIMEOUT = 10.0
"""Seconds of silence before a post is given up, unless a caller has more patience; it may have arrived then."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
"""Host and port to IP addresses, best first. Raises OSError."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")
"""What was private before RFC 3879, and routers may still take for it; Python does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """An answer. ``retry_after``: seconds that the server asks us to wait, if it does."""

    status: int
    body: bytes = field(default=b"", repr=False)
    retry_after: float | None = None


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow_private: bool = False,
    patience: float = READ_TIMEOUT,
    ca_file: str = "",
) -> Posted:
    """Post `body` once; redirects are not followed. Errors name the host only, as the path may be a secret.

    :param allow_private: allow plain http, loopback and private networks; link-local addresses never.
    :param patience: seconds of silence before it is given up. :param ca_file: certificates of CAs; "" = the system's.
    :raises Refused: NOTIFY_REFUSED, the address is not one that we post to.
    :raises Unavailable: NOTIFY_UNAVAILABLE, no connection, or 408, 425, 429, 500, 502, 503, 521 and the like.
    :raises Unanswered: NOTIFY_UNAVAILABLE, the answer was lost, or 504, 520, 522, 524: it may have arrived.
    :raises RateLimited: NOTIFY_UNAVAILABLE, 429 with ``Retry-After``.
    """
    return _ask("POST", url, body, headers, allow_private, patience, ca_file)


def get(url: str, headers: Mapping[str, str], *, allow_private: bool = False, ca_file: str = "") -> Posted:
    """Read what is at an address, as `post` posts."""
    return _ask("GET", url, b"", headers, allow_private, READ_TIMEOUT, ca_file)


def check(url: str, *, allow_private: bool) -> str:
    """Judge an address as `post` does, without posting; return where it leads.

    :raises Refused: NOTIFY_REFUSED. :raises Unavailable: NOTIFY_UNAVAILABLE, the name does not resolve now.
    """
    parts = _checked(url, allow_private)
    if is_proxied(parts):
        return "behind a proxy"
    return choose_address(parts, allow_private=allow_private)


def choose_address(parts: SplitResult, *, allow_private: bool, resolve: Resolve | None = None) -> str:
    """Resolve the host once and return the first address that may be posted to.

    :raises Refused: NOTIFY_REFUSED, every address is one that only this machine or its network can reach.
    :raises Unavailable: NOTIFY_UNAVAILABLE, the name does not resolve now.
    """
    host = parts.hostname or ""
    try:
        found = addresses_of(parts, resolve)
    except (OSError, UnicodeError) as error:  # the latter: a label that is too long or empty
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, f"{host} does not resolve") from error
    for address in found:
        if may_post(address, allow_private=allow_private):
            return address
    raise Refused(
        Reason.NOTIFY_REFUSED,
        f"{host} is {', '.join(found[:3]) or 'nowhere'}, not a public address; set `allow_private` if that is meant",
    )


def addresses_of(parts: SplitResult, resolve: Resolve | None = None) -> list[str]:
    """Resolve the host of an address, best first. :raises OSError, UnicodeError: it does not resolve."""
    return (resolve or _resolve)(parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))


def may_post(address: str, *, allow_private: bool) -> bool:
    """Tell whether an IP address may be posted to; link-local ones (cloud metadata) never may."""
    ip = _inner(ipaddress.ip_address(address.split("%", 1)[0]))
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return False
    return allow_private or (ip.is_global and not ip.is_reserved and ip not in _SITE_LOCAL)


def _ask(
    method: str, url: str, body: bytes, headers: Mapping[str, str], allow_private: bool, patience: float, ca_file: str
) -> Posted:
    parts = _checked(url, allow_private)
    http = Http(
        f"{parts.scheme}://{parts.netloc}",
        Reason.NOTIFY_UNAVAILABLE,
        ca_file=ca_file,
        address="" if is_proxied(parts) else choose_address(parts, allow_private=allow_private),
    )
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        answer = http.request(method, path, read_timeout=patience, data=body, headers=dict(headers))
    finally:
        http.close()
    return Posted(status=answer.status_code, body=answer.content, retry_after=retry_after(answer.headers))


def _checked(url: str, allow_private: bool) -> SplitResult:
    """Split an address. :raises Refused: NOTIFY_REFUSED, it is not an https address (or http where allowed)."""
    try:
        parts = urlsplit(url.strip())
        usable = bool(parts.hostname) and (parts.port or 1) > 0 and "@" not in parts.netloc
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or parts.scheme not in ("https", "http"):
        raise Refused(Reason.NOTIFY_REFUSED, "the address of the channel is not an http(s) address")
    if parts.scheme == "http" and not allow_private:
        raise Refused(Reason.NOTIFY_REFUSED, f"{parts.hostname} is addressed with http; use https")
    return parts


def _inner(ip: Address) -> Address:
    """Return the IPv4 address inside a mapped, 6to4 or NAT64 address: that is where the packets go."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def is_proxied(parts: SplitResult) -> bool:
    """Tell whether the environment names a proxy for this host; then the proxy resolves, and its rules decide."""
    spoken = parts.scheme in ("https", "http")  # SSH goes through none
    return spoken and not _is_literal(parts.hostname or "") and uses_proxy(parts.geturl())


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
