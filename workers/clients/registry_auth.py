"""How to log in to a registry: challenges, token services that may be trusted, and what a token allows."""

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.shapes import read_json, texts

_CHALLENGE = re.compile(r"(?:^|,)\s*(?P<scheme>[A-Za-z]+)\s+(?=[A-Za-z]+=)")
_HARBOR = "/service/token"
"""Path of Harbor's token service, which is where its registry is."""
_PARAMETER = re.compile(r'(?<![A-Za-z])([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """How a registry wants us to log in: ``bearer`` (with the token service's address), ``basic`` or ``none``."""

    scheme: str
    realm: str = ""
    service: str = ""


def read_challenge(header: str) -> Challenge | None:
    """Read ``WWW-Authenticate`` (RFC 9110 section 11.6.1); Bearer is preferred to Basic; None: neither is there."""
    marks = list(_CHALLENGE.finditer(header))
    found: dict[str, dict[str, str]] = {}
    ends = [*(mark.start() for mark in marks[1:]), len(header)]
    for mark, end in zip(marks, ends, strict=False):  # without any mark there is still an end
        text = header[mark.end() : end]
        values = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _PARAMETER.findall(text)
        }
        found.setdefault(mark["scheme"].lower(), values)
    if found.get("bearer", {}).get("realm"):
        bearer = found["bearer"]
        return Challenge(scheme="bearer", realm=bearer["realm"], service=bearer.get("service", ""))
    return Challenge(scheme="basic") if "basic" in found else None


def safe_realm(realm: str, registry_url: str) -> str:
    """Return the address of the token service that our password may be sent to.

    It must be on the registry's own host. Harbor behind a proxy names itself with http, or without its port, when its
    external URL or the proxy is not set right; then the registry's own scheme and port are used. Another port of the
    same host, 443 if none is named, is followed as long as it does not take us from https to http: GitLab's registry
    has a port of its own (5050) and asks for tokens of GitLab.

    :raises Refused: REGISTRY_REFUSED, it is on another host.
    """
    try:
        home, away = urlsplit(registry_url), urlsplit(realm)
        own_port_left_out = away.path == _HARBOR and away.port is None
    except ValueError:
        raise Refused(Reason.REGISTRY_REFUSED, "the registry's token service has no readable address") from None
    if away.hostname != home.hostname or away.scheme not in ("http", "https") or "@" in away.netloc:
        raise Refused(
            Reason.REGISTRY_REFUSED,
            f"the registry wants our login to be sent to {away.hostname or 'an unknown host'}; set"
            " `registry.token_url` if that is its token service",
        )
    if (home.scheme, away.scheme) == ("https", "http") or own_port_left_out:
        away = away._replace(scheme=home.scheme, netloc=home.netloc)
    return away._replace(fragment="").geturl()


def granted_actions(token: str, repository: str) -> frozenset[str] | None:
    """Read what a JSON web token allows on `repository`; None: it is not one, or does not say.

    The signature is not checked: the registry does that; we only look whether it makes sense to go on.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = read_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    access = claims.get("access") if isinstance(claims, dict) else None
    if not isinstance(access, list):
        return frozenset() if isinstance(claims, dict) and "access" in claims else None
    entries = [one for one in access if isinstance(one, dict) and one.get("name") == repository]
    return frozenset(action for one in entries for action in texts(one.get("actions")))
