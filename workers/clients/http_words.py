"""What went wrong with a request, or below HTTP, in words that lead to the mistake."""

import ssl
from http.client import BadStatusLine, RemoteDisconnected

from orchestrator.domain.wording import shorten
from workers.shapes import read_json

MAX_WORDS = 200
"""Characters of an error message of a server or the network."""
UNTRUSTED = "the TLS certificate is not trusted (set ca_file to the CA bundle that signed it)"
_OF_THE_CERTIFICATE = {9, 10, 62, 64}
"""OpenSSL's codes for what no CA bundle mends: not yet valid, expired, of another name, of another address."""


def tls_words(cause: BaseException) -> str:
    """Describe why no TLS connection came about."""
    if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in _OF_THE_CERTIFICATE:
        said = cause.verify_message.rstrip(".")
        return f"the TLS certificate is refused: {said[:1].lower()}{said[1:]}"
    if getattr(cause, "reason", "") in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "that port does not speak TLS (is the address one of http:// ?)"
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError) and cause.reason:
        return f"no TLS connection came about: {cause.reason.replace('_', ' ').lower()}"
    return UNTRUSTED


def root_of(error: BaseException) -> BaseException:
    """Return what an error is about in the end, below what libraries wrapped around it."""
    for _ in range(6):
        found = (getattr(error, "reason", None), *error.args)
        inner = next((one for one in found if isinstance(one, BaseException)), None)
        if inner is None:
            break
        error = inner
    return error


def network_words(cause: BaseException) -> str:
    """Describe why no answer came about, or not all of it."""
    if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
        return "what answers there does not speak HTTP"
    return getattr(cause, "strerror", None) or str(cause).rsplit(": ", 1)[-1]


def message_in(text: bytes) -> str:
    """Return the ``message`` of a JSON error body as one short line; "" where there is none."""
    try:
        body = read_json(text)
    except ValueError:
        return ""
    said = body.get("message") if isinstance(body, dict) else None
    return shorten(said, MAX_WORDS) if isinstance(said, str) else ""
