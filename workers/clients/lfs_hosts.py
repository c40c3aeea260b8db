"""Where contents of Git LFS may be read: the server of the repository names the place, and it may name any (SSRF)."""

import ipaddress
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, urljoin, urlsplit

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients import outbound
from workers.clients.http import Http

Origin = tuple[str, str, int]
"""Scheme, host and port."""
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


def split_address(url: str, where: object) -> SplitResult:
    """Split an address that `where` named. :raises Refused: SOURCE_REFUSED, it is none of http or https."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port or 1) > 0 and "@" not in parts.netloc
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or parts.scheme not in _PORTS or any(not "!" <= character <= "~" for character in url):
        raise Refused(Reason.SOURCE_REFUSED, f"Git LFS: {where} names a place that is no http(s) address")
    return parts


def origin_of(parts: SplitResult) -> Origin:
    """Return what two addresses share that belong to one service."""
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def led_to(parts: SplitResult, location: str, where: object) -> SplitResult:
    """Return where a ``Location`` leads. :raises Refused: SOURCE_REFUSED, nowhere that can be read."""
    try:
        url = urljoin(parts.geturl(), location)
    except ValueError:
        url = ""
    return split_address(url, where)


def path_of(parts: SplitResult) -> str:
    """Return the path of an address with its query, as it stands there: it may be signed."""
    return parts._replace(scheme="", netloc="", fragment="").geturl() or "/"


class LfsHosts:
    """The services of one fetch: each is judged before it is asked for the first time.

    * Without TLS none is asked, unless the repository itself is reached without it (over SSH: unless it is this
      machine).
    * An address that only machines around us can reach is asked only where the repository's own host has such an
      address: a forge on the internet has nothing to look for in our network. Link-local ones, where clouds keep
      their credentials, never are.
    * The connection goes to the address that was judged.

    :param home: the repository's own host, which the configuration names; it is not judged.
    :param ca_file: as for the repository.
    """

    def __init__(self, home: SplitResult, ca_file: str) -> None:
        self._home = home
        self._ca_file = ca_file
        self._open: dict[Origin, Http] = {}
        self._lock = threading.Lock()

    def at(self, parts: SplitResult, where: object) -> Http:
        """Return the connections to the service of an address.

        :raises Refused: SOURCE_REFUSED, it must not be asked. :raises Unavailable: its name does not resolve now.
        """
        origin = origin_of(parts)
        with self._lock:
            if origin not in self._open:
                self._open[origin] = self._connected(parts, where)
            return self._open[origin]

    def close(self) -> None:
        """Close the connections of this thread."""
        with self._lock:
            found = list(self._open.values())
        for http in found:
            http.close()

    def _connected(self, parts: SplitResult, where: object) -> Http:
        own = (parts.hostname, parts.scheme) == (self._home.hostname, self._home.scheme)
        address = "" if own or outbound.is_proxied(parts) else self._judged(parts, where)
        if parts.scheme == "http" and not self._may_be_plain(address):
            raise Refused(
                Reason.SOURCE_REFUSED,
                f"Git LFS: {where} names an http:// address at {parts.hostname}, but the repository is not reached"
                " so: have the forge name https:// (its external URL)",
            )
        base = f"{parts.scheme}://{parts.netloc}"
        return Http(base, Reason.SOURCE_UNAVAILABLE, ca_file=self._ca_file, address=address)

    def _may_be_plain(self, address: str) -> bool:
        return self._home.scheme == "http" or (self._home.scheme == "ssh" and _is_here(address))

    def _judged(self, parts: SplitResult, where: object) -> str:
        """Resolve a name once and return the first address that may be asked."""
        found = _addresses(parts)
        near = not outbound.is_proxied(self._home) and any(
            not outbound.may_post(address, allow_private=False) for address in _addresses(self._home)
        )
        for address in found:
            if outbound.may_post(address, allow_private=near):
                return address
        raise Refused(
            Reason.SOURCE_REFUSED,
            f"Git LFS: {where} names {parts.hostname}, which is {', '.join(found[:3]) or 'nowhere'}: not an address"
            " that a repository on a public host may send us to",
        )


def _addresses(parts: SplitResult) -> list[str]:
    try:
        return outbound.addresses_of(parts)
    except (OSError, UnicodeError) as error:  # the latter: a label that is too long or empty
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, f"Git LFS: {parts.hostname} does not resolve") from error


def _is_here(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address.split("%", 1)[0]).is_loopback
