"""One HTTP session factory: deadlines, bounds, no cookies, no redirects, typed errors."""

import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

from orchestrator.domain.errors import RateLimited, Unanswered, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import shorten
from orchestrator.lean import without
from workers.clients import http_deadline, http_lines
from workers.clients.http_pause import retry_after
from workers.clients.http_words import MAX_WORDS, message_in, network_words, root_of, tls_words

# It guesses how a text is encoded that does not say so: 1 MB, to be wrong at times where UTF-8 is right.
with without("charset_normalizer"), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # requests tells that it is not there
    import requests
    from requests.adapters import HTTPAdapter
    from requests.auth import HTTPBasicAuth

CONNECT_TIMEOUT = 3.05
"""Seconds to connect (just above one TCP retransmission)."""
READ_TIMEOUT = 15.0
"""Seconds of silence from the server before we give up; a caller may ask for more."""
MAX_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that is read into memory; an Argo CD application can be several MB."""
MAX_ERROR = 64 * 1024
"""Bytes of an error's body that are looked at for its message."""
Response = requests.Response
"""The type of an answer, for those who must not import the SDK."""
Observe = Callable[[str, float], None]
"""Is told of each request: ``ok``, ``refused`` or ``unavailable`` (`metrics.ANSWERS`), and the seconds it took."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 531)})
"""What says nothing of the request; 520 to 530 are Cloudflare's for a service that it does not reach."""
_GAVE_UP = frozenset({504, 520, 522, 524})
"""A gateway waited for the service as we do, and it may have had the request."""
_UNUSABLE = "the address, or that of a proxy, cannot be used"
_NOT_SENT = (requests.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.SSLError)
_CUT_OFF = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


class TooSlow(Unanswered):
    """The service took the request and stayed silent for the whole read timeout; it may still be at work."""


class Busy(Unavailable):
    """The service is there, but answered that it cannot do its work now.

    :param problem: the body where it is a problem document (RFC 9457), else b"".
    """

    def __init__(self, reason: Reason, evidence: str, retry_after: float | None, problem: bytes) -> None:
        super().__init__(reason, evidence, retry_after)
        self.problem = problem


