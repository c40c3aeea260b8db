"""Who asks and what they may do: bearer tokens for programs, a signed session cookie for browsers."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from flask import Flask, Response, request, session
from flask.sessions import SecureCookieSessionInterface

from orchestrator import access
from orchestrator.domain.wording import worded
from orchestrator.services import tokens
from orchestrator.services.tokens import Principal, Role
from orchestrator.store.database import Database
from orchestrator.web.problems import Problem

SESSION_DAYS = 7
_KEY_FILE = "session.key"
_KEY_BYTES = 32
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Checks tokens and sessions. ``external_url``: the address that browsers use, to compare their ``Origin``."""

    database: Database
    external_url: str

    def require(self, needed: Role) -> Principal:
        """Return who asks.

        :raises Problem: 401 nobody or an invalid token, 403 not enough of a role or a request from another site.
        """
        who = self.who()
        if who is None:
            raise Problem(
                401,
                "unauthorized",
                "Send a valid token as `Authorization: Bearer plt_...`; `pilotage token create` makes one.",
                headers={"WWW-Authenticate": 'Bearer realm="pilotage"'},
            )
        if not who.role.may(needed):
            text = worded(
                "This needs the role {needed}; the token has the role {has}."
                " An operator makes another one by `pilotage token create NAME --role {needed}`.",
                needed=needed,
                has=who.role,
            )
            raise Problem(403, "forbidden", text)
        access.asks(who.name)
        return who

    def who(self) -> Principal | None:
        """Return who asks, by bearer token or session; None if that is unknown.

        Any other kind of login is for a proxy in front of us, which passes on what browsers send it.

        :raises Problem: a browser was led here by another site to change something.
        """
        scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return tokens.authenticate(self.database, plain.strip())
        digest = session.get("token")
        if not isinstance(digest, str):
            return None
        self.check_site()
        return tokens.by_digest(self.database, digest)

    def is_valid(self, who: Principal) -> bool:
        """Tell whether a token that was let in is still valid."""
        return tokens.by_digest(self.database, who.digest) is not None

    def check_site(self) -> None:
        """Make sure that a browser changes something from our own pages only (no token field is needed).

        Browsers set these headers themselves; pages cannot. :raises Problem: 403, from another site.
        """
        if request.method in _SAFE_METHODS:
            return
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        ours = {request.host, urlsplit(self.external_url).netloc} - {""}  # the origin "null" has no host
        if site == "same-origin" or (site is None and origin is not None and _split(origin).netloc in ours):
            return
        text = worded("The request comes from another site; open the page here and try again.")
        raise Problem(403, "cross-site", text)

    def needs_https(self) -> bool:
        """Tell whether a session would be lost: we are to be reached by https, and this browser is not.

        On this machine it would not be: see `Sessions`.
        """
        return self.external_url.startswith("https://") and is_plain() and not _is_at_home()


def is_plain() -> bool:
    """Tell whether the browser has our page open over plain http, as far as one can know.

    The request's own scheme does not tell: a proxy may have taken the TLS off. The browser's ``Origin`` does, which
    comes with every form; with the rest comes ``Sec-Fetch-Site``, but only where cookies may be for https alone.
    """
    origin = request.headers.get("Origin")
    if origin is not None:
        return _split(origin).scheme == "http"
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
    return "Sec-Fetch-Site" not in request.headers and forwarded != "https" and not request.is_secure


def _is_at_home() -> bool:
    """Tell whether the browser reaches us as localhost, for instance through a tunnel."""
    address = request.headers.get("Origin") or request.host_url
    return _split(address).hostname in _LOOPBACK


def _split(address: str) -> SplitResult:
    """Split an address that anybody may have sent; what is none has no parts."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def log_in(database: Database, plain: str) -> Principal | None:
    """Begin a session for the holder of a token; None when it is not valid."""
    who = tokens.authenticate(database, plain.strip())
    if who is not None:
        session.clear()
        session.permanent = True
        session["token"] = who.digest
    return who


def log_out() -> None:
    """End the session."""
    session.clear()


def secure(response: Response) -> Response:
    """Add the headers that forbid browsers what our pages do not need."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.path.startswith("/static/") or response.status_code >= 400:  # an error's page names who asks
        response.headers.setdefault("Cache-Control", "no-store")
    return response


class Sessions(SecureCookieSessionInterface):
    """Cookies that go over https only, where we are reached by https.

    Not every browser keeps such a cookie of ``http://127.0.0.1``; nothing crosses the network there, so it is plain.
    """

    def get_cookie_secure(self, app: Flask) -> bool:
        """Tell whether the cookie may travel over https only; of a proxy's TLS the browser may be who tells us."""
        theirs = _split(request.headers.get("Origin", "")).scheme == "https"
        ours = bool(app.config["SESSION_COOKIE_SECURE"]) or request.is_secure
        return (ours or theirs) and not (is_plain() and _is_at_home())


def session_key(state_dir: str) -> bytes:
    """Return the key that signs sessions, made once in ``<state_dir>/session.key`` (mode 0600).

    Two processes that start together end up with the same key: who comes second reads the first one's. What a power
    cut has left empty, or of zeros that everybody knows, is none.
    """
    path = Path(state_dir) / _KEY_FILE
    if path.exists() and not path.read_bytes().strip(b"\0"):
        path.unlink()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{_KEY_FILE}-{os.getpid()}-{secrets.token_hex(4)}")
        tokens.write_private(fresh, secrets.token_bytes(_KEY_BYTES))
        try:
            os.link(fresh, path)  # unlike a rename, this never replaces a key that is there
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    path.chmod(0o600)
    return path.read_bytes()
