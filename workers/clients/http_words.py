"""What went wrong with TLS, in words that lead to the mistake."""

import ssl

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