class Authorization:
    """Sends a request with this header ("" = as it is), and keeps a ~/.netrc entry from replacing what it has."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request, with the header where there is one."""
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class Http:
    """A session with one service.

    Thread-safe: each thread has its own connection pool. Cookies are never kept (Harbor turns its CSRF check on
    when a cookie comes back) and redirects never followed (they could carry the credentials elsewhere).

    :param base_url: address with optional root path; request paths are appended to it as they are.
    :param unavailable: the reason that an unreachable or overloaded service is reported with.
    :param auth: user and password for basic authentication; ``headers``: sent with every request.
    :param address: IP address to connect to whatever the name resolves to; TLS and ``Host`` keep the name. "" = ask
        the resolver.
    :param observe: is told of each request.
    """

    def __init__(
        self,
        base_url: str,
        unavailable: Reason,
        *,
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: str = "",
        address: str = "",
        observe: Observe | None = None,
    ) -> None:
        self._observe = observe or _nobody
        self.base_url = base_url.rstrip("/")
        self._address = address
        self._unavailable = unavailable
        # Bytes, as Harbor and every registry reads them (RFC 7617): texts would be sent as Latin-1, or not at all.
        self._auth = HTTPBasicAuth(auth[0].encode(), auth[1].encode()) if auth else None
        self._headers = dict(headers or {})
        self._verify: bool | str = ca_file or True
        self._local = threading.local()

    def request(
        self,
        method: str,
        path: str,
        *,
        read_timeout: float = READ_TIMEOUT,
        stream: bool = False,
        endless: bool = False,
        **kwargs: Any,
    ) -> requests.Response:
        """Send one request and return the answer, whatever its status that says something of the request.

        :param path: appended to the base URL byte for byte (Harbor needs ``%252F`` untouched).
        :param read_timeout: seconds of silence; the whole answer may take four times as long.
        :param stream: hand a 200 over unread; the caller closes it. :param endless: and it may go on for any time.
        :raises Unavailable: the service cannot be reached, or is overloaded.
        :raises Unanswered: it had the request, and its answer was lost, too slow or too large.
        :raises RateLimited: the service asks for less haste and says for how long (429 with ``Retry-After``).
        """
        result, begun = "unavailable", time.monotonic()
        try:
            answer = self._request(
                method, path, read_timeout=read_timeout, stream=stream or endless, endless=endless, **kwargs
            )
            result = "ok" if answer.status_code < 300 else "refused"
            return answer
        finally:
            self._observe(result, time.monotonic() - begun)

    def _request(
        self, method: str, path: str, *, read_timeout: float, stream: bool, endless: bool, **kwargs: Any
    ) -> requests.Response:
        url = path if path.startswith(("http://", "https://")) else self.base_url + path
        try:
            answer = self._session().request(
                method,
                url,
                timeout=(CONNECT_TIMEOUT, read_timeout),
                allow_redirects=False,
                stream=True,
                verify=self._verify,  # for each request: else REQUESTS_CA_BUNDLE would win over our ca_file
                **kwargs,
            )
            if answer.status_code in _TRANSIENT:
                raise self._overloaded(answer)
            if not stream or answer.status_code != 200:
                _read(answer)
            elif endless:
                http_deadline.lift(answer.raw)
        except requests.ReadTimeout as error:
            raise TooSlow(self._unavailable, f"{self._where(method)}: {plain_error(error)}") from error
        except requests.RequestException as error:
            kind = Unanswered if _was_sent(error) else Unavailable
            raise kind(self._unavailable, f"{self._where(method)}: {plain_error(error)}") from error
        except _TooLarge as error:
            raise Unanswered(self._unavailable, f"{self._where(method)}: {error}") from error
        except ValueError as error:  # how urllib3 says that a host is none
            raise Unavailable(self._unavailable, f"{self._where(method)}: {_UNUSABLE}") from error
        except OSError as error:  # how requests says that there is no CA file
            raise Unavailable(self._unavailable, f"{self._where(method)}: {error}") from error
        return answer

    def lines(self, answer: Response, max_line: int) -> Generator[bytes, None, None]:
        """Yield the lines of an answer that `request` returned unread, as they arrive, then close it.

        :param max_line: bytes of one line; a longer one ends the stream.
        :raises Unavailable: the stream breaks, stays silent for the read timeout, or holds too long a line.
        """
        parts = self.parts(answer)
        try:
            yield from http_lines.split(parts, max_line)
        except http_lines.LineTooLong as error:
            raise Unavailable(self._unavailable, f"{self._where('GET')}: {error}") from error
        finally:
            parts.close()

    def parts(self, answer: Response) -> Generator[bytes, None, None]:
        """Yield the body of an answer that `request` returned unread, as it arrives, then close it.

        :raises Unavailable: the stream breaks, or stays silent for the read timeout.
        """
        try:
            yield from _body(answer)
        except requests.RequestException as error:
            raise Unavailable(self._unavailable, f"{self._where('GET')}: {plain_error(error)}") from error
        finally:
            answer.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _Session()
            session.trust_env = True
            session.auth = self._auth or Authorization("")
            session.headers.update(self._headers)
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Pinned(self._address) if self._address else _Timed(4, 16))
            self._local.session = session
        return session

    def close(self) -> None:
        """Close the connections of this thread; a later request opens new ones."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()

    def _where(self, method: str) -> str:
        return f"{method} {self.base_url}"

    def _overloaded(self, answer: requests.Response) -> Unavailable:
        request_id = answer.headers.get("X-Request-Id", "")
        body = _error_body(answer)
        answer.close()
        kind = answer.headers.get("Content-Type", "")
        said = message_in(body) if kind.startswith("application/json") else ""
        parts = [f"HTTP {answer.status_code} from {self.base_url}"]
        parts += [f"(request {request_id})"] if request_id else []
        evidence, wait = " ".join(parts) + (f": {said}" if said else ""), retry_after(answer.headers)
        if answer.status_code == 429 and wait is not None:
            return RateLimited(self._unavailable, evidence, wait)
        if answer.status_code in _GAVE_UP:
            return Unanswered(self._unavailable, evidence, wait)
        problem = body if kind.startswith("application/problem+json") else b""
        return Busy(self._unavailable, evidence, wait, problem)


class _Session(requests.Session):
    """Does not look where a redirect leads: before it looks, the base reads all of the body, however much that is."""

    def get_redirect_target(self, resp: Response) -> None:
        """Return nowhere (the hook that requests has for this)."""


class _Timed(HTTPAdapter):
    """Has answers come in time; see `http_deadline`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the connections, straight ones."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = http_deadline.POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make those through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = http_deadline.POOLS
        return manager


class _Pinned(_Timed):
    """Connects to one IP address; the certificate is still checked against the name of the URL."""

    def __init__(self, address: str) -> None:
        super().__init__(1, 1)
        self._address = address

    def add_headers(self, request: Any, **_: Any) -> None:
        """Name the host of the URL, which is in ASCII by now (the hook that requests has for this)."""
        request.headers["Host"] = urlsplit(request.url).netloc

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Return where to connect and with which TLS settings (the hook that requests 2.32 made for this)."""
        found: Any = super().build_connection_pool_key_attributes(request, verify, cert)
        host, settings = found
        if host["scheme"] == "https":
            names = {"server_hostname": host["host"], "assert_hostname": host["host"]}
            return {**host, "host": self._address}, {**settings, **names}
        return {**host, "host": self._address}, settings


class _TooLarge(Exception):
    """The answer is larger than we accept."""


def _error_body(answer: requests.Response) -> bytes:
    """Read the beginning of an error's body; b"" when it does not arrive, or is not for programs."""
    if "json" not in answer.headers.get("Content-Type", ""):
        return b""
    try:
        return bytes(next(_body(answer, MAX_ERROR), b""))
    except requests.RequestException:
        return b""


def _body(answer: requests.Response, most: int = 65536) -> Iterator[bytes]:
    """Yield the body in pieces. :raises requests.RequestException: it does not arrive, or not as HTTP says."""
    try:
        yield from answer.iter_content(most)
    except ValueError as error:  # how Python says that a part has a negative length
        raise requests.exceptions.ChunkedEncodingError("its parts are not as HTTP says") from error


def _was_sent(error: requests.RequestException) -> bool:
    """Tell whether the service may have had the request: the connection broke after it was made."""
    gave_up = getattr(next(iter(error.args), None), "reason", None)  # urllib3's word for "not even connected"
    return isinstance(error, _CUT_OFF) and not isinstance(error, _NOT_SENT) and gave_up is None


def _read(answer: requests.Response) -> None:
    """Read the body within the bounds."""
    content = bytearray()  # not a list of its parts, which may have one byte each
    for part in _body(answer):
        content += part
        if len(content) > MAX_ANSWER:
            answer.close()
            raise _TooLarge(f"answer larger than {MAX_ANSWER} bytes")
    answer._content = bytes(content)  # what requests itself does when it reads the body


def uses_proxy(url: str) -> bool:
    """Tell whether a request to `url` goes through a proxy that the environment names."""
    return bool(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)))


def _nobody(_result: str, _seconds: float) -> None:
    """Observe nothing."""


def plain_error(error: requests.RequestException) -> str:
    """Describe a network error for people: no object addresses, no URL (it may hold a secret)."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_TIMEOUT:.0f} s"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return _UNUSABLE
    cause = root_of(error)
    if isinstance(error, requests.exceptions.SSLError):
        return tls_words(cause)
    said = shorten(network_words(cause), MAX_WORDS) or type(error).__name__
    return f"the proxy: {said}" if isinstance(error, requests.exceptions.ProxyError) else said
